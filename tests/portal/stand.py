"""A portal made of real parts on a database of its own, and a small browser that talks to it.

The browser keeps cookies, fills in forms and follows nothing by itself; the edge's part, the ``X-Router-*``
headers, is played by :class:`Browser`.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from html.parser import HTMLParser
from io import BytesIO
from typing import TYPE_CHECKING

from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import func, select
from yarl import URL

from router.hostname import Hostname
from router.identity.account import Account
from router.identity.errands import Errands
from router.identity.invitations import Invitations
from router.identity.invoice_links import InvoiceLinks
from router.identity.links import Links
from router.identity.newcomers import Newcomers
from router.identity.passwords import Passwords
from router.identity.recovery import Recovery
from router.identity.registrations import Registrations
from router.identity.sessions import Sessions
from router.identity.sign_in import SignIn
from router.identity.signing_keys import SigningKeys
from router.identity.throttling import Throttle
from router.identity.users import Users
from router.observe.tasks import Tasks
from router.portal.application import UseCases, build_portal
from router.portal.error_pages import ErrorPages
from router.portal.images import Images
from router.portal.rendering import Renderer
from router.portal.themes import Themes
from router.storage.bell import PollBell
from router.storage.cache import MemoryCache
from router.storage.changes import ChangeFeed
from router.storage.database import Database
from router.storage.migrate import migrate
from router.storage.outbox import Mail, Outbox
from router.storage.schema import changes
from router.storage.sealing import Sealer
from router.tenants.directory import Directory
from router.tenants.form import TenantForm
from router.tenants.registry import Registry
from tests.storage.posted import posted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from aiohttp import web

    from router.identity.session import Session
    from router.identity.tenant_facts import TenantFacts
    from router.tenants.tenant import Tenant

ADA = "ada@customer.example"
PASSWORD = "correct horse battery staple"
# Nothing listens there: every use of this database fails at once.
DEAD_DATABASE = "postgresql://127.0.0.1:1/none"


@dataclass(slots=True)
class Time:
    """A clock that tests can put on."""

    ahead: float = 0

    def __call__(self) -> float:
        """Now, in unix seconds."""
        return time.time() + self.ahead


@dataclass(slots=True)
class Stand:
    """What a test needs to hold: the parts, and the tenants Acme and Globex; Ada is a user at Acme.

    ``time`` is everybody's clock. ``known`` are the customers and addresses that Globex's backend would
    confirm.
    """

    database: Database
    feed: ChangeFeed
    registry: Registry
    users: Users
    sessions: Sessions
    signing_keys: SigningKeys
    use_cases: UseCases
    errands: Errands
    sealer: Sealer
    known: set[tuple[str, str]]
    time: Time
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

    async def confirms(self, tenant: Tenant) -> None:
        """Have a tenant's backend be there to ask about registrations; ``known`` is what it would say."""
        form = TenantForm(registration_check="https://backend.example/registration")
        await self.registry.change(tenant.slug, form, actor="test")
        await self.settled()

    async def mails(self) -> list[Mail]:
        """Read what is to be sent, the first first, once nothing is under way."""
        await self.errands.settled()
        return await posted(self.database, self.sealer)

    async def mailed(self, kind: str, recipient: str) -> str:
        """Read the token in the one mail of a kind to somebody."""
        (token,) = [
            str(mail.facts["token"])
            for mail in await self.mails()
            if (mail.kind, mail.recipient) == (kind, recipient)
        ]
        return token


@cache
def _renderer() -> Renderer:
    """Read the stock themes once for all tests: they cost a third of a second."""
    return Renderer(Themes.load())


@asynccontextmanager
async def open_stand(
    folder: Path, *, url: str | None = None, users_database: str | None = None
) -> AsyncIterator[Stand]:
    """Build a portal on a fresh database; ``users_database`` is where identity looks instead.

    A file ``router.db`` in the folder is taken to be one.
    """
    if url is None:
        url = f"sqlite:///{folder}/router.db"
        if not (folder / "router.db").exists():
            await migrate(url)
    clock, sealer, known = Time(), Sealer([b"s" * 32]), set[tuple[str, str]]()
    async with AsyncExitStack() as stack:
        database, bell, cache = Database(url), PollBell(), MemoryCache()
        users_at = Database(users_database or url)
        for opened in (database, users_at):
            await opened.open()
            stack.push_async_callback(opened.close)
        feed = ChangeFeed(database, bell, period=0.05)
        passwords = Passwords(threads=1, memory_kib=64, passes=1)
        stack.callback(passwords.close)
        errands = await stack.enter_async_context(Errands())
        signing_keys = SigningKeys(database, sealer, bell, feed)
        directory = Directory(database, cache, feed)
        registry = Registry(
            database, bell, platform_domain=Hostname("portal.localhost"), allow_private_upstreams=True
        )
        renderer = _renderer()
        parts = Parts(users_at, bell, feed, cache, sealer, passwords, errands, clock)
        use_cases = _use_cases(parts, known)
        application = build_portal(
            directory=directory,
            use_cases=use_cases,
            signing_keys=signing_keys,
            renderer=renderer,
            images=Images(database),
            error_pages=ErrorPages(renderer),
            csrf_key=b"c" * 32,
            clock=clock,
        )
        tasks = await stack.enter_async_context(Tasks())
        tasks.start(feed.run(), name="changes")
        acme = await _tenant(registry, "acme", "Acme Energy", "#0B6E4F")
        globex = await _tenant(registry, "globex", "Globex", "#ffff00", allow_registration=True)
        users = use_cases.users
        if users_database is None:
            await users.add(acme.id, ADA, "C-1001", PASSWORD, actor="test")
        yield Stand(
            database=database,
            feed=feed,
            registry=registry,
            users=users,
            sessions=use_cases.sessions,
            signing_keys=signing_keys,
            use_cases=use_cases,
            errands=errands,
            sealer=sealer,
            known=known,
            time=clock,
            application=application,
            acme=acme,
            globex=globex,
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """What the use cases are made of."""

    database: Database
    bell: PollBell
    feed: ChangeFeed
    cache: MemoryCache
    sealer: Sealer
    passwords: Passwords
    errands: Errands
    clock: Time


def _use_cases(parts: Parts, known: set[tuple[str, str]]) -> UseCases:
    database, bell, passwords, clock = parts.database, parts.bell, parts.passwords, parts.clock

    async def confirm(_tenant: TenantFacts, customer: str, email: str) -> bool:
        return (customer, email) in known

    users = Users(database, bell, passwords)
    sessions = Sessions(database, parts.cache, bell, parts.feed, clock=clock)
    throttle = Throttle(parts.cache, sessions.addresses)
    queue, links, errands = Outbox(parts.sealer), Links(database, clock=clock), parts.errands
    newcomers = Newcomers(database, bell, links, passwords, clock=clock)
    invoices = InvoiceLinks(database, links, [b"i" * 32], clock=clock)
    return UseCases(
        users=users,
        sessions=sessions,
        sign_in=SignIn(users, passwords, throttle, sessions, clock=clock),
        invitations=Invitations(database, bell, queue, links, newcomers, clock=clock),
        registrations=Registrations(
            database,
            bell,
            queue,
            links,
            invoices,
            newcomers,
            throttle,
            errands,
            confirm=confirm,
            clock=clock,
        ),
        recovery=Recovery(database, bell, queue, links, passwords, throttle, errands, clock=clock),
        account=Account(database, bell, queue, links, passwords, throttle, clock=clock),
    )


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
    """An answer, read whole; ``forms`` are the hidden fields of its forms, by where they are sent."""

    status: int
    headers: Mapping[str, str]
    cookies: tuple[str, ...]
    text: str
    forms: Mapping[str, Mapping[str, str]]

    @property
    def hidden(self) -> Mapping[str, str]:
        """The hidden fields of the first form, which is what the page is for."""
        return next(iter(self.forms.values()), {})


class Browser:
    """One customer's browser, at one tenant's portal."""

    def __init__(self, client: TestClient[web.Request, web.Application], tenant: Tenant) -> None:
        self._client = client
        self.tenant = tenant
        self.host = f"{tenant.hostname}:8443"
        self.jar: dict[str, str] = {}

    def another(self) -> Browser:
        """Give somebody else's browser."""
        return Browser(self._client, self.tenant)

    def visit(self, tenant: Tenant) -> None:
        """Turn to another tenant's portal."""
        self.tenant, self.host = tenant, f"{tenant.hostname}:8443"

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Page:
        """Go to an address."""
        return await self.send("GET", path, headers=headers or {})

    async def submit(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Page:
        """Send a form as a browser does from a page of the same site."""
        sent = {"Origin": f"https://{self.host}", "Sec-Fetch-Site": "same-origin"} | dict(headers or {})
        return await self.send("POST", path, headers=sent, fields=fields)

    async def fill(self, address: str, **typed: str) -> Page:
        """Open a page, fill in its form, send it."""
        page = await self.get(address)
        return await self.submit(address.partition("?")[0], {**page.hidden, **typed})

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
                await answer.text(errors="replace"),  # a picture is none
                {},
            )
        return self._keep(page)

    def _keep(self, page: Page) -> Page:
        for cookie in page.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.jar.pop(name, None)
            if value.strip('"'):
                self.jar[name] = value
        forms = _Forms()
        forms.feed(page.text)
        return replace(page, forms=forms.found)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str]] = {}
        self._form: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "form":
            self._form = self.found.setdefault(named["action"] or "", {})
        elif tag == "input" and named.get("type") == "hidden":
            self._form[named["name"] or ""] = named["value"] or ""


@asynccontextmanager
async def serving(stand: Stand) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    """Serve the portal on a socket of its own."""
    async with TestClient(TestServer(stand.application)) as client:
        yield client
