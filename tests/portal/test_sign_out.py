"""Signing out, as a browser sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.identity.session import COOKIE
from tests.portal.stand import ADA

if TYPE_CHECKING:
    from tests.portal.stand import Browser, Stand


async def test_signing_out_ends_the_session(stand: Stand, browser: Browser) -> None:
    """After the POST the token opens nothing, the cookie is gone, and the browser forgets what it kept."""
    await browser.sign_in()
    token = browser.jar[COOKIE]
    page = await browser.get("/-/sign-out")
    assert ADA in page.text
    answer = await browser.submit("/-/sign-out", page.hidden)
    assert (answer.status, answer.headers["Location"]) == (303, "/-/signed-out")
    assert answer.headers["Clear-Site-Data"] == '"cache", "storage"'
    assert COOKIE not in browser.jar
    assert await stand.session(token) is None
    last = await browser.get("/-/signed-out")
    assert (last.status, "You are signed out" in last.text) == (200, True)


async def test_the_cookie_is_cleared_as_it_was_set(stand: Stand, browser: Browser) -> None:
    """Browsers clear a __Host- cookie only if Secure and Path=/ are said again."""
    await browser.sign_in()
    answer = await browser.submit("/-/sign-out", (await browser.get("/-/sign-out")).hidden)
    cookie = next(cookie for cookie in answer.cookies if cookie.startswith(COOKIE))
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"secure", "httponly", "samesite=lax", "path=/", "max-age=0"} <= attributes


async def test_a_link_signs_nobody_out(stand: Stand, browser: Browser) -> None:
    """GET only asks: the session is good as before."""
    await browser.sign_in()
    assert (await browser.get("/-/sign-out")).status == 200
    assert await stand.session(browser.jar[COOKIE]) is not None


async def test_another_site_signs_nobody_out(stand: Stand, browser: Browser) -> None:
    """A form from elsewhere, or without its token, is a 403 and ends no session."""
    await browser.sign_in()
    page = await browser.get("/-/sign-out")
    foreign = await browser.submit("/-/sign-out", page.hidden, {"Origin": "https://evil.example"})
    stale = await browser.submit("/-/sign-out", {"csrf": "x"})
    assert (foreign.status, stale.status) == (403, 403)
    assert await stand.session(browser.jar[COOKIE]) is not None


async def test_signing_out_twice_is_harmless(stand: Stand, browser: Browser) -> None:
    """A second tab's sign-out page, sent after the first, ends at the same place."""
    await browser.sign_in()
    page = await browser.get("/-/sign-out")
    for _ in range(2):
        answer = await browser.submit("/-/sign-out", page.hidden)
        assert (answer.status, answer.headers["Location"]) == (303, "/-/signed-out")


async def test_who_is_not_signed_in_cannot_sign_out(browser: Browser) -> None:
    """The sign-out page says that it is done already."""
    answer = await browser.get("/-/sign-out")
    assert (answer.status, answer.headers["Location"]) == (303, "/-/signed-out")


async def test_who_is_signed_in_is_not_told_otherwise(browser: Browser) -> None:
    """The signed-out page sends whoever is signed in to the start page."""
    await browser.sign_in()
    answer = await browser.get("/-/signed-out")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
