from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from router.errors import BadInput, Conflict, NotFound, RouterError, Unavailable
from router.identity.links import LIVES
from router.identity.newcomers import Offer
from router.identity.user import User
from router.storage.schema import outbox
from tests.identity.conftest import ADDRESS, GOOD
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from router.identity.sign_in import Refused
    from tests.clock import Clock
    from tests.identity.conftest import Worker

EMAIL = "new@acme.test"


@pytest.fixture
async def open_worker(worker: Worker) -> Worker:
    """A worker whose tenant lets customers register; its backend knows new@acme.test as of C-7."""
    await worker.allow_registration()
    worker.backend.belongs.add(("C-7", EMAIL))
    return worker


async def _by_link(worker: Worker, token: str, email: str = EMAIL) -> Refused | None:
    return await worker.registrations.begin_by_link("tnt_1", token, email, "de", ADDRESS)


async def _by_reference(worker: Worker, customer: str = "C-7", email: str = EMAIL) -> Refused | None:
    return await worker.registrations.begin_by_reference("tnt_1", customer, email, "de", ADDRESS)


async def _invoice(worker: Worker, email: str | None = None) -> str:
    return (await worker.registrations.invoice_link("tnt_1", "C-7", email)).token


async def _finish(worker: Worker, token: str, tenant: str = "tnt_1") -> User:
    return await worker.registrations.finish(tenant, token, GOOD, language="de")


async def test_customer_registers_by_the_invoice(open_worker: Worker, clock: Clock) -> None:
    """The invoice's link, an address, the mail's link, a password: and they sign in for the customer."""
    invoice = await _invoice(open_worker)
    assert await _by_link(open_worker, invoice, "New@Acme.test") is None
    mail = await open_worker.mail("registration")
    assert (mail.recipient, mail.language, mail.facts["customer"]) == (EMAIL, "de", "C-7")
    assert mail.facts["expires_at"] == clock() + LIVES["registration"]
    offer = await open_worker.registrations.look_confirmation("tnt_1", mail.token)
    assert offer == Offer(EMAIL, "C-7", needs_password=True)
    user = await _finish(open_worker, mail.token)
    assert (user.customers, user.language) == (("C-7",), "de")
    assert (await open_worker.session(EMAIL)).customer == "C-7"
    assert await open_worker.registrations.look("tnt_1", invoice) == "used"
    assert open_worker.backend.asked == []
    assert await open_worker.audited() == ["user.add", "user.register"]


async def test_an_invoice_s_link_does_not_write_to_the_world(open_worker: Worker) -> None:
    """However many networks send it, one link has twenty mails a day sent; another link goes on."""
    invoice, begin = await _invoice(open_worker), open_worker.registrations.begin_by_link
    answers = []
    for turn in range(25):
        answers.append(await begin("tnt_1", invoice, f"m{turn}@acme.test", "en", f"203.0.113.{turn}"))
        await open_worker.errands.settled()
    assert [answer is None for answer in answers] == [True] * 20 + [False] * 5
    assert len(await open_worker.mails()) == 20
    other = (await open_worker.registrations.invoice_link("tnt_1", "C-8")).token
    assert await begin("tnt_1", other, EMAIL, "en", ADDRESS) is None


async def test_customer_registers_by_reference(open_worker: Worker) -> None:
    """The backend is asked; where it says yes, a mail's link leads to the password."""
    assert await _by_reference(open_worker, " C-7 ") is None
    mail = await open_worker.mail("registration")
    assert open_worker.backend.asked == [("tnt-1", "C-7", EMAIL)]
    assert (await _finish(open_worker, mail.token)).customers == ("C-7",)


@pytest.mark.parametrize(("customer", "email"), [("C-8", EMAIL), ("C-7", "other@acme.test")])
async def test_nobody_is_written_to_whom_the_backend_does_not_know(
    open_worker: Worker, customer: str, email: str
) -> None:
    """Where the backend says no, the answer is the same, and no mail is sent."""
    assert await _by_reference(open_worker, customer, email) is None
    assert await open_worker.mails() == []


async def test_the_answer_does_not_wait_for_the_backend(open_worker: Worker) -> None:
    """Neither how long the backend takes nor what it says shows in the answer."""
    open_worker.backend.answers.clear()
    async with asyncio.timeout(20):
        assert await _by_reference(open_worker) is None
    open_worker.backend.answers.set()
    assert len(await open_worker.mails()) == 1


async def test_a_silent_backend_holds_up_few_and_no_other_errand(open_worker: Worker) -> None:
    """Eight wait for it at most, and the others are told at once; resets and invoices' links go on."""
    open_worker.backend.answers.clear()
    told = []
    for turn in range(20):
        try:
            told.append(await _by_reference(open_worker, email=f"m{turn}@acme.test") or "sent")
        except Unavailable as fault:
            told.append(fault.code)
    assert told == ["sent"] * 8 + ["busy"] * 12
    assert await open_worker.recovery.forgot("tnt_1", "mary@acme.test", "en", ADDRESS) is None
    assert await _by_link(open_worker, await _invoice(open_worker)) is None

    async def both_sent() -> bool:
        async with open_worker.database.read() as connection:
            return await connection.scalar(select(func.count()).select_from(outbox)) == 2

    await until(both_sent)
    open_worker.backend.answers.set()
    await open_worker.errands.settled()
    assert len(open_worker.backend.asked) == 8
    assert await _by_reference(open_worker, email="m30@acme.test") is None


async def test_where_registration_is_closed_nothing_begins_or_ends(worker: Worker) -> None:
    """A tenant that does not allow it says so at every step, and nobody is asked or written to."""
    token = await _invoice(worker)
    attempts: list[Awaitable[object]] = [
        _by_link(worker, token),
        _by_reference(worker),
        _finish(worker, "x" * 43),
    ]
    for attempt in attempts:
        with pytest.raises(BadInput) as caught:
            await attempt
        assert caught.value.code == "registration_closed"
    assert worker.backend.asked == []
    assert await worker.mails() == []


async def test_link_bound_to_an_address_leads_there_alone(open_worker: Worker) -> None:
    """Whoever has somebody's invoice and types another address makes a mail go to the bound one."""
    invoice = await _invoice(open_worker, EMAIL)
    assert await _by_link(open_worker, invoice, "thief@evil.test") is None
    assert [mail.recipient for mail in await open_worker.mails()] == [EMAIL]


async def test_invoice_serves_one_registration(open_worker: Worker, clock: Clock) -> None:
    """Two begin by the same invoice: whoever finishes first is in, the other is told that it was used."""
    invoice = await _invoice(open_worker)
    await _by_link(open_worker, invoice)
    clock.now += 1
    await _by_link(open_worker, invoice, "other@acme.test")
    mine, theirs = [mail.token for mail in await open_worker.mails()]
    outcomes = await asyncio.gather(
        _finish(open_worker, mine), _finish(open_worker, theirs), return_exceptions=True
    )
    assert sum(isinstance(outcome, User) for outcome in outcomes) == 1
    assert [fault.code for fault in outcomes if isinstance(fault, RouterError)] == ["link_used"]
    with pytest.raises(Conflict) as caught:
        await _by_link(open_worker, invoice)
    assert caught.value.code == "link_used"


async def test_registration_is_finished_once(open_worker: Worker) -> None:
    """Of five clicks at once one makes the user."""
    await _by_reference(open_worker)
    token = (await open_worker.mail("registration")).token
    outcomes = await asyncio.gather(*(_finish(open_worker, token) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(outcome, User) for outcome in outcomes) == 1
    assert await open_worker.registrations.look_confirmation("tnt_1", token) == "used"


async def test_known_address_gains_the_customer_and_keeps_its_password(open_worker: Worker) -> None:
    """Who is a user already and comes by the invoice's link gets one more customer, by one click."""
    await _by_link(open_worker, await _invoice(open_worker), "mary@acme.test")
    token = (await open_worker.mail("registration")).token
    assert await open_worker.registrations.look_confirmation("tnt_1", token) == Offer(
        "mary@acme.test", "C-7", needs_password=False
    )
    user = await open_worker.registrations.finish("tnt_1", token)
    assert user.customers == ("C-1001", "C-7")
    await open_worker.signed_in()


async def test_member_is_told_in_the_mail_alone(open_worker: Worker) -> None:
    """Who signs in for the customer already gets word of that; the page's answer is as ever."""
    open_worker.backend.belongs.add(("C-1001", "mary@acme.test"))
    assert await _by_reference(open_worker, "C-1001", "mary@acme.test") is None
    [mail] = await open_worker.mails()
    assert (mail.kind, mail.recipient) == ("already-registered", "mary@acme.test")


async def test_revoked_invoice_link_voids_the_mails_it_sent(open_worker: Worker) -> None:
    """Once a link is revoked, neither it nor a mail from before leads to anything."""
    link = await open_worker.registrations.invoice_link("tnt_1", "C-7")
    await _by_link(open_worker, link.token)
    token = (await open_worker.mail("registration")).token
    await open_worker.invoice_links.revoke("tnt_1", link.id, actor="x")
    with pytest.raises(Conflict) as caught:
        await _finish(open_worker, token)
    assert caught.value.code == "link_voided"
    with pytest.raises(Conflict):
        await _by_link(open_worker, link.token)


async def test_links_are_bound_to_the_tenant(
    open_worker: Worker, add_tenant: Callable[[str], Awaitable[None]]
) -> None:
    """An invoice's link and a mail's are unknown at another tenant."""
    await add_tenant("tnt_2")
    await open_worker.allow_registration("tnt_2")
    invoice = await _invoice(open_worker)
    with pytest.raises(NotFound):
        await open_worker.registrations.begin_by_link("tnt_2", invoice, EMAIL, "en", ADDRESS)
    await _by_link(open_worker, invoice)
    with pytest.raises(NotFound):
        await _finish(open_worker, (await open_worker.mail("registration")).token, "tnt_2")


@pytest.mark.parametrize("email", [EMAIL, "mary@acme.test", "nobody@acme.test"])
async def test_registering_is_throttled_alike_for_everybody(open_worker: Worker, email: str) -> None:
    """How often one may try tells nothing about an address, and mails are bounded."""
    answers = [await _by_reference(open_worker, email=email) for _ in range(6)]
    assert [answer is None for answer in answers] == [True] * 4 + [False] * 2
    assert len(await open_worker.mails()) <= 3


@pytest.mark.parametrize(
    ("customer", "email", "code"),
    [
        ("C-7", "a@x@y", "bad_email"),
        ("C-7", "a@x.test\r\nBcc: b@x.test", "bad_email"),
        ("C\r\n7", EMAIL, "bad_customer"),
        ("x" * 100_000, EMAIL, "bad_customer"),
    ],
)
async def test_bad_input_is_said_and_asks_nobody(
    open_worker: Worker, customer: str, email: str, code: str
) -> None:
    """What no account or customer can have is refused with a code before the backend is asked."""
    with pytest.raises(BadInput) as caught:
        await _by_reference(open_worker, customer, email)
    assert caught.value.code == code
    assert open_worker.backend.asked == []
