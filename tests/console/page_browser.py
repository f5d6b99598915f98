"""A browser before the console's pages, as the edge lets it through: it keeps cookies and sends forms."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

import pytest
from aiohttp import ClientSession, FormData
from yarl import URL

from router.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from router.tenants.tenant import Tenant
    from tests.console.stand import Stand

ORIGIN = "https://admin.portal.example:8443"
PASSWORD = "violet-anvil-93-cantata"
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: str
    set_cookies: tuple[str, ...] = ()

    @property
    def location(self) -> str:
        """Where it leads."""
        return self.headers.get("Location", "")

    @property
    def title(self) -> str:
        """The heading."""
        found = re.search(r"<h1>(.*?)</h1>", self.body, re.DOTALL)
        return unescape(found[1]) if found else ""

    @property
    def codes(self) -> list[str]:
        """The codes of the faults in the summary, or on a page that tells of a failure."""
        summary = re.search(r'class="summary".*?</div>', self.body, re.DOTALL)
        return re.findall(r'<code class="code">(.*?)</code>', summary[0]) if summary else []

    @property
    def notice(self) -> str:
        """What was done, as the page tells it."""
        found = re.search(r'class="notice"[^>]*>(.*?)</p>', self.body)
        return unescape(found[1]) if found else ""

    @property
    def csrf(self) -> str:
        """The token of the page's forms."""
        found = re.search(r'name="csrf" value="([^"]*)"', self.body)
        return found[1] if found else ""

    def value(self, name: str) -> str:
        """What stands in a field."""
        found = re.search(rf'name="{re.escape(name)}"[^>]* value="([^"]*)"', self.body)
        return unescape(found[1]) if found else ""


class PageBrowser:
    """Somebody's browser; ``cookies`` are those of the admin hostname."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.cookies: dict[str, str] = {}
        self.address = "192.0.2.7"

    async def get(self, path: str, **fields: str) -> Shown:
        """Open a page; further fields of the head by name, ``Sec_Fetch_Site="cross-site"``."""
        return await self._ask("GET", path, fields, None)

    async def post(
        self,
        path: str,
        data: Mapping[str, str | tuple[str, bytes]] | None = None,
        *,
        page: str = "/account",
        said: Mapping[str, str] = _NOTHING,
    ) -> Shown:
        """Send a form, with the token of ``page``, and from our own origin unless ``said`` says else.

        A pair of a file's name and its octets is a file; then it is sent as multipart/form-data.
        """
        token = (await self.get(page)).csrf
        form = FormData(default_to_multipart=any(isinstance(each, tuple) for each in (data or {}).values()))
        for name, value in ({"csrf": token} | dict(data or {})).items():
            if isinstance(value, tuple):
                form.add_field(name, value[1], filename=value[0], content_type="application/octet-stream")
            else:
                form.add_field(name, value)
        return await self._ask("POST", path, {"Origin": ORIGIN} | dict(said), form)

    async def send(self, path: str, form: FormData) -> Shown:
        """Send a form as it is, from our own origin."""
        return await self._ask("POST", path, {"Origin": ORIGIN}, form)

    async def sign_in(self, email: str, password: str = PASSWORD, *, return_to: str = "") -> Shown:
        """Sign in by the form."""
        typed = {"email": email, "password": password, "return": return_to}
        return await self.post("/sign-in", typed, page="/sign-in")

    async def _ask(self, method: str, path: str, fields: Mapping[str, str], form: FormData | None) -> Shown:
        headers = {
            "X-Router-Host": "admin.portal.example:8443",
            "X-Router-Client": self.address,
            "X-Router-Request-Id": "req-1",
            "User-Agent": "Browser/1.0",
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
        } | {name.replace("_", "-"): value for name, value in fields.items()}
        url = URL(self._url + path, encoded=True)
        async with (
            ClientSession() as session,
            session.request(method, url, headers=headers, data=form, allow_redirects=False) as answer,
        ):
            for name, cookie in answer.cookies.items():
                self.cookies[name] = cookie.value
                if not cookie.value:
                    del self.cookies[name]
            set_cookies = tuple(answer.headers.getall("Set-Cookie", []))
            return Shown(answer.status, dict(answer.headers), await answer.text(), set_cookies)


@contextmanager
def database_away(stand: Stand) -> Iterator[None]:
    """Have nobody reach the stand's database, as a database that does not answer would."""

    def away(*_: object) -> NoReturn:
        raise Unavailable("database_unavailable", "The database does not answer.")

    with pytest.MonkeyPatch.context() as patch:
        for way in ("read", "write"):
            patch.setattr(type(stand.database), way, away)
        yield


async def signed_in(
    stand: Stand, tenant: Tenant | None = None, *, read_only: bool = False, email: str = ""
) -> PageBrowser:
    """Give the browser of an operator who is signed in: of a tenant, or of the platform."""
    whose = tenant.slug if tenant is not None else "platform"
    email = email or f"{'reader' if read_only else 'operator'}@{whose}.example"
    owner = tenant.id if tenant is not None else None
    link, _ = await stand.use_cases.operators.add(email, tenant_id=owner, read_only=read_only, actor="test")
    operator = await stand.use_cases.operator_sign_in.welcome(link, PASSWORD)
    browser = PageBrowser(stand.url)
    token = await stand.use_cases.operator_sessions.start(
        operator, address="192.0.2.7", user_agent="Browser/1.0", previous=None
    )
    browser.cookies["__Host-console-session"] = token
    return browser
