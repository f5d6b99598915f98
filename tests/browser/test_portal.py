"""The portal's pages in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from router.identity.session import COOKIE
from router.portal.forms import local_target
from router.portal.palette import make_palette
from router.tenants.form import TenantForm
from tests.browser.page import accessible
from tests.portal.stand import ADA, PASSWORD

if TYPE_CHECKING:
    from tests.browser.conftest import Visit
    from tests.portal.stand import Stand

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

CORPUS = Path(__file__).parent.parent / "corpora" / "open_redirects.txt"
COLOURS = ("#0b6e4f", "#ffff00", "#000000", "#ffffff", "#c2185b", "#767676")


async def in_colour(portal: Stand, colour: str) -> None:
    """Give Acme another theme colour."""
    await portal.registry.change("acme", TenantForm(theme_colour=colour), actor="test")
    await portal.settled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("colour", COLOURS)
async def test_the_sign_in_page_is_accessible(portal: Stand, visit: Visit, colour: str, scheme: str) -> None:
    """In any colour, by day and by night, with errors on a phone or without, axe finds nothing."""
    await in_colour(portal, colour)
    async with visit(portal.acme, scheme=scheme) as page:
        await accessible(page)
        await page.set_viewport_size({"width": 390, "height": 844})
        await page.click("button")
        await page.wait_for_selector(".fault")
        await accessible(page)


async def test_the_other_pages_are_accessible(portal: Stand, visit: Visit) -> None:
    """Signed out, an error, signing out: axe finds nothing."""
    for scheme in ("light", "dark"):
        for path in ("/-/signed-out", "/-/nothing"):
            async with visit(portal.globex, path, scheme=scheme) as page:
                await accessible(page)


@pytest.mark.parametrize("javascript", [True, False])
async def test_a_customer_signs_in_and_out_with_the_keyboard(
    portal: Stand,
    visit: Visit,
    javascript: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Typing, Tab and Enter are enough, with scripts and without; afterwards the session is gone."""
    async with visit(portal.acme, "/-/sign-in?return=/invoices", javascript=javascript) as page:
        await page.wait_for_selector("#email:focus")
        await page.keyboard.type(ADA)
        await page.keyboard.press("Tab")
        await page.wait_for_selector("#password:focus")
        await page.keyboard.type(PASSWORD)
        async with page.expect_navigation(url="**/invoices"):
            await page.keyboard.press("Enter")
        cookie = next(found for found in await page.context.cookies() if found["name"] == COOKIE)
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
        token = cookie["value"]
        await page.goto(page.url.replace("/invoices", "/-/sign-out"))
        assert ADA in await page.inner_text("main")
        if javascript:
            await accessible(page)
        async with page.expect_navigation(url="**/-/signed-out"):
            await page.click("button")
        assert COOKIE not in [found["name"] for found in await page.context.cookies()]
    assert await portal.session(token) is None


async def test_after_a_refusal_only_the_password_is_typed_again(portal: Stand, visit: Visit) -> None:
    """The e-mail address is kept, the error is announced, and the cursor stands in the password field."""
    async with visit(portal.acme) as page:
        await page.fill("#email", ADA)
        await page.fill("#password", "wrong")
        await page.click("button")
        assert "is not right" in await page.inner_text('[role="alert"]')
        assert await page.input_value("#email") == ADA
        assert await page.input_value("#password") == ""
        await page.wait_for_selector("#password:focus")
        assert (await page.title()).startswith("Error: ")


async def test_the_page_fits_when_it_is_zoomed(portal: Stand, visit: Visit) -> None:
    """At 200 % on a desktop and at 320 px (400 %) nothing has to be scrolled sideways (WCAG 1.4.10)."""
    for path in ("/-/sign-in", "/-/nothing", "/-/signed-out"):
        for width, height in ((640, 400), (320, 256)):
            async with visit(portal.acme, path, width=width, height=height) as page:
                assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_what_has_the_focus_is_seen(portal: Stand, visit: Visit) -> None:
    """Each control shows a ring of 3 px in the palette's focus colour when the keyboard reaches it."""
    await in_colour(portal, "#0b6e4f")
    async with visit(portal.acme) as page:
        await page.wait_for_selector("#email:focus")
        for name in ("email", "password", ""):
            ring = await page.evaluate(
                "[document.activeElement.id, getComputedStyle(document.activeElement).outline]"
            )
            assert ring == [name, f"{_rgb(make_palette('#0b6e4f').light.focus)} solid 3px"]
            await page.keyboard.press("Tab")


async def test_an_error_page_is_in_the_tenants_colour(portal: Stand, visit: Visit) -> None:
    """The browser accepts the error page's own style by its hash: the panel is in the tenant's colour."""
    await in_colour(portal, "#c2185b")
    async with visit(portal.acme, "/-/nothing") as page:
        ground = await page.evaluate("getComputedStyle(document.querySelector('.front')).backgroundColor")
        assert ground == _rgb("#c2185b")


async def test_a_browser_is_led_nowhere_else(portal: Stand, visit: Visit) -> None:
    """The browser's own reading of every target we let through is an address of this very origin."""
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    targets = [local_target(unquote(line)) for line in lines] + [
        "/a//b",
        "/@x",
        "/http://evil.example",
    ]
    async with visit(portal.acme) as page:
        origins = await page.evaluate(
            "targets => [...new Set(targets.map(target => new URL(target, location.href).origin))]", targets
        )
        assert origins == [await page.evaluate("location.origin")]


def _rgb(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"
