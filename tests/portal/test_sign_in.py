"""Signing in, as a browser sees it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from router.identity.session import COOKIE
from router.languages.choice import LANGUAGE_COOKIE
from router.portal.forms import CSRF_COOKIE
from tests.portal.stand import ADA, DEAD_DATABASE, PASSWORD, Browser, Page, open_stand, serving

if TYPE_CHECKING:
    from tests.portal.stand import Stand

CORPUS = Path(__file__).parent.parent / "corpora" / "open_redirects.txt"


async def test_the_right_password_leads_back(stand: Stand, browser: Browser) -> None:
    """Signing in answers 303 to where the customer was going, with a session of this tenant."""
    answer = await browser.sign_in(return_to="/invoices?month=2026-11")
    assert (answer.status, answer.headers["Location"]) == (303, "/invoices?month=2026-11")
    session = await stand.session(browser.jar[COOKIE])
    assert session is not None
    assert (session.tenant_id, session.email) == (stand.acme.id, ADA)


async def test_the_session_cookie_is_a_host_cookie(browser: Browser) -> None:
    """The session's cookie is Secure, HttpOnly, SameSite=Lax, for the whole host and for no other."""
    answer = await browser.sign_in()
    cookie = next(cookie for cookie in answer.cookies if cookie.startswith(COOKIE))
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert attributes == {"secure", "httponly", "samesite=lax", "path=/"}


@pytest.mark.parametrize(
    ("email", "password"),
    [
        (ADA, "wrong password"),
        ("nobody@customer.example", PASSWORD),
        ("not an address", PASSWORD),
        ("bob@customer.example", PASSWORD),
        (ADA.upper(), "\x00x"),
        (ADA, "x" * 2000),
    ],
)
async def test_every_refusal_is_the_same(stand: Stand, browser: Browser, email: str, password: str) -> None:
    """Known, unknown and disabled users and impossible addresses get the same page."""
    bob = await stand.users.add(stand.acme.id, "bob@customer.example", "C-1002", PASSWORD, actor="test")
    await stand.users.disable(bob.id, actor="test")
    reference = await browser.sign_in("eve@customer.example", "whatever it is")
    answer = await browser.sign_in(email, password)
    assert answer.status == reference.status == 422
    assert answer.text.replace(email, "?") == reference.text.replace("eve@customer.example", "?")
    assert "is not right" in answer.text
    assert COOKIE not in browser.jar


async def test_what_was_typed_is_kept(browser: Browser) -> None:
    """After a refusal the e-mail address stands there still, escaped, and the password does not."""
    answer = await browser.sign_in('"><b>@x', "my secret password", "/invoices")
    assert 'value="&#34;&gt;&lt;b&gt;@x"' in answer.text
    assert "my secret password" not in answer.text
    assert answer.hidden["return"] == "/invoices"


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        ("", "", ("Enter your e-mail address.", "Enter your password.")),
        ("  ", "x", ("Enter your e-mail address.",)),
        (ADA, "", ("Enter your password.",)),
    ],
)
async def test_an_empty_field_is_pointed_at(
    browser: Browser, email: str, password: str, said: tuple[str, ...]
) -> None:
    """What was left empty is said at the field itself."""
    answer = await browser.sign_in(email, password)
    assert answer.status == 422
    sentences = ("Enter your e-mail address.", "Enter your password.")
    assert tuple(sentence for sentence in sentences if sentence in answer.text) == said
    assert answer.text.count('aria-invalid="true"') == len(said)


async def test_too_many_attempts_have_to_wait(browser: Browser) -> None:
    """After ten failures the answer is 429 with Retry-After and a sentence, for an unknown user too."""
    for email in (ADA, "nobody@customer.example"):
        answers = [await browser.sign_in(email, "wrong") for _ in range(11)]
        assert [answer.status for answer in answers] == [422] * 10 + [429]
        assert int(answers[-1].headers["Retry-After"]) > 0
        assert "Too many attempts." in answers[-1].text


async def test_without_the_database_nobody_is_turned_away_for_good(tmp_path: Path) -> None:
    """While the database is away the page says so with 503 and Retry-After, and keeps what was typed."""
    async with open_stand(tmp_path, users_database=DEAD_DATABASE) as stand, serving(stand) as client:
        answer = await Browser(client, stand.acme).sign_in()
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "The fault is ours." in answer.text
    assert f'value="{ADA}"' in answer.text


async def test_signing_in_again_ends_the_session_before(stand: Stand, browser: Browser) -> None:
    """A browser has one session: the token it had before opens nothing afterwards (ASVS 7.2.4)."""
    page = await browser.get("/-/sign-in")
    await browser.sign_in()
    before = browser.jar[COOKIE]
    await browser.submit("/-/sign-in", {**page.hidden, "email": ADA, "password": PASSWORD})
    assert browser.jar[COOKIE] != before
    assert await stand.session(before) is None
    assert await stand.session(browser.jar[COOKIE]) is not None


async def test_a_planted_session_cookie_is_not_taken_over(browser: Browser) -> None:
    """A token that somebody put there before the sign-in is never the one that is signed in."""
    browser.jar[COOKIE] = "A" * 43
    await browser.sign_in()
    assert browser.jar[COOKIE] != "A" * 43


async def test_who_is_signed_in_is_led_on(browser: Browser) -> None:
    """The sign-in page sends whoever is signed in to where they were going."""
    await browser.sign_in()
    answer = await browser.get("/-/sign-in?return=/invoices")
    assert (answer.status, answer.headers["Location"]) == (303, "/invoices")


async def test_a_session_of_another_tenant_is_none(stand: Stand, browser: Browser) -> None:
    """A session for one tenant never opens another, not even its sign-in page's way on."""
    await browser.sign_in()
    browser.tenant, browser.host = stand.globex, str(stand.globex.hostname)
    answer = await browser.get("/-/sign-in")
    assert answer.status == 200
    assert "Globex" in answer.text


@pytest.mark.parametrize("token", ["", "x", "x" * 4096, "ü" * 43, '"' * 43, "A" * 43 + "=" * 4])
async def test_a_malformed_session_cookie_is_nobody(browser: Browser, token: str) -> None:
    """Whatever stands in the session's cookie, the answer is the sign-in page."""
    browser.jar[COOKIE] = token
    assert (await browser.get("/-/sign-in")).status == 200


@pytest.mark.parametrize("space", ["\u2000", "\u00a0", "\u0085", "\u3000"], ids=ascii)
async def test_a_name_that_only_looks_like_ours_is_not_ours(
    browser: Browser, other_browser: Browser, space: str
) -> None:
    """A space beyond ASCII before a cookie's name, which escapes the rules of __Host-, plants nothing."""
    await other_browser.sign_in()
    browser.jar[space + COOKIE] = other_browser.jar[COOKIE]
    assert (await browser.get("/-/account")).status == 303
    form = await other_browser.get("/-/forgot")
    browser.jar[space + CSRF_COOKIE] = other_browser.jar[CSRF_COOKIE]
    assert (await browser.submit("/-/forgot", {**form.hidden, "email": ADA})).status == 403


async def test_two_session_cookies_are_none(browser: Browser) -> None:
    """Where a sibling planted a second cookie of the name, neither is believed."""
    await browser.sign_in()
    cookies = f"{COOKIE}={browser.jar[COOKIE]}; {COOKIE}={'A' * 43}"
    assert (await browser.get("/-/sign-in", {"Cookie": cookies})).status == 200


def payloads() -> list[str]:
    """Read the corpus; a line that begins with # and a space is a comment."""
    lines = CORPUS.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line not in ("", "#") and not line.startswith("# ")]


async def test_no_return_target_leads_away(browser: Browser) -> None:
    """Of the corpus of open redirects nothing reaches the form, and a forged form leads home."""
    page = await browser.get("/-/sign-in")
    for payload in payloads():
        page = await browser.get("/-/sign-in?return=" + quote(payload, safe="/:@%"))
        assert page.hidden["return"] == "/", payload
    fields = {**page.hidden, "return": "//evil.example", "email": ADA, "password": PASSWORD}
    answer = await browser.submit("/-/sign-in", fields)
    assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_several_tabs_can_sign_in(browser: Browser) -> None:
    """Two sign-in pages opened side by side both work, in either order."""
    first, second = [await browser.get("/-/sign-in") for _ in range(2)]
    for page in (first, second, first):
        answer = await browser.submit("/-/sign-in", {**page.hidden, "email": ADA, "password": PASSWORD})
        assert answer.status == 303


async def refused(stand: Stand, answer: Page) -> bool:
    """Whether an answer is a 403 that signed nobody in."""
    user = await stand.users.find_by_email(stand.acme.id, ADA)
    assert user is not None
    return answer.status == 403 and not await stand.sessions.of_user(user.id)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://globex.portal.localhost:8443", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://acme.portal.localhost:8443"},
        {"Origin": "https://acme.portal.localhost"},
        {"Origin": "https://acme.portal.localhost:8443.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_form_from_another_site_is_refused(
    stand: Stand, browser: Browser, headers: dict[str, str]
) -> None:
    """A form that the browser says comes from elsewhere signs nobody in, even with the right token."""
    page = await browser.get("/-/sign-in")
    fields = {**page.hidden, "email": ADA, "password": PASSWORD}
    assert await refused(stand, await browser.send("POST", "/-/sign-in", headers=headers, fields=fields))


async def test_a_mapped_port_is_the_same_site(browser: Browser) -> None:
    """Where the port in the address bar is not the one in the settings, the Host header says which it is."""
    page = await browser.get("/-/sign-in")
    fields = {**page.hidden, "email": ADA, "password": PASSWORD}
    host = f"{browser.tenant.hostname}:9443"
    for origin, status in ((f"https://{browser.tenant.hostname}:9444", 403), (f"https://{host}", 303)):
        headers = {"Host": host, "Origin": origin}
        assert (await browser.send("POST", "/-/sign-in", headers=headers, fields=fields)).status == status


async def test_a_form_that_breaks_off_is_nobodys_fault(stand: Stand, tmp_path: Path) -> None:
    """A browser that goes away in the middle of its form leaves no traceback in the log."""
    answered = asyncio.Event()

    async def note(_request: web.Request, _response: web.StreamResponse) -> None:
        answered.set()

    stand.application.on_response_prepare.append(note)
    runner = web.AppRunner(stand.application)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "portal")).start()
    async with asyncio.timeout(20):
        with capture_logs() as lines:
            reader, writer = await asyncio.open_unix_connection(tmp_path / "portal")
            writer.write(
                f"POST /-/sign-in HTTP/1.1\r\nHost: x\r\nX-Router-Tenant: {stand.acme.id}\r\n"
                f"X-Router-Host: {stand.acme.hostname}\r\nContent-Length: 9\r\nExpect: 100-continue\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n\r\nem".encode()
            )
            assert b"100" in await reader.readline()
            writer.close()
            await answered.wait()
        await runner.cleanup()
    assert [(line["event"], line.get("code")) for line in lines] == [("form_refused", "form_broke_off")]


async def test_a_program_that_says_no_origin_needs_the_token_only(browser: Browser) -> None:
    """A client that sends neither Origin nor Sec-Fetch-Site passes with cookie and token."""
    page = await browser.get("/-/sign-in")
    fields = {**page.hidden, "email": ADA, "password": PASSWORD}
    assert (await browser.send("POST", "/-/sign-in", headers={}, fields=fields)).status == 303


@pytest.mark.parametrize("csrf", [None, "", "x", "ü", "A" * 43])
async def test_without_its_token_a_form_is_refused(stand: Stand, browser: Browser, csrf: str | None) -> None:
    """A wrong or missing token signs nobody in; the page comes back afresh, with what was typed."""
    page = await browser.get("/-/sign-in")
    fields = {**page.hidden, "email": ADA, "password": PASSWORD, "csrf": csrf or ""}
    if csrf is None:
        del fields["csrf"]
    answer = await browser.submit("/-/sign-in", fields)
    assert await refused(stand, answer)
    assert "Please send it once more." in answer.text
    assert f'value="{ADA}"' in answer.text
    again = await browser.submit("/-/sign-in", {**answer.hidden, "email": ADA, "password": PASSWORD})
    assert again.status == 303


async def test_without_its_cookie_a_form_is_refused(stand: Stand, browser: Browser) -> None:
    """The token alone signs nobody in: the browser that got the page must bring the cookie."""
    page = await browser.get("/-/sign-in")
    del browser.jar[CSRF_COOKIE]
    answer = await browser.submit("/-/sign-in", {**page.hidden, "email": ADA, "password": PASSWORD})
    assert await refused(stand, answer)


async def test_a_token_of_another_tenant_is_refused(stand: Stand, browser: Browser) -> None:
    """Cookie and token that one tenant gave do not post at another."""
    page = await browser.get("/-/sign-in")
    browser.tenant, browser.host = stand.globex, f"{stand.globex.hostname}:8443"
    answer = await browser.submit("/-/sign-in", {**page.hidden, "email": ADA, "password": PASSWORD})
    assert await refused(stand, answer)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", b'{"email": "x"}', 403),
        ("application/json", b'{"email": "x"}', 403),
        ("multipart/form-data; boundary=x", b"--x--", 403),
        ("", b"email=x", 403),
        ("application/x-www-form-urlencoded", b"email=%ff%fe", 400),
        ("application/x-www-form-urlencoded", b"email=\xff\xfe", 400),
        ("application/x-www-form-urlencoded", b"email=a&email=b", 400),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % at for at in range(30)), 400),
        ("application/x-www-form-urlencoded", b"password=" + b"x" * (16 * 1024), 413),
        ("application/x-www-form-urlencoded", b"password=" + b"x" * (1024 * 1024), 413),
    ],
)
async def test_only_small_forms_are_read(
    stand: Stand, browser: Browser, content_type: str, body: bytes, status: int
) -> None:
    """What is not an HTML form, not UTF-8, ambiguous, or over 16 KiB is refused before anything is hashed."""
    headers = {"Origin": f"https://{browser.host}", "Content-Type": content_type}
    answer = await browser.send("POST", "/-/sign-in", headers=headers, body=body)
    assert answer.status == status
    assert answer.text.startswith("<!doctype html>")


async def test_the_first_page_is_small(stand: Stand, browser: Browser) -> None:
    """The page is all there is to load, stays under 30 KB, and has no script."""
    page = await browser.get("/-/sign-in")
    assert len(page.text.encode()) < 30_000
    assert 'rel="stylesheet"' not in page.text
    assert "src=" not in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text


async def test_registration_is_mentioned_where_it_is_allowed(stand: Stand, browser: Browser) -> None:
    """The page says how one comes in: by invitation, by the invoice's link, or by reference."""
    assert "You need an invitation from Acme Energy" in (await browser.get("/-/sign-in")).text
    browser.tenant, browser.host = stand.globex, str(stand.globex.hostname)
    assert "Your invoices from Globex tell you how" in (await browser.get("/-/sign-in")).text
    await stand.confirms(stand.globex)
    assert 'href="/-/register"' in (await browser.get("/-/sign-in")).text


async def test_a_remembered_session_outlasts_the_browser(stand: Stand, browser: Browser) -> None:
    """Who asks to be kept signed in gets a cookie with the session's absolute life, others one without."""
    page = await browser.get("/-/sign-in")
    fields = {**page.hidden, "email": ADA, "password": PASSWORD}
    lasting = await browser.submit("/-/sign-in", {**fields, "remember": "yes"})
    cookie = next(cookie for cookie in lasting.cookies if cookie.startswith(COOKIE))
    (life,) = [part for part in cookie.split(";") if "max-age" in part.lower()]
    assert 2_591_900 <= int(life.partition("=")[2]) <= 2_592_000
    session = await stand.session(browser.jar[COOKIE])
    assert session is not None
    assert session.remembered


async def test_a_choice_is_kept_after_a_fault(browser: Browser) -> None:
    """The tick at “keep me signed in” stands there still when the password was wrong."""
    page = await browser.get("/-/sign-in")
    fields = {**page.hidden, "email": ADA, "password": "wrong", "remember": "yes"}
    assert " checked" in (await browser.submit("/-/sign-in", fields)).text
    assert " checked" not in page.text


async def test_the_users_language_comes_along(stand: Stand, browser: Browser) -> None:
    """In a browser that has not been told a language, the user's own is spoken after the sign-in."""
    user = await stand.users.find_by_email(stand.acme.id, ADA)
    assert user is not None
    await stand.use_cases.account.set_language(user.id, "de")
    await browser.sign_in()
    assert browser.jar[LANGUAGE_COOKIE] == "de"
    assert '<html lang="de"' in (await browser.get("/-/account")).text


async def test_the_page_says_what_was_done(browser: Browser) -> None:
    """A page that leads here may have it say one of a few things, and nothing else."""
    assert "Your password was changed." in (await browser.get("/-/sign-in?done=password-changed")).text
    plain = await browser.get("/-/sign-in")
    odd = await browser.get("/-/sign-in?done=%3Cb%3Eyour+account+is+locked")
    assert "locked" not in odd.text
    assert "notice" not in odd.text.partition("<main")[2]
    assert odd.status == plain.status == 200
