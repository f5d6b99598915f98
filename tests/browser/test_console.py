"""The console's pages in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.console_window import window
from tests.browser.page import accessible
from tests.console.page_browser import PASSWORD, signed_in

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.console.stand import Stand

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("javascript", [True, False], ids=["scripts", "no-scripts"])
async def test_from_the_first_link_to_the_end(
    console: Stand,
    console_port: int,
    chromium: Browser,
    javascript: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """A link, a password, signed in; signed out and in again: with the keyboard alone, scripts or none."""
    email = f"ada-{javascript}@example.com".lower()
    token, _ = await console.use_cases.operators.add(email, tenant_id=None, read_only=False, actor="test")
    async with window(chromium, console_port, f"/welcome?t={token}", javascript=javascript) as page:
        await page.focus("#password")
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Tab")
        await page.keyboard.type(PASSWORD)
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        assert email in await page.inner_text("header")
        assert "t=" not in page.url
        [cookie] = [each for each in await page.context.cookies() if each["name"].endswith("session")]
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
        async with page.expect_navigation(url="**/sign-in?done=signed-out"):
            await page.click("text=Sign out")
        assert await page.inner_text("[role=status]") == "You are signed out."
        await page.focus("#email")
        await page.keyboard.type(email)
        await page.keyboard.press("Tab")
        await page.keyboard.type(PASSWORD)
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        assert email in await page.inner_text("header")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_entrance_is_accessible(
    console: Stand, console_port: int, chromium: Browser, scheme: str
) -> None:
    """Signing in, with faults, on a phone too; a link; an error: axe finds nothing."""
    token = await console.use_cases.operators.add(
        f"{scheme}@example.com", tenant_id=None, read_only=False, actor="test"
    )
    for path in ("/sign-in", f"/welcome?t={token[0]}", "/welcome?t=gone", "/nothing"):
        async with window(chromium, console_port, path, scheme=scheme) as page:
            await accessible(page)
            await page.set_viewport_size({"width": 360, "height": 740})
            if await page.query_selector("main button"):
                await page.click("main button")
                await page.wait_for_selector(".summary")
            await accessible(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_account_is_accessible(
    console: Stand, console_port: int, chromium: Browser, scheme: str
) -> None:
    """With several sessions, and after a fault: axe finds nothing, on a phone too."""
    browser = await signed_in(console, email=f"account-{scheme}@example.com")
    operator = await console.use_cases.operators.find_by_email(f"account-{scheme}@example.com")
    assert operator is not None
    await console.use_cases.operator_sessions.start(
        operator, address="2001:db8:7:1::42", user_agent="Mozilla/5.0 (X11; Linux x86_64)", previous=None
    )
    session = browser.cookies["__Host-console-session"]
    async with window(chromium, console_port, "/account", session=session, scheme=scheme) as page:
        await accessible(page)
        await page.set_viewport_size({"width": 360, "height": 740})
        await page.click("text=Change password")
        await page.wait_for_selector(".summary")
        await accessible(page)


async def test_another_sites_link_finds_who_is_signed_in(
    console: Stand, console_port: int, chromium: Browser
) -> None:
    """Though the cookie is kept back with such a link: a page of ours asks for the same address again."""
    browser = await signed_in(console, email="linked@example.com")
    session = browser.cookies["__Host-console-session"]
    async with window(chromium, console_port, "/sign-in", session=session) as page:
        address = f"https://admin.portal.localhost:{console_port}/account"
        await page.goto("about:blank")
        await page.set_content(f'<a href="{address}">there</a>')
        await page.click("a")
        await page.wait_for_selector("text=Where you are signed in")
