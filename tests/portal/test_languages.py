"""Which language a page is in, as a browser sees it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from router.languages.choice import LANGUAGE_COOKIE
from router.tenants.branding import BrandingForm
from router.tenants.form import TenantForm
from tests.portal.stand import PASSWORD

if TYPE_CHECKING:
    from tests.portal.stand import Browser, Page, Stand


def spoken(page: Page) -> str:
    """What the page says its language is."""
    found = re.search(r'<html lang="([^"]*)"', page.text)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("cookie", "accept", "tenant", "language"),
    [
        ("", "", "", "en"),
        ("", "", "de", "de"),
        ("", "it, fr;q=0.5", "de", "fr"),
        ("", "it", "de", "de"),
        ("es", "fr", "de", "es"),
        ("xx", "fr", "de", "fr"),
        ("en", "fr", "de", "en"),
    ],
    ids=["nobody", "tenant", "browser", "browser-in-vain", "chosen", "nonsense", "english-chosen"],
)
@pytest.mark.parametrize(
    ("path", "status"), [("/-/sign-in", 200), ("/-/nothing", 404)], ids=["page", "error"]
)
async def test_who_is_heard(
    stand: Stand,
    browser: Browser,
    path: str,
    status: int,
    cookie: str,
    accept: str,
    tenant: str,
    language: str,
) -> None:
    """The visitor's choice, the browser, the tenant, English: in this order, on errors too; caches know."""
    change = TenantForm(branding=BrandingForm(language=tenant))
    await stand.registry.change("acme", change, actor="test")
    await stand.settled()
    browser.jar[LANGUAGE_COOKIE] = cookie
    page = await browser.get(path, {"Accept-Language": accept} if accept else {})
    assert (page.status, spoken(page)) == (status, language)
    assert page.headers["Vary"] == "Accept-Language, Cookie"


@pytest.mark.parametrize(
    ("language", "title"),
    [("de", "Anmelden"), ("en", "Sign in"), ("es", "Iniciar sesión"), ("fr", "Se connecter")],
)
async def test_a_page_is_in_the_language_it_says(browser: Browser, language: str, title: str) -> None:
    """What the attribute promises is what the page says."""
    page = await browser.get("/-/sign-in", {"Accept-Language": language})
    assert spoken(page) == language
    assert f"<h1>{title}</h1>" in page.text


async def test_an_account_brings_its_language(stand: Stand, browser: Browser) -> None:
    """Signing in sets a browser in which nobody chose to the account's language, and leaves others alone."""
    await stand.users.add(
        stand.acme.id, "luc@customer.example", "C-1002", PASSWORD, language="fr", actor="test"
    )
    french, other = browser.another(), browser.another()
    other.jar[LANGUAGE_COOKIE] = "es"
    for each in (french, other):
        await each.sign_in("luc@customer.example")
    assert spoken(await french.get("/-/account", {"Accept-Language": "de"})) == "fr"
    assert spoken(await other.get("/-/account", {"Accept-Language": "de"})) == "es"
    await browser.sign_in()
    assert spoken(await browser.get("/-/account", {"Accept-Language": "de"})) == "de"
