"""A browser's window at the console: TLS as the cookies demand, and the edge's part."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Unpack
from urllib.parse import urlsplit

import trustme

from tests.browser.page import Look, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from playwright.async_api import Browser, Page

HOST = "admin.portal.localhost"


@asynccontextmanager
async def over_tls(url: str) -> AsyncIterator[int]:
    """Pass what comes in over TLS on to a server in plain text; the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("*.portal.localhost").configure_cert(context)
    there = urlsplit(url)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            onward = await asyncio.open_connection(there.hostname, there.port)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pipe(reader, onward[1]))
                group.create_task(_pipe(onward[0], writer))

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with suppress(ConnectionError, ssl.SSLError, RuntimeError):
        writer.close()


def window(
    chromium: Browser, port: int, path: str = "/", *, session: str = "", **look: Unpack[Look]
) -> AbstractAsyncContextManager[Page]:
    """Open a page of the console; ``session`` is the token of an operator's session, if one is signed in."""
    host = f"{HOST}:{port}"
    cookie = {
        "name": "__Host-console-session",
        "value": session,
        "url": f"https://{host}/",
        "secure": True,
        "httpOnly": True,
        "sameSite": "Strict",
    }
    cookies = [cookie] if session else []
    return opened(chromium, f"https://{host}{path}", {"X-Router-Host": host}, cookies=cookies, **look)
