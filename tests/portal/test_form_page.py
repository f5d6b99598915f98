"""What holds for every page with a form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from router.identity.session import COOKIE
from router.portal import account, confirm_email, customer, newcomer, recovery, register, sign_in, sign_out
from router.portal.form_page import Faulty, Form, FormPage
from router.portal.forms import CSRF_COOKIE
from router.portal.theme import stock_folder
from tests.portal.stand import DEAD_DATABASE, PASSWORD, open_stand, serving
from tests.portal.stand import Browser as AnyBrowser

if TYPE_CHECKING:
    from pathlib import Path

    from tests.portal.stand import Browser, Stand

PAGES: dict[str, type[FormPage]] = {
    page.path: page
    for page in (
        account.AccountPage,
        account.EmailPage,
        account.PasswordPage,
        confirm_email.ConfirmEmailPage,
        customer.CustomerPage,
        newcomer.ConfirmPage,
        newcomer.InvitationPage,
        recovery.ForgotPage,
        recovery.ResetPage,
        register.RegisterPage,
        sign_in.SignInPage,
        sign_out.SignOutPage,
    )
}
FORMS = [*PAGES, "/-/language"]


def test_every_form_is_here(stand: Stand) -> None:
    """The tables of this file name every path that takes a POST."""
    routes = stand.application.router.routes()
    posts = {route.resource.canonical for route in routes if route.method == "POST" and route.resource}
    assert posts == set(FORMS)


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://globex.portal.localhost:8443", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=["foreign", "null", "sibling", "cross-site"],
)
async def test_another_sites_form_is_refused(browser: Browser, path: str, headers: dict[str, str]) -> None:
    """A form that the browser says is from elsewhere is a 403, the right token or not (THREATS 47, 48)."""
    await browser.sign_in()
    page = await browser.get("/-/account")
    fields = {"csrf": page.hidden["csrf"], "password": PASSWORD}
    assert (await browser.send("POST", path, headers=headers, fields=fields)).status == 403


@pytest.mark.parametrize("path", FORMS)
async def test_without_the_token_nothing_happens(stand: Stand, browser: Browser, path: str) -> None:
    """No token, another's, or no cookie for it: 403, and the session goes on (THREATS 47)."""
    await browser.sign_in()
    other = (await browser.another().get("/-/sign-in")).hidden["csrf"]
    own = (await browser.get("/-/account")).hidden["csrf"]
    fields = {"where": "everywhere", "session": "others", "password": PASSWORD}
    for token in ("", other, own[:-1]):
        assert (await browser.submit(path, {**fields, "csrf": token})).status in (403, 404, 410)
    del browser.jar[CSRF_COOKIE]
    assert (await browser.submit(path, {**fields, "csrf": own})).status in (403, 404, 410)
    assert await stand.session(browser.jar[COOKIE]) is not None


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/json", "multipart/form-data; boundary=x"]
)
async def test_only_forms_are_read(browser: Browser, path: str, content_type: str) -> None:
    """What another site's page could send without a preflight, or a program as JSON, is a 403."""
    headers = {"Origin": f"https://{browser.host}", "Content-Type": content_type}
    body = b'{"email": "ada@customer.example", "csrf": ""}'
    assert (await browser.send("POST", path, headers=headers, body=body)).status == 403


@pytest.mark.parametrize("path", sorted(PAGES))
async def test_without_the_database_the_page_says_so(tmp_path: Path, path: str) -> None:
    """With the database away a page is shown without it, or says 503 and when to try again; never a 500."""
    async with open_stand(tmp_path, users_database=DEAD_DATABASE) as stand, serving(stand) as client:
        browser = AnyBrowser(client, stand.globex)
        token = (await browser.get("/-/sign-in")).hidden["csrf"]
        browser.jar[COOKIE] = "A" * 43
        link = f"reg_{'0' * 24}.{'A' * 43}" if path == "/-/register" else "A" * 43
        fields = {"csrf": token, "t": link, "email": "a@x.example", "current": "x", "password": PASSWORD}
        shown, sent = await browser.get(f"{path}?t={link}"), await browser.submit(path, fields)
    assert shown.status in (200, 303, 503)
    assert sent.status == 503
    for answer in (shown, sent):
        assert (answer.status == 503) == ("Retry-After" in answer.headers)


@pytest.mark.parametrize("page", PAGES.values(), ids=sorted(PAGES))
def test_every_fault_has_its_words(page: type[FormPage]) -> None:
    """Whatever a page may have to tell, there is a sentence for it in the stock templates."""
    templates = stock_folder() / "default" / "templates"
    words = (templates / "forms.html").read_text(encoding="utf-8")
    for code in (*page.said, *(f"{name}_missing" for name in page.required if name != "customer")):
        assert f'"{code}"' in words, code


def test_waiting_is_told_in_minutes() -> None:
    """Seconds are rounded up to minutes, and never to none."""
    assert [Form(wait=wait).wait_minutes for wait in (0, 1, 60, 61, 600)] == [1, 1, 1, 2, 10]


def test_a_fault_knows_its_status() -> None:
    """What is wrong with what was typed is a 422 unless said otherwise."""
    assert (Faulty({"email": "bad_email"}).status, Faulty({}, status=429, wait=5).wait) == (422, 5)


async def test_a_page_is_shown_by_get_only(stand: Stand, browser: Browser) -> None:
    """Every page answers HEAD as GET, and says 405 to what it does not know."""
    for path in PAGES:
        assert (await browser.send("DELETE", path, headers={})).status == web.HTTPMethodNotAllowed.status_code
