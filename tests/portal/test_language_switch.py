"""Choosing a language, as a browser sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.languages.choice import LANGUAGE_COOKIE
from tests.portal.stand import ADA

if TYPE_CHECKING:
    from tests.portal.stand import Browser, Stand

PATH = "/-/language"


async def switched(browser: Browser, address: str, language: str) -> str:
    """Choose a language at the foot of a page; where that leads."""
    page = await browser.get(address)
    answer = await browser.submit(PATH, {**page.forms[PATH], "language": language})
    assert answer.status == 303
    return answer.headers["Location"]


@pytest.mark.parametrize("address", ["/-/sign-in?return=%2Finvoices%3Fa%3Db", "/-/forgot", "/-/signed-out"])
async def test_the_choice_leads_back_to_the_page(browser: Browser, address: str) -> None:
    """The page is shown again as it was, in the language that was chosen, and so is every other."""
    assert await switched(browser, address, "de") == address
    assert browser.jar[LANGUAGE_COOKIE] == "de"
    for page in (await browser.get(address), await browser.get("/-/nothing")):
        assert '<html lang="de"' in page.text


async def test_after_a_fault_it_leads_to_the_form(browser: Browser) -> None:
    """On a page that answered a form, the switch leads to the form's own address, with what it carried."""
    answer = await browser.sign_in(password="wrong", return_to="/invoices?a=b")
    assert answer.forms[PATH]["here"] == "/-/sign-in?return=%2Finvoices%3Fa%3Db"


async def test_a_user_takes_it_along(stand: Stand, browser: Browser) -> None:
    """What is chosen while signed in is the account's language: in mails, and in other browsers."""
    await browser.sign_in()
    await switched(browser, "/-/account", "fr")
    user = await stand.users.find_by_email(stand.acme.id, ADA)
    assert user is not None
    assert user.language == "fr"
    await browser.fill("/-/forgot", email=ADA)
    assert [mail.language for mail in await stand.mails()] == ["fr"]


async def test_mails_speak_as_the_page_did(stand: Stand, browser: Browser) -> None:
    """Who has chosen no language in the account gets mails in the one of the page."""
    page = await browser.get("/-/forgot")
    fields = {**page.hidden, "email": ADA}
    await browser.submit("/-/forgot", fields, {"Accept-Language": "es-AR,es;q=0.9"})
    assert [mail.language for mail in await stand.mails()] == ["es"]


@pytest.mark.parametrize("language", ["", "xx", "de-DE-1901", "../de", "de\r\nSet-Cookie: a=b", "x" * 5000])
async def test_only_what_is_spoken_is_chosen(browser: Browser, language: str) -> None:
    """Whatever else is sent is refused, and nothing is remembered."""
    page = await browser.get("/-/sign-in")
    answer = await browser.submit(PATH, {**page.forms[PATH], "language": language})
    assert answer.status == 400
    assert LANGUAGE_COOKIE not in browser.jar


@pytest.mark.parametrize("here", ["//evil.example", "https://evil.example", "/\\evil.example", "/%09/x", ""])
async def test_it_leads_to_no_other_site(browser: Browser, here: str) -> None:
    """A forged way back leads home."""
    page = await browser.get("/-/sign-in")
    answer = await browser.submit(PATH, {**page.forms[PATH], "language": "de", "here": here})
    assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_another_site_chooses_nothing(browser: Browser) -> None:
    """A form from elsewhere, or without its token, is a 403; and a link does nothing at all."""
    page = await browser.get("/-/sign-in")
    fields = {**page.forms[PATH], "language": "de"}
    foreign = await browser.submit(PATH, fields, {"Origin": "https://evil.example"})
    forged = await browser.submit(PATH, {**fields, "csrf": "x"})
    link = await browser.get(f"{PATH}?language=de")
    assert (foreign.status, forged.status, link.status) == (403, 403, 405)
    assert LANGUAGE_COOKIE not in browser.jar
