"""The page of how a tenant's portal looks and speaks."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image as Picture

from tests.console.page_browser import PageBrowser, signed_in

if TYPE_CHECKING:
    from tests.console.stand import Stand

# What is kept, and how, is tried on both databases by the tests of the use cases.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

PAGE = "/tenants/acme/branding"


def png(width: int = 64, height: int = 32) -> bytes:
    """A picture as somebody uploads it."""
    octets = io.BytesIO()
    Picture.new("RGB", (width, height), "#0b6e4f").save(octets, "PNG")
    return octets.getvalue()


async def save(browser: PageBrowser, **typed: str | tuple[str, bytes]) -> tuple[int, list[str]]:
    """Send the form with what is typed; everything else stays empty."""
    version = (await browser.get(PAGE)).value("version")
    shown = await browser.post(PAGE, {"theme": "default", "version": version} | typed, page=PAGE)
    return shown.status, shown.codes


async def test_texts_are_saved_and_taken_away(stand: Stand) -> None:
    """What is typed is how the portal speaks; what is emptied is gone."""
    browser = await signed_in(stand, stand.acme)
    assert await save(browser, greeting="Hello there", support_email="help@acme.test") == (303, [])
    branding = (await stand.registry.get("acme")).tenant.branding
    assert (branding.greeting, branding.support_email) == ("Hello there", "help@acme.test")
    assert "Hello there" in (await browser.get(PAGE)).body
    assert await save(browser) == (303, [])
    assert (await stand.registry.get("acme")).tenant.branding.greeting == ""


async def test_a_logo_is_uploaded_and_taken_away(stand: Stand) -> None:
    """A file becomes the logo, another save leaves it, and its box takes it away."""
    browser = await signed_in(stand, stand.acme)
    assert (await save(browser, logo=("logo.png", png())))[0] == 303
    logo = (await stand.registry.get("acme")).tenant.branding.logo
    assert logo is not None
    assert (logo.width, logo.height) == (64, 32)
    assert "Now: 64 \N{MULTIPLICATION SIGN} 32 pixels." in (await browser.get(PAGE)).body
    await save(browser, greeting="Still here")
    assert (await stand.registry.get("acme")).tenant.branding.logo == logo
    await save(browser, no_logo="yes")
    assert (await stand.registry.get("acme")).tenant.branding.logo is None


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("theme", "no-such-theme", "unknown_theme"),
        ("support_email", "nobody", "bad_email"),
        ("support_url", "http://acme.test", "bad_url"),
        ("greeting", "x" * 201, "bad_greeting"),
        ("logo", ("logo.png", b"no picture"), "bad_picture"),
    ],
)
async def test_a_fault_is_told_at_its_field(
    stand: Stand, field: str, value: str | tuple[str, bytes], code: str
) -> None:
    """The form comes again with the code at its field, and nothing was changed."""
    browser = await signed_in(stand, stand.acme)
    before = (await stand.registry.get("acme")).tenant
    version = (await browser.get(PAGE)).value("version")
    shown = await browser.post(PAGE, {"version": version, field: value}, page=PAGE)
    assert (shown.status, shown.codes) == (422, [code])
    assert f'href="#{field}"' in shown.body
    assert (await stand.registry.get("acme")).tenant == before


async def test_who_is_late_is_told(stand: Stand) -> None:
    """Two operators save at once: the second gets the page of a conflict, and the first one's words stay."""
    first, second = await signed_in(stand, stand.acme), await signed_in(stand)
    version = (await second.get(PAGE)).value("version")
    await save(first, greeting="First")
    shown = await second.post(PAGE, {"version": version, "greeting": "Second"}, page=PAGE)
    assert shown.status == 409
    assert "Second" in shown.body
    assert (await stand.registry.get("acme")).tenant.branding.greeting == "First"


async def test_a_reader_looks_and_changes_nothing(stand: Stand) -> None:
    """There is no button, and sending the form all the same is refused."""
    browser = await signed_in(stand, stand.acme, read_only=True)
    page = await browser.get(PAGE)
    assert "Save changes" not in page.body
    assert (await browser.post(PAGE, {"greeting": "x"}, page=PAGE)).status == 403
