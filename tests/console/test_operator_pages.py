"""The pages of operators and of API tokens: who is asked in, what they may do, and what is shown once."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

import pytest

from router.console.scopes import PLATFORMS_OWN, Role, Scope
from tests.console.page_browser import PASSWORD, PageBrowser, Shown, signed_in

if TYPE_CHECKING:
    from tests.console.stand import Stand


# What is kept, and how, is tried on both databases by the tests of the use cases.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def told_once(shown: Shown) -> str:
    """What a page shows to be copied."""
    found = re.search(r"data-copy>(.*?)</code>", shown.body)
    return unescape(found[1]) if found else ""


async def ask_in(browser: PageBrowser, page: str, email: str, **typed: str) -> Shown:
    """Send the form that asks somebody in."""
    return await browser.post(page, {"email": email} | typed, page=page)


@pytest.mark.parametrize(
    ("page", "typed", "role"),
    [
        ("/operators", {}, Role.PLATFORM_OPERATOR),
        ("/operators", {"read_only": "yes"}, Role.PLATFORM_READER),
        ("/tenants/acme/operators", {}, Role.TENANT_OPERATOR),
        ("/tenants/acme/operators", {"read_only": "yes"}, Role.TENANT_READER),
    ],
)
async def test_who_is_asked_in_comes_in_by_their_link(
    stand: Stand, page: str, typed: dict[str, str], role: Role
) -> None:
    """The link is shown this once, and opens the console for who chooses a password with it."""
    browser = await signed_in(stand)
    shown = await ask_in(browser, page, "New@Example.test", **typed)
    assert shown.status == 200
    link = told_once(shown)
    assert "/welcome?t=" in link
    assert link not in (await browser.get(page)).body
    made = await stand.use_cases.operators.find_by_email("new@example.test")
    assert made is not None
    assert (made.role, made.state) == (role, "invited")
    await stand.use_cases.operator_sign_in.welcome(link.partition("?t=")[2], PASSWORD)
    assert (await PageBrowser(stand.url).sign_in("new@example.test")).status == 303


@pytest.mark.parametrize(
    ("email", "status", "code"),
    [
        ("", 422, "email_missing"),
        ("nobody", 422, "bad_email"),
        ("operator@platform.example", 409, "email_taken"),
    ],
)
async def test_who_cannot_be_asked_in_is_told(stand: Stand, email: str, status: int, code: str) -> None:
    """The form comes again with the code at its field, and there is no link."""
    browser = await signed_in(stand)
    shown = await ask_in(browser, "/operators", email)
    assert (shown.status, shown.codes, told_once(shown)) == (status, [code], "")


async def test_an_operator_is_changed_kept_out_and_removed(stand: Stand) -> None:
    """Each button does what it says, and ends their sessions."""
    browser = await signed_in(stand)
    other = await signed_in(stand, stand.acme)
    found = await stand.use_cases.operators.find_by_email("operator@acme.example")
    assert found is not None
    base = f"/operators/{found.id}"

    async def press(what: str, **fields: str) -> Shown:
        now = await stand.use_cases.operators.find(found.id)
        return await browser.post(f"{base}/{what}", {"version": str(now.version)} | fields, page="/operators")

    assert (await press("change", read_only="yes")).location == "/operators?done=changed"
    assert (await stand.use_cases.operators.find(found.id)).role is Role.TENANT_READER
    assert (await other.get("/account")).status == 303
    await press("change", disabled="yes")
    assert (await stand.use_cases.operators.find(found.id)).state == "disabled"
    assert (await press("link")).status == 409
    await press("change", disabled="no")
    assert "/welcome?t=" in told_once(await press("link"))
    assert (await press("remove")).location == "/operators?done=removed"
    assert await stand.use_cases.operators.find_by_email("operator@acme.example") is None


async def test_the_last_platform_operator_stays(stand: Stand) -> None:
    """Nobody can leave the platform to nobody."""
    browser = await signed_in(stand)
    me = await stand.use_cases.operators.find_by_email("operator@platform.example")
    assert me is not None
    shown = await browser.post(f"/operators/{me.id}/remove", page="/operators")
    assert shown.status == 409
    assert "last_operator" in shown.body


async def test_a_tenants_operator_manages_their_own(stand: Stand) -> None:
    """They ask colleagues in, and neither see nor touch the platform's operators or another tenant's."""
    browser = await signed_in(stand, stand.acme)
    page = "/tenants/acme/operators"
    assert (await ask_in(browser, page, "colleague@acme.test")).status == 200
    await signed_in(stand)
    boss = await stand.use_cases.operators.find_by_email("operator@platform.example")
    assert boss is not None
    assert boss.email not in (await browser.get(page)).body
    assert (await browser.post(f"{page}/{boss.id}/remove", page=page)).status == 404
    assert (await browser.post(f"/operators/{boss.id}/remove", page=page)).status == 403
    assert (await browser.get("/operators")).status == 403
    assert (await browser.get("/tenants/globex/operators")).status == 404


async def test_a_token_is_made_shown_once_and_revoked(stand: Stand) -> None:
    """The token that is shown opens the API until it is revoked; the list never shows it."""
    browser, page = await signed_in(stand, stand.acme), "/tenants/acme/tokens"
    typed = {"name": "Billing system", "days": "30", Scope.TENANTS_READ: "yes"}
    shown = await browser.post(page, typed, page=page)
    assert shown.status == 200
    stand.billing.token = told_once(shown)
    assert (await stand.billing.send("GET", "acme")).status == 200
    listed = await browser.get(page)
    assert "Billing system" in listed.body
    assert stand.billing.token not in listed.body
    made = next(token for token in await stand.tokens.list(stand.acme.id) if token.name == "Billing system")
    assert done(await browser.post(f"{page}/{made.id}/revoke", page=page)) == "revoked"
    await stand.settled()
    assert (await stand.billing.send("GET", "acme")).status == 401


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ({"name": "", "days": "30", "tenants:read": "yes"}, "name_missing"),
        ({"name": "x", "days": "30"}, "bad_scope"),
        ({"name": "x", "days": "0", "tenants:read": "yes"}, "bad_expiry"),
        ({"name": "x", "days": "many", "tenants:read": "yes"}, "bad_expiry"),
        ({"name": "x" * 81, "days": "30", "tenants:read": "yes"}, "bad_name"),
        ({"name": "x", "days": "30", "audit:read": "yes", "domains:vouch": "yes"}, "bad_scope"),
    ],
)
async def test_a_bad_token_is_told(stand: Stand, typed: dict[str, str], code: str) -> None:
    """The form comes again with the code, and no token was made."""
    browser, page = await signed_in(stand), "/tenants/acme/tokens"
    before = len(await stand.tokens.list())
    shown = await browser.post(page, typed, page=page)
    assert (shown.status, shown.codes) == (422, [code])
    assert len(await stand.tokens.list()) == before


async def test_what_is_the_platforms_is_not_offered_within_a_tenant(stand: Stand) -> None:
    """Neither to a tenant's operator nor to the platform's, for a token of one tenant."""
    for whose in (None, stand.acme):
        page = await (await signed_in(stand, whose)).get("/tenants/acme/tokens")
        offered = set(re.findall(r'name="([a-z-]+(?::[a-z]+)?)" type="checkbox"', page.body))
        assert offered == {scope.value for scope in Scope} - {scope.value for scope in PLATFORMS_OWN}


async def test_another_tenants_token_cannot_be_revoked(stand: Stand) -> None:
    """By one's own tenant's path it is not there, and it goes on."""
    await stand.new_token(stand.globex, "tenants:read", name="Theirs")
    theirs = (await stand.tokens.list(stand.globex.id))[0]
    browser, page = await signed_in(stand, stand.acme), "/tenants/acme/tokens"
    assert (await browser.post(f"{page}/{theirs.id}/revoke", page=page)).status == 404
    assert stand.tokens.state((await stand.tokens.list(stand.globex.id))[0]) == "valid"


def done(shown: Shown) -> str:
    """The code of what was done, which the browser is led to."""
    assert shown.status == 303
    return shown.location.partition("?done=")[2]
