"""The demo backend: a small invoices application, such as a platform would have behind the router.

Runs inside ``tenant-router demo``, or alone: ``python -m router.demo.backend --port 8000``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import itertools
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final

import jinja2
from aiohttp import BodyPartReader, WSCloseCode, WSMsgType, web

from router.demo.verifier import Identity, NotVerified, Verifier

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from aiohttp.typedefs import Handler

TICK_SECONDS: Final = 1.0
"""Between two events of the event stream."""

_IDENTITY: Final = web.RequestKey("identity", Identity)
_SOCKETS: Final = web.AppKey("sockets", set[web.WebSocketResponse])
_MAX_MESSAGE: Final = 1 << 20
_AMOUNTS: Final = (129_00, 89_50, 1_240_00, 49_90)


def build_backend(verifier: Verifier) -> web.Application:
    """Put the application together; whoever ``verifier`` does not vouch for sees none of it."""
    application = web.Application(middlewares=[_Guard(verifier).admit])
    application[_SOCKETS] = set()
    application.on_shutdown.append(_close_sockets)
    pages = _Pages()
    application.add_routes(
        [
            web.get("/healthz", _alive),
            web.get("/", pages.invoices),
            web.get("/upload", pages.upload_form),
            web.post("/upload", pages.uploaded),
            web.get("/live", pages.live),
            web.get("/events", _events),
            web.get("/echo", pages.echo),
            web.get("/whoami", _who_am_i),
        ]
    )
    return application


class _Guard:
    """Admits the verified, and nobody else; a load balancer's question needs no identity."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Verify first, answer then."""
        if request.path == "/healthz":
            return await handler(request)
        try:
            request[_IDENTITY] = await self._verifier.verify(request.headers.get("X-Portal-Jwt-Assertion"))
        except NotVerified as fault:
            return web.json_response({"error": "not_verified", "detail": str(fault)}, status=401)
        return await handler(request)


class _Pages:
    """The pages for people, rendered from router/demo/pages."""

    def __init__(self) -> None:
        folder = Path(__file__).parent / "pages"
        self._environment = jinja2.Environment(loader=jinja2.FileSystemLoader(folder), autoescape=True)

    async def invoices(self, request: web.Request) -> web.Response:
        """List the customer's invoices, and say who the router says is asking."""
        plain = {name: value for name, value in request.headers.items() if name.startswith("X-")}
        plain.pop("X-Portal-Jwt-Assertion")
        return self._page(request, "invoices.html", invoices=_invoices(request[_IDENTITY]), plain=plain)

    async def upload_form(self, request: web.Request) -> web.Response:
        """Show the form."""
        return self._page(request, "upload.html", received=None)

    async def uploaded(self, request: web.Request) -> web.Response:
        """Say how much arrived, and its SHA-256: from the form, or the body itself from a program."""
        if request.content_type != "multipart/form-data":
            size, digest = await _measure(request.content.read)
            return web.json_response({"size": size, "sha256": digest})
        part = await (await request.multipart()).next()
        if not isinstance(part, BodyPartReader):
            raise web.HTTPBadRequest(text="The form has no file.")
        size, digest = await _measure(part.read_chunk)
        return self._page(request, "upload.html", received={"size": size, "sha256": digest})

    async def live(self, request: web.Request) -> web.Response:
        """Show the event stream."""
        return self._page(request, "live.html")

    async def echo(self, request: web.Request) -> web.StreamResponse:
        """Answer the WebSocket; show the page that opens it to whoever asks without one."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await _echo(request)
        return self._page(request, "echo.html")

    def _page(self, request: web.Request, name: str, **facts: object) -> web.Response:
        text = self._environment.get_template(name).render(identity=request[_IDENTITY], **facts)
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})


async def _measure(read: Callable[[int], Awaitable[bytes]]) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    while chunk := await read(1 << 16):
        size += len(chunk)
        digest.update(chunk)
    return size, digest.hexdigest()


def _invoices(identity: Identity) -> list[dict[str, str]]:
    """Make up invoices that stay the same for a customer."""
    seed = hashlib.sha256(f"{identity.tenant}/{identity.customer}".encode()).digest()
    amounts = [_AMOUNTS[byte % len(_AMOUNTS)] + byte for byte in seed[:4]]
    return [
        {
            "number": f"{identity.customer}-{2026_00 + month}",
            "date": f"2026-{month:02}-01",
            "amount": f"{amount // 100}.{amount % 100:02} EUR",
        }
        for month, amount in enumerate(amounts, start=7)
    ]


async def _alive(_request: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def _who_am_i(request: web.Request) -> web.Response:
    return web.json_response(request[_IDENTITY].claims)


async def _events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionResetError):  # whoever watched has left, as everybody does some time
        for number in itertools.count(1):
            await response.write(f"id: {number}\ndata: invoice {number} was looked at\n\n".encode())
            await asyncio.sleep(TICK_SECONDS)
    return response


async def _echo(request: web.Request) -> web.WebSocketResponse:
    echo = web.WebSocketResponse(max_msg_size=_MAX_MESSAGE)
    await echo.prepare(request)
    sockets = request.app[_SOCKETS]
    sockets.add(echo)
    try:
        async for message in echo:
            if message.type is WSMsgType.TEXT:
                await echo.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await echo.send_bytes(message.data)
    finally:
        sockets.discard(echo)
    return echo


async def _close_sockets(application: web.Application) -> None:
    sockets = application[_SOCKETS]
    for echo in list(sockets):
        await echo.close(code=WSCloseCode.GOING_AWAY, message=b"the backend stops")


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; each option may also be an environment variable."""
    parser = argparse.ArgumentParser(prog="python -m router.demo.backend", description=__doc__)

    def option(name: str, text: str, default: str | None = None) -> None:
        variable = f"BACKEND_{name.upper().replace('-', '_')}"
        given = os.environ.get(variable) or default
        parser.add_argument(f"--{name}", default=given, required=given is None, help=f"{text}; or {variable}")

    option("bind", "the address to listen on", "127.0.0.1")
    option("port", "the port to listen on", "8000")
    option("jwks-url", "where the router publishes its keys, as https://PORTAL/.well-known/portal-jwks.json")
    option("issuer", "the platform, as https://DOMAIN")
    option("audience", "this backend's URL as the tenants' upstream has it")
    option("ca", "a file with the authority that signed the portal's certificate, if it is not public", "")
    option("connect", "the host to fetch the keys from, whatever DNS says of the URL's", "")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to stop."""
    told = _arguments(arguments)
    verifier = Verifier(
        told.jwks_url,
        issuer=told.issuer,
        audience=told.audience,
        trust=ssl.create_default_context(cafile=told.ca) if told.ca else None,
        address=told.connect or None,
    )
    web.run_app(build_backend(verifier), host=told.bind, port=int(told.port))


if __name__ == "__main__":
    main()
