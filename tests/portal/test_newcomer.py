"""Coming in by the link of an invitation or a registration, as a browser sees it; on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.identity.links import LIVES
from router.identity.session import COOKIE
from tests.portal.stand import ADA, PASSWORD

if TYPE_CHECKING:
    from tests.portal.stand import Browser, Stand

BOB = "bob@customer.example"


@pytest.fixture
def stand_url(database_url: str) -> str:
    """Run on both databases."""
    return database_url


async def invited(stand: Stand, email: str = BOB, customer: str = "C-2002") -> str:
    """Invite somebody; the token in the mail."""
    await stand.use_cases.invitations.invite(stand.acme.id, email, customer, actor="test")
    return await stand.mailed("invitation", email)


async def test_an_invitation_ends_signed_in(stand: Stand, browser: Browser) -> None:
    """Who sets a password by the link is signed in for the customer, and can sign in with it from then on."""
    token = await invited(stand)
    page = await browser.get(f"/-/invitation?t={token}")
    assert (page.status, page.hidden["t"]) == (200, token)
    assert f'value="{BOB}"' in page.text
    assert "C-2002" in page.text
    answer = await browser.submit("/-/invitation", {**page.hidden, "password": PASSWORD})
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    session = await stand.session(browser.jar[COOKIE])
    assert session is not None
    assert (session.email, session.customer, session.tenant_id) == (BOB, "C-2002", stand.acme.id)
    assert (await browser.another().sign_in(BOB)).status == 303


async def test_a_mail_scanner_uses_nothing_up(stand: Stand, browser: Browser) -> None:
    """However often the link is opened by GET and HEAD, it is good afterwards (THREATS 62)."""
    token = await invited(stand)
    for method in ("GET", "HEAD", "GET", "HEAD", "OPTIONS"):
        await browser.another().send(method, f"/-/invitation?t={token}", headers={})
    assert (await browser.fill(f"/-/invitation?t={token}", password=PASSWORD)).status == 303


async def test_the_token_stays_out_of_everybodys_sight(stand: Stand, browser: Browser) -> None:
    """The page of a link is not stored, says its address to nobody, and links to no other site."""
    page = await browser.get(f"/-/invitation?t={await invited(stand)}")
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "strict-origin"
    assert "http" not in page.text.partition("<main")[2]


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("", "Enter your password."),
        ("short", "Use at least 8 characters."),
        ("x" * 257, "Use at most 256 characters."),
        ("password1", "one of the first passwords"),
        ("acme energy portal", "without your e-mail name"),
    ],
)
async def test_a_bad_password_is_told_at_its_field(
    stand: Stand, browser: Browser, password: str, said: str
) -> None:
    """The page comes again with 422 and the reason at the field, and the link is still good."""
    token = await invited(stand)
    answer = await browser.fill(f"/-/invitation?t={token}", password=password)
    assert answer.status == 422
    assert said in answer.text
    assert 'aria-describedby="password-hint password-fault"' in answer.text
    assert "<title>Error: " in answer.text
    assert (await browser.submit("/-/invitation", {**answer.hidden, "password": PASSWORD})).status == 303


async def test_other_fields_change_nothing(stand: Stand, browser: Browser) -> None:
    """Who is invited cannot make it another address, customer, tenant or role (THREATS 66)."""
    token = await invited(stand)
    forged = {"email": "eve@x.example", "username": "eve@x.example", "customer": "C-1", "tenant_id": "x"}
    assert (await browser.fill(f"/-/invitation?t={token}", password=PASSWORD, **forged)).status == 303
    user = await stand.users.find_by_email(stand.acme.id, BOB)
    assert user is not None
    assert user.customers == ("C-2002",)
    assert await stand.users.find_by_email(stand.acme.id, "eve@x.example") is None


async def test_a_second_click_is_explained(stand: Stand, browser: Browser) -> None:
    """A used link says so and shows the way to sign in, by GET and by POST; it makes nobody anew."""
    token = await invited(stand)
    page = await browser.get(f"/-/invitation?t={token}")
    await browser.submit("/-/invitation", {**page.hidden, "password": PASSWORD})
    again = browser.another()
    for answer in (
        await again.get(f"/-/invitation?t={token}"),
        await browser.submit("/-/invitation", {**page.hidden, "password": "another password"}),
    ):
        assert answer.status == 410
        assert "This link was used already" in answer.text
        assert COOKIE not in again.jar
    assert 'href="/-/sign-in"' in (await again.get(f"/-/invitation?t={token}")).text


async def test_an_expired_link_is_explained(stand: Stand, browser: Browser) -> None:
    """After seven days the link says that it has expired, and whom to ask."""
    token = await invited(stand)
    stand.time.ahead = LIVES["invitation"]
    answer = await browser.get(f"/-/invitation?t={token}")
    assert answer.status == 410
    assert "This link has expired" in answer.text
    assert "Ask Acme Energy to send you the invitation again." in answer.text


async def test_a_newer_link_replaces_an_older_one(stand: Stand, browser: Browser) -> None:
    """After a resend only the latest link counts, and a withdrawn invitation has none."""
    (first,) = {await invited(stand)}
    (invitation,) = await stand.use_cases.invitations.list(stand.acme.id)
    await stand.use_cases.invitations.resend(invitation.id, actor="test")
    assert (await browser.get(f"/-/invitation?t={first}")).status == 410
    latest = [str(mail.facts["token"]) for mail in await stand.mails() if mail.facts["token"] != first]
    assert (await browser.get(f"/-/invitation?t={latest[0]}")).status == 200
    await stand.use_cases.invitations.revoke(invitation.id, actor="test")
    answer = await browser.get(f"/-/invitation?t={latest[0]}")
    assert (answer.status, "This link no longer counts" in answer.text) == (410, True)


async def test_what_is_no_link_leads_nowhere(stand: Stand, browser: Browser) -> None:
    """No token, half of one, one in another case, of another kind, or of another tenant: 404 (THREATS 60)."""
    token = await invited(stand)
    for wrong in ("", token[:-1], token.swapcase(), token + "A", "x" * 43, "%00", "%C3%BC"):
        answer = await browser.get(f"/-/invitation?t={wrong}")
        assert answer.status == 404
        assert "This link leads nowhere" in answer.text
    for path in (
        "/-/invitation",
        f"/-/confirm?t={token}",
        f"/-/reset?t={token}",
        f"/-/confirm-email?t={token}",
    ):
        assert (await browser.get(path)).status == 404
    browser.visit(stand.globex)
    assert (await browser.get(f"/-/invitation?t={token}")).status == 404


async def test_who_has_an_account_gets_another_customer(stand: Stand, browser: Browser) -> None:
    """A known address is asked for no password, gets no session, and signs in with the password it has."""
    token = await invited(stand, ADA)
    page = await browser.get(f"/-/invitation?t={token}")
    assert 'type="password"' not in page.text
    answer = await browser.submit("/-/invitation", {**page.hidden, "password": "the thief's password"})
    assert (answer.status, answer.headers["Location"]) == (303, "/-/sign-in?done=joined")
    assert COOKIE not in browser.jar
    assert "the password you have here already" in (await browser.get("/-/sign-in?done=joined")).text
    assert (await browser.sign_in(ADA, "the thief's password")).status == 422
    assert (await browser.sign_in()).status == 303
    user = await stand.users.find_by_email(stand.acme.id, ADA)
    assert user is not None
    assert user.customers == ("C-1001", "C-2002")


async def test_who_is_signed_in_is_led_to_the_choice(stand: Stand, browser: Browser) -> None:
    """With their own session they go on to where the new customer can be chosen."""
    await browser.sign_in()
    answer = await browser.fill(f"/-/invitation?t={await invited(stand, ADA)}")
    assert (answer.status, answer.headers["Location"]) == (303, "/-/customer")


async def test_a_session_from_before_ends(stand: Stand, browser: Browser) -> None:
    """Whatever session the browser had, its own or a planted one, is not the one that was let in."""
    await browser.sign_in()
    before = browser.jar[COOKIE]
    await browser.fill(f"/-/invitation?t={await invited(stand)}", password=PASSWORD)
    assert browser.jar[COOKIE] != before
    assert await stand.session(before) is None


async def test_a_disabled_account_is_told(stand: Stand, browser: Browser) -> None:
    """An account that was switched off stays so, and the page says whom to ask."""
    token = await invited(stand, ADA)
    user = await stand.users.find_by_email(stand.acme.id, ADA)
    assert user is not None
    await stand.users.disable(user.id, actor="test")
    answer = await browser.fill(f"/-/invitation?t={token}")
    assert answer.status == 422
    assert "This account is closed." in answer.text


async def test_a_registration_is_finished(stand: Stand, browser: Browser) -> None:
    """The link in the mail after a registration leads to the password, and in."""
    browser.visit(stand.globex)
    link = await stand.use_cases.registrations.invoice_link(stand.globex.id, "G-7")
    await browser.fill(f"/-/register?t={link.token}", email=BOB)
    token = await stand.mailed("registration", BOB)
    assert (await browser.get(f"/-/confirm?t={token}")).status == 200
    answer = await browser.fill(f"/-/confirm?t={token}", password=PASSWORD)
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    session = await stand.session(browser.jar[COOKIE])
    assert session is not None
    assert (session.email, session.customer, session.tenant_id) == (BOB, "G-7", stand.globex.id)
    assert (await browser.get(f"/-/register?t={link.token}")).status == 410
