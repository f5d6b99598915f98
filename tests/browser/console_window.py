"""A browser's window at the console: TLS as the cookies demand, and the edge's part."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trustme
from axe_playwright_python.async_playwright import Axe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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


@asynccontextmanager
async def window(
    chromium: Browser,
    port: int,
    path: str = "/",
    *,
    session: str = "",
    width: int = 1280,
    height: int = 800,
    scheme: str = "light",
    javascript: bool = True,
) -> AsyncIterator[Page]:
    """Open a page of the console; ``session`` is the token of an operator's session, if one is signed in."""
    host = f"{HOST}:{port}"
    context = await chromium.new_context(
        ignore_https_errors=True,
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=javascript,
        extra_http_headers={  # the edge's part
            "X-Router-Host": host,
            "X-Router-Client": "203.0.113.7",
            "X-Router-Request-Id": "req-1",
        },
    )
    if session:
        cookie = {"name": "__Host-console-session", "value": session, "url": f"https://{host}/"}
        await context.add_cookies([{**cookie, "secure": True, "httpOnly": True, "sameSite": "Strict"}])  # type: ignore[typeddict-item]  # as Playwright documents it
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(f"https://{host}{path}")
    yield page
    await context.close()
    # A violation of the Content-Security-Policy is reported on the console.
    assert not [text for text in complaints if "Security" in text]


async def accessible(page: Page) -> None:
    """Have axe judge the page by the rules of WCAG 2.2 AA and by good practice."""
    results = await Axe().run(page)
    assert len(results.response["passes"]) > 10  # it did look
    assert results.violations_count == 0, results.generate_report()
    # Nothing is wider than the window, so that nobody scrolls two ways.
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
