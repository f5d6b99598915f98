"""A page in a window of its own, whoever serves it, and axe's judgement of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from axe_playwright_python.async_playwright import Axe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from playwright.async_api import Browser, Page


class Look(TypedDict, total=False):
    """How a window looks, in pixels: a desktop by day with scripts, unless it says otherwise."""

    width: int
    height: int
    scheme: str
    javascript: bool


@asynccontextmanager
async def opened(
    chromium: Browser,
    address: str,
    edges: Mapping[str, str],
    *,
    cookies: Sequence[Any] = (),
    **look: Unpack[Look],
) -> AsyncIterator[Page]:
    """Open ``address`` with what the edge would say of it, and with cookies as Playwright wants them."""
    context = await chromium.new_context(
        ignore_https_errors=True,
        viewport={"width": look.get("width", 1280), "height": look.get("height", 800)},
        color_scheme="dark" if look.get("scheme") == "dark" else "light",
        java_script_enabled=look.get("javascript", True),
        extra_http_headers={"X-Router-Client": "203.0.113.7", "X-Router-Request-Id": "req-1", **edges},
    )
    await context.add_cookies(cookies)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(address)
    yield page
    await context.close()
    # A violation of the Content-Security-Policy is reported on the console.
    assert not [text for text in complaints if "Security" in text]


async def accessible(page: Page, *, iframes: bool = True) -> None:
    """Have axe judge the page, and the frames in it, by the rules of WCAG 2.2 AA and by good practice."""
    results = await Axe().run(page, options={"iframes": iframes})
    assert len(results.response["passes"]) > 10  # it did look
    assert results.violations_count == 0, results.generate_report()
    # Nothing is wider than the window, so that nobody scrolls two ways.
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
