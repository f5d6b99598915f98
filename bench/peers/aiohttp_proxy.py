"""A plain proxy in aiohttp, as its documentation would have one write it; aiohttp_plain.py starts it.

`python aiohttp_proxy.py PORT UPSTREAM_PORT CERTIFICATE KEY ACCESS_LOG IDLE_SECONDS`
"""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import ssl
import sys
import uuid
from typing import TYPE_CHECKING

import uvloop
from aiohttp import ClientSession, TCPConnector, WSMsgType, web
from multidict import CIMultiDict
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp import ClientWebSocketResponse
    from multidict import CIMultiDictProxy

    Socket = ClientWebSocketResponse | web.WebSocketResponse

_HOP_BY_HOP = ("Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade")
_WEBSOCKET = (
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Accept",
)
_LINES_AT_ONCE = 400


class Proxy:
    """Forwards every request to one upstream."""

    def __init__(self, client: ClientSession, upstream: str, port: int) -> None:
        self._client = client
        self._upstream = upstream
        self._port = port

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Answer as the upstream does, both bodies as they come."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._tunnel(request)
        asked = self._client.request(
            request.method,
            self._target(request),
            headers=self._headers(request),
            data=request.content.iter_any() if request.can_read_body else None,
            allow_redirects=False,
        )
        async with asked as answer:
            response = web.StreamResponse(status=answer.status, headers=_end_to_end(answer.headers))
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response

    async def _tunnel(self, request: web.Request) -> web.StreamResponse:
        headers = self._headers(request)
        for name in _WEBSOCKET:
            headers.popall(name, None)
        here = web.WebSocketResponse(compress=False)
        async with self._client.ws_connect(self._target(request), headers=headers) as there:
            await here.prepare(request)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(here, there))
                both.create_task(_pass_on(there, here))
        return here

    def _target(self, request: web.Request) -> URL:
        return URL(self._upstream + request.raw_path, encoded=True)

    def _headers(self, request: web.Request) -> CIMultiDict[str]:
        headers = _end_to_end(request.headers)
        headers["X-Forwarded-For"] = request.remote or ""
        headers["X-Forwarded-Proto"] = request.scheme
        headers["X-Forwarded-Host"] = request.host
        headers["X-Forwarded-Port"] = str(self._port)
        headers["X-Request-Id"] = uuid.uuid4().hex
        return headers


def _end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    kept = CIMultiDict(headers)
    for name in _HOP_BY_HOP:
        kept.popall(name, None)
    return kept


async def _pass_on(one: Socket, other: Socket) -> None:
    async for message in one:
        if message.type is WSMsgType.TEXT:
            await other.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await other.send_bytes(message.data)
    await other.close()


def _application(port: int, upstream_port: int) -> web.Application:
    async def with_client(app: web.Application) -> AsyncIterator[None]:
        connector = TCPConnector(limit=0)
        async with ClientSession(connector=connector, auto_decompress=False) as client:
            proxy = Proxy(client, f"http://127.0.0.1:{upstream_port}", port)
            app[_PROXY] = proxy
            yield

    async def forward(request: web.Request) -> web.StreamResponse:
        return await request.app[_PROXY].forward(request)

    app = web.Application()
    app.cleanup_ctx.append(with_client)
    app.router.add_route("*", "/{path:.*}", forward)
    return app


_PROXY = web.AppKey("proxy", Proxy)


def _write_log_buffered(path: str) -> logging.Logger:
    logger = logging.getLogger("aiohttp.access")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.handlers.MemoryHandler(_LINES_AT_ONCE, target=logging.FileHandler(path)))
    return logger


def main(port: str, upstream_port: str, certificate: str, key: str, log: str, idle: str) -> None:
    """Serve until told to stop."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    make_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    web.run_app(
        _application(int(port), int(upstream_port)),
        host="127.0.0.1",
        port=int(port),
        ssl_context=context,
        access_log=_write_log_buffered(log),
        keepalive_timeout=float(idle),
        print=lambda _: None,
        loop=make_loop(),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
