"""Registration's first half, as a browser sees it; on both databases."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from router.tenants.form import TenantForm

if TYPE_CHECKING:
    from tests.portal.stand import Browser, Stand

BOB = "bob@customer.example"


@pytest.fixture
def stand_url(database_url: str) -> str:
    """Run on both databases."""
    return database_url


@pytest.fixture
async def guest(stand: Stand, browser: Browser) -> Browser:
    """A browser at Globex's portal, where people may register."""
    browser.visit(stand.globex)
    return browser


async def test_where_it_is_not_allowed_a_plain_page_says_so(stand: Stand, browser: Browser) -> None:
    """GET and POST, with a link or without: 403 and a sentence that helps; no mail, and no form."""
    page = await browser.get("/-/sign-in")
    link = await stand.use_cases.registrations.invoice_link(stand.acme.id, "C-1001")
    for answer in (
        await browser.get("/-/register"),
        await browser.get(f"/-/register?t={link.token}"),
        await browser.submit("/-/register", {"csrf": page.hidden["csrf"], "customer": "C-1", "email": BOB}),
        await browser.submit("/-/register", {"csrf": page.hidden["csrf"], "t": link.token, "email": BOB}),
    ):
        assert answer.status == 403
        assert "Acme Energy will send you an invitation" in answer.text
        assert "/-/register" not in answer.forms
    assert await stand.mails() == []


async def test_by_the_invoices_link(stand: Stand, guest: Browser) -> None:
    """The link knows the customer; the address that was typed gets the mail, and nobody is let in yet."""
    link = await stand.use_cases.registrations.invoice_link(stand.globex.id, "G-7")
    page = await guest.get(f"/-/register?t={link.token}")
    assert "G-7" in page.text
    answer = await guest.submit("/-/register", {**page.hidden, "email": BOB, "customer": "G-1"})
    assert (answer.status, answer.headers["Location"]) == (303, "/-/mail-sent?for=registration")
    assert "Look into your mailbox" in (await guest.get(answer.headers["Location"])).text
    (mail,) = await stand.mails()
    assert (mail.kind, mail.recipient, mail.facts["customer"]) == ("registration", BOB, "G-7")
    assert await stand.users.find_by_email(stand.globex.id, BOB) is None


async def test_a_link_for_one_address_is_for_that_one(stand: Stand, guest: Browser) -> None:
    """Where the invoice's link is bound to an address, no other can be typed nor sent."""
    link = await stand.use_cases.registrations.invoice_link(stand.globex.id, "G-7", BOB)
    page = await guest.get(f"/-/register?t={link.token}")
    assert 'name="email"' not in page.text
    await guest.submit("/-/register", {**page.hidden, "email": "eve@x.example"})
    assert [mail.recipient for mail in await stand.mails()] == [BOB]


async def test_by_reference_the_backend_decides_in_silence(stand: Stand, guest: Browser) -> None:
    """Right or wrong, the answer is the same; only whom the backend confirms gets a mail (THREATS 55)."""
    await stand.confirms(stand.globex)
    stand.known.add(("G-7", BOB))
    answers = [
        await guest.fill("/-/register", customer=customer, email=email)
        for customer, email in (("G-7", BOB), ("G-8", BOB), ("G-7", "eve@x.example"))
    ]
    assert {(answer.status, answer.headers["Location"], answer.text) for answer in answers} == {
        (303, "/-/mail-sent?for=registration", "")
    }
    assert [mail.recipient for mail in await stand.mails()] == [BOB]


async def test_without_a_backend_to_ask_the_invoice_is_the_way(guest: Browser) -> None:
    """A reference is no secret: where nobody can be asked there is no form, and a sentence instead."""
    page = await guest.get("/-/register")
    assert "/-/register" not in page.forms
    assert "has a personal link in it" in page.text


@pytest.mark.parametrize(
    ("customer", "email", "said"),
    [
        ("", "", ("Enter your customer reference.", "Enter your e-mail address.")),
        ("G-7", "", ("Enter your e-mail address.",)),
        ("", BOB, ("Enter your customer reference.",)),
        ("G-7", "bob", ("Enter an e-mail address such as name@example.com.",)),
        ("G-7", "bob@x\r\nBcc: eve@x.example", ("Enter an e-mail address such as",)),
        ("G-ü", BOB, ("Enter the reference as it stands on your invoice",)),
    ],
)
async def test_faults_stand_at_their_fields(
    stand: Stand, guest: Browser, customer: str, email: str, said: tuple[str, ...]
) -> None:
    """What was typed is kept, and what is wrong with it said where it stands, and listed above."""
    await stand.confirms(stand.globex)
    answer = await guest.fill("/-/register", customer=customer, email=email)
    assert answer.status == 422
    for sentence in said:
        assert answer.text.count(sentence) == 2
    assert answer.text.count('aria-invalid="true"') == len(said)
    assert f'value="{customer}"' in answer.text
    assert await stand.mails() == []


async def test_a_withdrawn_link_is_explained(stand: Stand, guest: Browser) -> None:
    """A link that no longer counts leads to the latest invoice; one that was tampered with, nowhere."""
    registrations = stand.use_cases.registrations
    link = await registrations.invoice_link(stand.globex.id, "G-7")
    page = await guest.get(f"/-/register?t={link.token}")
    stand.time.ahead = link.expires_at
    for answer in (
        await guest.get(f"/-/register?t={link.token}"),
        await guest.submit("/-/register", {**page.hidden, "email": BOB}),
    ):
        assert answer.status == 410
        assert "There is a newer one on your latest invoice from Globex." in answer.text
    stand.time.ahead = 0
    for wrong in (link.token[:-1], link.token + "A", link.id, link.id + ".", "." + link.token, "x.y"):
        assert (await guest.get(f"/-/register?t={wrong}")).status == 404


async def test_who_asks_too_often_waits(stand: Stand, guest: Browser) -> None:
    """Mails to one address are bounded, whoever asks for them: 429 with Retry-After (THREATS 67)."""
    link = await stand.use_cases.registrations.invoice_link(stand.globex.id, "G-7")
    answers = [await guest.fill(f"/-/register?t={link.token}", email=BOB) for _ in range(6)]
    assert answers[0].status == 303
    assert answers[-1].status == 429
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert "Too many attempts." in answers[-1].text
    assert len(await stand.mails()) <= 5


async def test_who_has_no_place_is_told_to_come_again(stand: Stand, guest: Browser) -> None:
    """While others wait for a silent backend the form says so, keeps what was typed, and says when."""
    await stand.confirms(stand.globex)
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    for _ in range(8):
        stand.errands.start("registration", stand.globex.id, wait, waits=True)
    answer = await guest.fill("/-/register", customer="G-7", email=BOB)
    gate.set()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    assert "Too many people are asking for this right now." in answer.text
    assert f'value="{BOB}"' in answer.text


async def test_registration_that_closes_meanwhile(stand: Stand, guest: Browser) -> None:
    """Where a tenant stops it, a mail that is on its way lets nobody in any more, and the page says so."""
    link = await stand.use_cases.registrations.invoice_link(stand.globex.id, "G-7")
    await guest.fill(f"/-/register?t={link.token}", email=BOB)
    token = await stand.mailed("registration", BOB)
    await stand.registry.change("globex", TenantForm(allow_registration=False), actor="test")
    await stand.settled()
    answer = await guest.fill(f"/-/confirm?t={token}", password="correct horse battery")
    assert answer.status == 422
    assert "Registration is closed." in answer.text
