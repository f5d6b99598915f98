"""A portal made of real parts on a database of its own, and a small browser that talks to it.

The browser keeps cookies, fills in forms and follows nothing by itself; the edge's part, the ``X-Router-*``
headers, is played by :class:`Browser`.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from io import BytesIO
from typing import TYPE_CHECKING

from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import func, select
from yarl import URL

from router.hostname import Hostname
from router.identity.passwords import Passwords
from router.identity.sessions import Sessions
from router.identity.sign_in import SignIn
from router.identity.signing_keys import SigningKeys
from router.identity.throttling import Throttle
from router.identity.users import Users
from router.observe.tasks import Tasks
from router.portal.application import build_portal
from router.portal.error_pages import ErrorPages
from router.portal.rendering import Renderer
from router.portal.themes import Themes
from router.storage.bell import PollBell
from router.storage.cache import MemoryCache
from router.storage.changes import ChangeFeed
from router.storage.database import Database
from router.storage.migrate import migrate
from router.storage.schema import changes
from router.storage.sealing import Sealer
from router.tenants.directory import Directory
from router.tenants.form import TenantForm
from router.tenants.registry import Registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from aiohttp import web

    from router.identity.session import Session
    from router.tenants.tenant import Tenant

ADA = "ada@customer.example"
PASSWORD = "correct horse battery staple"
# Nothing listens there: every use of this database fails at once.
DEAD_DATABASE = "postgresql://127.0.0.1:1/none"


@dataclass(slots=True)
class Stand:
    """What a test needs to hold: the parts, and the tenants Acme and Globex; Ada is a user at Acme."""

    database: Database
    feed: ChangeFeed
    registry: Registry
    users: Users
    sessions: Sessions
    signing_keys: SigningKeys
    application: web.Application
    acme: Tenant
    globex: Tenant

    async def settled(self) -> None:
        """Wait until this worker has heard of everything that was written."""
        async with self.database.read() as connection:
            last = await connection.scalar(select(func.max(changes.c.sequence))) or 0
        await self.feed.caught_up(last)

    async def session(self, token: str) -> Session | None:
        """Find a session once the worker is up to date."""
        await self.settled()
        return await self.sessions.find(token)


@asynccontextmanager
async def open_stand(folder: Path, *, users_database: str | None = None) -> AsyncIterator[Stand]:
    """Build a portal on a fresh SQLite file; ``users_database`` is where signing in looks instead."""
    url = f"sqlite:///{folder}/router.db"
    await migrate(url)
    async with AsyncExitStack() as stack:
        database, bell, cache = Database(url), PollBell(), MemoryCache()
        users_at = Database(users_database or url)
        for opened in (database, users_at):
            await opened.open()
            stack.push_async_callback(opened.close)
        feed = ChangeFeed(database, bell, period=0.05)
        passwords = Passwords(threads=1, memory_kib=64, passes=1)
        stack.callback(passwords.close)
        users = Users(users_at, bell, passwords)
        sessions = Sessions(database, cache, bell, feed)
        signing_keys = SigningKeys(database, Sealer([b"s" * 32]), bell, feed)
        directory = Directory(database, cache, feed)
        registry = Registry(
            database, bell, platform_domain=Hostname("portal.localhost"), allow_private_upstreams=True
        )
        renderer = Renderer(Themes.load())
        application = build_portal(
            directory=directory,
            sign_in=SignIn(users, passwords, Throttle(cache, sessions.addresses), sessions),
            sessions=sessions,
            signing_keys=signing_keys,
            renderer=renderer,
            error_pages=ErrorPages(renderer),
            csrf_key=b"c" * 32,
        )
        tasks = await stack.enter_async_context(Tasks())
        tasks.start(feed.run(), name="changes")
        acme = await _tenant(registry, "acme", "Acme Energy", "#0B6E4F")
        globex = await _tenant(registry, "globex", "Globex", "#ffff00", allow_registration=True)
        if users_database is None:
            await users.add(acme.id, ADA, "C-1001", PASSWORD)
        yield Stand(database, feed, registry, users, sessions, signing_keys, application, acme, globex)


async def _tenant(
    registry: Registry, slug: str, name: str, colour: str, *, allow_registration: bool = False
) -> Tenant:
    form = TenantForm(
        name=name,
        theme_colour=colour,
        upstreams=["http://127.0.0.1:9"],
        allow_registration=allow_registration,
    )
    return (await registry.add(slug, form, actor="test")).tenant


@dataclass(frozen=True, slots=True)
class Page:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    cookies: tuple[str, ...]
    text: str
    hidden: Mapping[str, str]


class Browser:
    """One customer's browser, at one tenant's portal."""

    def __init__(self, client: TestClient[web.Request, web.Application], tenant: Tenant) -> None:
        self._client = client
        self.tenant = tenant
        self.host = f"{tenant.hostname}:8443"
        self.jar: dict[str, str] = {}

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Page:
        """Go to an address."""
        return await self.send("GET", path, headers=headers or {})

    async def submit(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Page:
        """Send a form as a browser does from a page of the same site."""
        sent = {"Origin": f"https://{self.host}", "Sec-Fetch-Site": "same-origin"} | dict(headers or {})
        return await self.send("POST", path, headers=sent, fields=fields)

    async def sign_in(self, email: str = ADA, password: str = PASSWORD, return_to: str = "/") -> Page:
        """Open the sign-in page, fill it in, send it."""
        page = await self.get(str(URL("/-/sign-in").with_query({"return": return_to})))
        return await self.submit("/-/sign-in", {**page.hidden, "email": email, "password": password})

    async def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        fields: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Page:
        """Send anything, with the cookies there are and the edge's own headers."""
        edge = {
            "X-Router-Tenant": self.tenant.id,
            "X-Router-Host": self.host,
            "X-Router-Client": "203.0.113.7",
            "X-Router-Request-Id": "req-1",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.jar.items()),
        }
        address = URL(path, encoded=True)
        async with self._client.request(
            method,
            address,
            headers=edge | dict(headers),
            data=fields or BytesIO(body or b""),
            allow_redirects=False,
        ) as answer:
            page = Page(
                answer.status,
                answer.headers,
                tuple(answer.headers.getall("Set-Cookie", [])),
                await answer.text(),
                {},
            )
        return self._keep(page)

    def _keep(self, page: Page) -> Page:
        for cookie in page.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.jar.pop(name, None)
            if value.strip('"'):
                self.jar[name] = value
        form = _Form()
        form.feed(page.text)
        return Page(page.status, page.headers, page.cookies, page.text, form.hidden)


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "input" and named.get("type") == "hidden":
            self.hidden[named["name"] or ""] = named["value"] or ""


@asynccontextmanager
async def serving(stand: Stand) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """Serve the portal on a socket of its own."""
    async with TestClient(TestServer(stand.application)) as client:
        yield client
