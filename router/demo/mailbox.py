"""The demo's mailbox: the mails that the router wrote into a folder, on a page of this machine alone.

The links in them open accounts, so whoever asks by another name than this machine's is refused: a website
that has its own name resolve to 127.0.0.1 (DNS rebinding) reads nothing here.
"""

from __future__ import annotations

import asyncio
import email
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import policy
from pathlib import Path
from socket import create_server
from typing import TYPE_CHECKING, Final

import jinja2
from aiohttp import web
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from aiohttp.typedefs import Handler

_LOOPBACK: Final = "127.0.0.1"
_NAMES: Final = frozenset({_LOOPBACK, "localhost"})
_MOST: Final = 200
_ID: Final = re.compile(r"[A-Za-z0-9_]+")
_LINK: Final = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; "
    "frame-ancestors 'self'; base-uri 'none'; form-action 'none'",
}
# What a theme wrote is shown as a mail program would: without scripts and forms, links in a new window.
_SANDBOX: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src https: data:; frame-ancestors 'self'"
)


@dataclass(frozen=True, slots=True)
class DemoMail:
    """A mail in the folder."""

    id: str
    sender: str
    recipient: str
    subject: str
    date: datetime | None
    text: str
    html: str

    @property
    def linked_text(self) -> Markup:
        """The text, with its links to click on."""
        parts, end = [], 0
        for link in _LINK.finditer(self.text):
            address = escape(link[0])
            parts += [escape(self.text[end : link.start()]), Markup('<a href="{0}">{0}</a>').format(address)]
            end = link.end()
        return Markup("").join([*parts, escape(self.text[end:])])


def build_mailbox(folder: Path) -> web.Application:
    """Put the application together; ``folder`` need not be there yet."""
    pages = _Pages(folder)
    application = web.Application(middlewares=[_for_this_machine])
    application.add_routes(
        [
            web.get("/", pages.list),
            web.get("/{id}", pages.mail),
            web.get("/{id}/html", pages.html),
        ]
    )
    return application


@asynccontextmanager
async def mailbox(folder: Path) -> AsyncIterator[str]:
    """Serve the mailbox on a free port of this machine; answer its URL."""
    with create_server((_LOOPBACK, 0)) as listening:
        runner = web.AppRunner(build_mailbox(folder), access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()
            yield f"http://{_LOOPBACK}:{listening.getsockname()[1]}/"
        finally:
            await runner.cleanup()


@web.middleware
async def _for_this_machine(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.url.host not in _NAMES:
        raise web.HTTPMisdirectedRequest(text="This page is at http://127.0.0.1 only.\n")
    return await handler(request)


class _Pages:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        pages = Path(__file__).parent / "pages"
        self._environment = jinja2.Environment(loader=jinja2.FileSystemLoader(pages), autoescape=True)

    async def list(self, _request: web.Request) -> web.Response:
        """List the mails, the newest first."""
        mails = await asyncio.to_thread(read_mails, self._folder)
        return self._page("mails.html", mails=mails)

    async def mail(self, request: web.Request) -> web.Response:
        """Show one mail, both ways."""
        return self._page("mail.html", mail=await self._found(request))

    async def html(self, request: web.Request) -> web.Response:
        """Show the HTML alone, for the frame on the mail's page."""
        shown = (await self._found(request)).html
        text = shown.replace("<head>", '<head><base target="_blank">', 1)
        headers = _HEADERS | {"Content-Security-Policy": _SANDBOX}
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _found(self, request: web.Request) -> DemoMail:
        mail_id = request.match_info["id"]
        path = self._folder / f"{mail_id}.eml"
        if not _ID.fullmatch(mail_id) or not await asyncio.to_thread(path.is_file):
            raise web.HTTPNotFound(text="There is no such mail.\n")
        return await asyncio.to_thread(_read, path)

    def _page(self, name: str, **facts: object) -> web.Response:
        text = self._environment.get_template(name).render(facts)
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)


def read_mails(folder: Path) -> Sequence[DemoMail]:
    """Read the newest mails of a folder, the newest first."""
    files = [(path.stat().st_mtime_ns, path) for path in folder.glob("mail_*.eml")]
    return [_read(path) for _, path in sorted(files, reverse=True)[:_MOST]]


def _read(path: Path) -> DemoMail:
    message = email.message_from_bytes(path.read_bytes(), policy=policy.default)
    text, html = (message.get_body([kind]) for kind in ("plain", "html"))
    return DemoMail(
        id=path.stem,
        sender=str(message["From"]),
        recipient=str(message["To"]),
        subject=str(message["Subject"]),
        date=message["Date"].datetime if message["Date"] else None,
        text=text.get_content().replace("\r\n", "\n") if text else "",
        html=html.get_content() if html else "",
    )
