"""The pages about a tenant's users: found, invited, kept out, signed out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.page_browser import PASSWORD, PageBrowser, signed_in

if TYPE_CHECKING:
    from router.identity.user import User
    from tests.console.stand import Stand

# What is kept, and how, is tried on both databases by the tests of the use cases.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

USERS = "/tenants/acme/users"


@pytest.fixture
async def mary(stand: Stand) -> User:
    """A user of Acme's, who is signed in."""
    user = await stand.use_cases.users.add(stand.acme.id, "mary@acme.test", "C-1", PASSWORD, actor="test")
    await stand.use_cases.sessions.start(
        stand.acme.id, user, address="203.0.113.9", user_agent="Firefox", now=stand.now
    )
    return user


async def press(browser: PageBrowser, user: User, what: str, **fields: str) -> str:
    """Press a button of the user's page; the notice that is shown then."""
    page = f"{USERS}/{user.id}"
    answer = await browser.post(f"{page}/{what}", fields, page=page)
    assert answer.status == 303
    return (await browser.get(answer.location)).notice


async def test_users_are_found_by_address_and_customer(stand: Stand, mary: User) -> None:
    """Part of either finds them; what nobody is like says so."""
    browser = await signed_in(stand, stand.acme, read_only=True)
    for search in ("", "?search=MARY", "?search=C-1"):
        page = await browser.get(USERS + search)
        assert (page.status, page.title) == (200, "Users")
        assert f"{USERS}/{mary.id}" in page.body
    assert "No user is like that." in (await browser.get(f"{USERS}?search=nobody")).body
    assert 'role="alert"' in (await browser.get(f"{USERS}?after=garbage")).body


async def test_somebody_is_invited_again_and_not_at_all(stand: Stand) -> None:
    """An invitation is sent, listed, sent once more, and withdrawn; then it is not listed any more."""
    browser = await signed_in(stand, stand.acme)
    typed = {"email": "Joe@Customer.test", "customer": "C-7"}
    answer = await browser.post("/tenants/acme/invite", typed, page="/tenants/acme/invite")
    page = await browser.get(answer.location)
    assert page.notice == "The invitation is on its way."
    assert "joe@customer.test" in page.body
    (made,) = await stand.use_cases.invitations.list(stand.acme.id)
    assert made.invited_by == "operator:operator@acme.example"
    for what, notice in (("resend", "sent once more"), ("revoke", "is withdrawn")):
        answer = await browser.post(f"/tenants/acme/invitations/{made.id}/{what}", page=USERS)
        assert notice in (await browser.get(answer.location)).notice
    assert "joe@customer.test" not in (await browser.get(USERS)).body


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ({"email": "", "customer": "C-1"}, "email_missing"),
        ({"email": "nobody", "customer": "C-1"}, "bad_email"),
        ({"email": "a@b.test", "customer": ""}, "customer_missing"),
        ({"email": "a@b.test", "customer": "C-ü"}, "bad_customer"),
    ],
)
async def test_a_bad_invitation_is_told_at_its_field(stand: Stand, typed: dict[str, str], code: str) -> None:
    """The form comes again with the code, and nobody was invited."""
    browser = await signed_in(stand, stand.acme)
    answer = await browser.post("/tenants/acme/invite", typed, page="/tenants/acme/invite")
    assert (answer.status, answer.codes) == (422, [code])
    assert await stand.use_cases.invitations.list(stand.acme.id) == []


async def test_a_user_is_kept_out_and_let_in(stand: Stand, mary: User) -> None:
    """Disabling ends every session; enabling lets them sign in again."""
    browser = await signed_in(stand, stand.acme)
    assert "cannot sign in any more" in await press(browser, mary, "disable")
    assert await stand.use_cases.sessions.of_user(mary.id) == []
    assert "disabled" in (await browser.get(USERS)).body
    assert "can sign in again" in await press(browser, mary, "enable")


async def test_a_user_acts_for_more_and_for_fewer(stand: Stand, mary: User) -> None:
    """A customer is added by the form and removed by its button; a bad reference is told."""
    browser, page = await signed_in(stand, stand.acme), f"{USERS}/{mary.id}"
    answer = await browser.post(page, {"customer": "C-2/b"}, page=page)
    assert "one more customer" in (await browser.get(answer.location)).notice
    assert "no longer" in await press(browser, mary, "leave", customer="C-1")
    changed = await stand.use_cases.users.find(mary.id)
    assert changed is not None
    assert changed.customers == ("C-2/b",)
    refused = await browser.post(page, {"customer": "ü"}, page=page)
    assert (refused.status, refused.codes) == (422, ["bad_customer"])


async def test_sessions_are_ended(stand: Stand, mary: User) -> None:
    """One by its button, all by another; one that is gone is told."""
    browser = await signed_in(stand, stand.acme)
    (held,) = await stand.use_cases.sessions.of_user(mary.id)
    assert await press(browser, mary, f"sessions/{held.id}/end") == "That session has ended."
    page = f"{USERS}/{mary.id}"
    assert (await browser.post(f"{page}/sessions/{held.id}/end", page=page)).status == 404
    assert "signed out everywhere" in await press(browser, mary, "sign-out")


async def test_another_tenants_users_are_not_there(stand: Stand, mary: User) -> None:
    """Neither by the other's pages nor by one's own tenant's path with the other's user."""
    browser = await signed_in(stand, stand.globex)
    assert (await browser.get(USERS)).status == 404
    assert (await browser.get(f"/tenants/globex/users/{mary.id}")).status == 404
    answer = await browser.post(f"/tenants/globex/users/{mary.id}/disable", page="/tenants/globex/users")
    assert answer.status == 404
    still = await stand.use_cases.users.find(mary.id)
    assert still is not None
    assert not still.disabled


async def test_a_reader_sees_and_changes_nothing(stand: Stand, mary: User) -> None:
    """No button is shown, and what changes something is refused."""
    browser = await signed_in(stand, stand.acme, read_only=True)
    page = await browser.get(f"{USERS}/{mary.id}")
    assert page.status == 200
    assert "Disable" not in page.body
    assert (await browser.post(f"{USERS}/{mary.id}/disable")).status == 403
    assert (await browser.get("/tenants/acme/invite")).status == 403
