"""Choosing a customer and changing to another, as a browser sees it; on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.identity.session import COOKIE
from tests.portal.stand import ADA

if TYPE_CHECKING:
    from tests.portal.stand import Browser, Stand


@pytest.fixture
def stand_url(database_url: str) -> str:
    """Run on both databases."""
    return database_url


@pytest.fixture
async def member(stand: Stand, browser: Browser) -> Browser:
    """Ada's browser, signed in for three customers and decided for none."""
    user = await stand.users.find_by_email(stand.acme.id, ADA)
    assert user is not None
    for customer in ("C-1002", "<b>&C"):
        await stand.users.add_customer(user.id, customer, actor="test")
    await browser.sign_in()
    return browser


async def chosen(stand: Stand, browser: Browser) -> str:
    """Which customer the browser's session is for."""
    session = await stand.session(browser.jar[COOKIE])
    assert session is not None
    return session.customer


async def test_who_has_several_chooses(stand: Stand, member: Browser) -> None:
    """The session is for nobody until one is chosen; the choice leads to where they were going."""
    assert await chosen(stand, member) == ""
    page = await member.get("/-/customer?return=/invoices%3Fpage%3D2")
    for customer in ("C-1001", "C-1002", "&lt;b&gt;&amp;C"):
        assert f'name="customer" value="{customer}"' in page.text
    answer = await member.submit("/-/customer", {**page.hidden, "customer": "C-1002"})
    assert (answer.status, answer.headers["Location"]) == (303, "/invoices?page=2")
    assert await chosen(stand, member) == "C-1002"
    assert "Clear-Site-Data" not in answer.headers


async def test_changing_makes_the_browser_forget(stand: Stand, member: Browser) -> None:
    """The page says which is chosen; what the backend let the browser keep for one is gone for the next."""
    await member.fill("/-/customer", customer="C-1001")
    page = await member.get("/-/customer")
    assert page.text.count("chosen at present") == 1
    answer = await member.submit("/-/customer", {**page.hidden, "customer": "C-1002"})
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert await chosen(stand, member) == "C-1002"


async def test_others_customers_cannot_be_chosen(stand: Stand, member: Browser) -> None:
    """Whatever is sent, a session acts only for its own user's customers."""
    await stand.users.add(
        stand.acme.id, "bob@customer.example", "C-9999", "correct horse battery", actor="test"
    )
    for customer in ("C-9999", "C-1", "", "c-1001", "*"):
        answer = await member.fill("/-/customer", customer=customer)
        assert answer.status == 422
        assert await chosen(stand, member) == ""


async def test_the_way_leads_nowhere_else(member: Browser) -> None:
    """After choosing nobody is sent to another site."""
    page = await member.get("/-/customer?return=//evil.example")
    assert page.hidden["return"] == "/"
    fields = {**page.hidden, "return": "https://evil.example/", "customer": "C-1001"}
    assert (await member.submit("/-/customer", fields)).headers["Location"] == "/"


async def test_who_has_none_is_told(stand: Stand, browser: Browser) -> None:
    """An account whose last customer was taken away says so, and whom to ask."""
    user = await stand.users.find_by_email(stand.acme.id, ADA)
    assert user is not None
    await stand.users.remove_customer(user.id, "C-1001", actor="test")
    await browser.sign_in()
    page = await browser.get("/-/customer")
    assert "Your account is not connected to a customer of Acme Energy" in page.text
    assert "/-/customer" not in page.forms


async def test_strangers_sign_in_first(browser: Browser) -> None:
    """Without a session the page leads to sign in, and back to itself with where it was to lead."""
    answer = await browser.get("/-/customer?return=/a")
    location = "/-/sign-in?return=/-/customer%3Freturn%3D/a"
    assert (answer.status, answer.headers["Location"]) == (303, location)
    page = await browser.get(location)
    assert page.hidden["return"] == "/-/customer?return=/a"
