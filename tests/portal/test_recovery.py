"""A forgotten password, as a browser sees it; on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.identity.links import LIVES
from router.identity.session import COOKIE
from tests.portal.stand import ADA, PASSWORD

if TYPE_CHECKING:
    from tests.portal.stand import Browser, Stand

NEW = "another horse battery staple"


@pytest.fixture
def stand_url(database_url: str) -> str:
    """Run on both databases."""
    return database_url


async def forgotten(stand: Stand, browser: Browser) -> str:
    """Ask for a link as Ada; the token in the mail."""
    await browser.fill("/-/forgot", email=ADA)
    return await stand.mailed("reset", ADA)


async def test_the_way_back_in(stand: Stand, browser: Browser) -> None:
    """Asked for, mailed, set: the new password signs in, the old one does not."""
    token = await forgotten(stand, browser)
    page = await browser.get(f"/-/reset?t={token}")
    assert page.status == 200
    assert f'value="{ADA}"' in page.text
    answer = await browser.submit("/-/reset", {**page.hidden, "password": NEW})
    assert (answer.status, answer.headers["Location"]) == (303, "/-/sign-in?done=password-changed")
    assert COOKIE not in browser.jar
    assert (await browser.sign_in(ADA, PASSWORD)).status == 422
    assert (await browser.sign_in(ADA, NEW)).status == 303
    assert [mail.kind for mail in await stand.mails()] == ["reset", "password-changed"]


async def test_nobody_learns_who_has_an_account(stand: Stand, browser: Browser) -> None:
    """A known, an unknown and a disabled address get the same answer, and only the first a mail."""
    await stand.users.add(stand.acme.id, "bob@customer.example", "C-2", PASSWORD, actor="test")
    bob = await stand.users.find_by_email(stand.acme.id, "bob@customer.example")
    assert bob is not None
    await stand.users.disable(bob.id, actor="test")
    answers = [
        await browser.fill("/-/forgot", email=email)
        for email in (ADA, "nobody@customer.example", "bob@customer.example", ADA.upper(), f" {ADA} ")
    ]
    assert {(answer.status, answer.headers["Location"], answer.text) for answer in answers} == {
        (303, "/-/mail-sent?for=reset", "")
    }
    assert {mail.recipient for mail in await stand.mails()} == {ADA}
    assert "If there is an account for that address" in (await browser.get("/-/mail-sent?for=reset")).text


async def test_a_reset_ends_every_session(stand: Stand, browser: Browser, other_browser: Browser) -> None:
    """Whoever was signed in, the browser that resets too, is so no longer (THREATS 65)."""
    await browser.sign_in()
    await other_browser.sign_in()
    tokens = [each.jar[COOKIE] for each in (browser, other_browser)]
    await browser.fill(f"/-/reset?t={await forgotten(stand, browser)}", password=NEW)
    for token in tokens:
        assert await stand.session(token) is None


async def test_only_the_latest_link_counts(stand: Stand, browser: Browser) -> None:
    """A newer link voids an older one, a use voids it for good, an hour ends it; each is explained."""
    first = await forgotten(stand, browser)
    await browser.fill("/-/forgot", email=ADA)
    (second,) = [str(mail.facts["token"]) for mail in await stand.mails() if mail.facts["token"] != first]
    voided = await browser.get(f"/-/reset?t={first}")
    assert (voided.status, "This link no longer counts" in voided.text) == (410, True)
    page = await browser.get(f"/-/reset?t={second}")
    assert (await browser.submit("/-/reset", {**page.hidden, "password": NEW})).status == 303
    used = await browser.submit("/-/reset", {**page.hidden, "password": "a third password"})
    assert (used.status, "This link was used already" in used.text) == (410, True)
    assert (await browser.sign_in(ADA, NEW)).status == 303


async def test_an_hour_is_enough(stand: Stand, browser: Browser) -> None:
    """A link that has expired says so, and where to get another one."""
    token = await forgotten(stand, browser)
    stand.time.ahead = LIVES["reset"]
    answer = await browser.get(f"/-/reset?t={token}")
    assert (answer.status, "This link has expired" in answer.text) == (410, True)
    assert 'class="button" href="/-/forgot"' in answer.text


async def test_looking_uses_nothing_up(stand: Stand, browser: Browser, other_browser: Browser) -> None:
    """GET and HEAD by whomever leave the link as good as it was (THREATS 62)."""
    token = await forgotten(stand, browser)
    for method in ("HEAD", "GET"):
        await other_browser.send(method, f"/-/reset?t={token}", headers={})
    assert (await browser.fill(f"/-/reset?t={token}", password=NEW)).status == 303


@pytest.mark.parametrize(
    ("email", "said"),
    [
        ("", "Enter your e-mail address."),
        ("ada", "Enter an e-mail address such as"),
        ("a@x@y", "Enter an e-mail address such as"),
        ("ada@x.example\r\nBcc: eve@x.example", "Enter an e-mail address such as"),
    ],
)
async def test_what_is_no_address_is_told(stand: Stand, browser: Browser, email: str, said: str) -> None:
    """An address that nobody can have is pointed at, and nothing is sent (THREATS 64)."""
    answer = await browser.fill("/-/forgot", email=email)
    assert (answer.status, said in answer.text) == (422, True)
    assert await stand.mails() == []


async def test_a_bad_password_leaves_the_link_good(stand: Stand, browser: Browser) -> None:
    """The page comes again with what is wrong; the next try with the same link succeeds."""
    token = await forgotten(stand, browser)
    answer = await browser.fill(f"/-/reset?t={token}", password="short")
    assert (answer.status, "Use at least 8 characters." in answer.text) == (422, True)
    assert (await browser.submit("/-/reset", {**answer.hidden, "password": NEW})).status == 303


async def test_a_flood_of_mails_is_stopped(stand: Stand, browser: Browser) -> None:
    """However often a stranger asks, an address gets a few mails, and the form says to wait (THREATS 67)."""
    statuses = [(await browser.fill("/-/forgot", email=ADA)).status for _ in range(10)]
    assert statuses[0] == 303
    assert statuses[-1] == 429
    assert len(await stand.mails()) <= 5
