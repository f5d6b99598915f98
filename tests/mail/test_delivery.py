"""The delivery, with real mail servers and both databases: each mail once, none lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from router.errors import Unavailable
from router.mail.delivery import Delivery, prune
from router.mail.letters import Letters
from router.mail.schedule import KEPT, LEASE, PAUSES, TOO_OLD
from router.observe.tasks import Tasks
from router.storage.changes import ChangeFeed, PollBell
from router.storage.sealing import Sealer
from tests.mail.conftest import LINK, SENDER, START, TOKEN, Office, by_smtp
from tests.mail.mail_server import TAKEN, Letterbox, mail_server
from tests.waiting import until

if TYPE_CHECKING:
    from router.mail.message import Message

ROOT = Path(__file__).parent.parent.parent


class Held:
    """A transport that sends when it is told to."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.begun = 0
        self.go = asyncio.Event()

    async def send(self, message: Message) -> str:
        """Wait, then send."""
        self.begun += 1
        await self.go.wait()
        self.sent.append(message.id)
        return TAKEN


async def settled(office: Office, state: str, mail_id: str) -> None:
    """Wait until a mail is in a state."""

    async def there() -> bool:
        return str((await office.row(mail_id)).state) == state

    await until(there)


async def test_a_mail_is_sent_in_the_tenants_name_and_forgotten(office: Office) -> None:
    """From outbox to recipient: rendered in its language, its id in the Message-ID, its facts gone."""
    mail_id = await office.post()
    async with mail_server(box := Letterbox()) as port, office.delivering(by_smtp(port)) as delivery:
        await settled(office, "sent", mail_id)
        assert delivery.healthy
    (got,) = box.messages()
    assert str(got["From"]) == "Acme <portal@example.com>"
    assert got["Message-ID"] == f"<{mail_id}@example.com>"
    assert LINK in box.got[0].decode().replace("=\r\n", "").replace("=3D", "=")
    assert office.theme.asked == [("tnt_1", "reset", "en")]
    assert (await office.row(mail_id)).sealed_facts is None


async def test_a_mail_that_is_posted_wakes_the_worker(office: Office) -> None:
    """No worker waits for its next look: the change feed tells it."""
    feed = ChangeFeed(office.database, PollBell(), period=0.02)
    async with mail_server(Letterbox()) as port, Tasks() as tasks:
        tasks.start(feed.run(), name="feed")
        async with office.delivering(by_smtp(port), feed=feed, period=3600):
            await settled(office, "sent", await office.post("first@acme.test"))
            await settled(office, "sent", await office.post("second@acme.test"))


async def test_two_workers_send_each_mail_once(office: Office) -> None:
    """However they race for thirty mails, thirty arrive."""
    ids = [await office.post(f"user{number}@acme.test") for number in range(30)]
    async with (
        mail_server(box := Letterbox()) as port,
        office.delivering(by_smtp(port)),
        office.delivering(by_smtp(port)),
    ):
        for mail_id in ids:
            await settled(office, "sent", mail_id)
    assert sorted(str(message["Message-ID"]) for message in box.messages()) == sorted(
        f"<{mail_id}@example.com>" for mail_id in ids
    )
    assert box.begun == 30


async def test_a_server_that_is_busy_gets_the_mail_later(office: Office) -> None:
    """4xx, then success: put off by a minute, told in the outbox and in readiness, then sent."""
    mail_id = await office.post()
    async with (
        mail_server(box := Letterbox(rcpt=["451 4.7.1 greylisted"])) as port,
        office.delivering(by_smtp(port)) as delivery,
    ):
        await until(lambda: not delivery.healthy)
        await settled(office, "waiting", mail_id)
        row = await office.row(mail_id)
        assert (row.attempts, row.due_at) == (1, START + PAUSES[0])
        assert "451 4.7.1 greylisted" in row.error
        assert box.got == []
        office.clock.now += PAUSES[0]
        await settled(office, "sent", mail_id)
        assert delivery.healthy
    assert len(box.got) == 1


async def test_a_recipient_who_does_not_exist_is_not_tried_again(office: Office) -> None:
    """5xx for the recipient: failed at once, with the server's words, and the others go on."""
    lost = await office.post("nobody@acme.test")
    async with (
        mail_server(box := Letterbox(rcpt=["550 5.1.1 no such user"])) as port,
        office.delivering(by_smtp(port)) as delivery,
    ):
        await settled(office, "failed", lost)
        await settled(office, "sent", await office.post("ada@acme.test"))
        assert delivery.healthy
    row = await office.row(lost)
    assert (row.attempts, row.error) == (1, "The mail server refused this mail: 550 5.1.1 no such user")
    assert box.to == ["ada@acme.test"]


async def test_a_mail_server_that_stays_away_ends_it_after_a_day(office: Office) -> None:
    """Eleven attempts over a day, each pause as the schedule says; then it is failed, and says why."""
    mail_id = await office.post()
    async with (
        mail_server(box := Letterbox(data=["452 full"] * 11)) as port,
        office.delivering(by_smtp(port)),
    ):
        for seconds in PAUSES:

            async def put_off(at: int = int(office.clock() + seconds)) -> bool:
                row = await office.row(mail_id)
                return (row.state, row.due_at) == ("waiting", at)

            await until(put_off)
            office.clock.now += seconds
        await settled(office, "failed", mail_id)
    assert box.begun == 11
    row = await office.row(mail_id)
    assert "452 full" in row.error
    assert row.sealed_facts is not None  # for `mail retry`


@pytest.mark.parametrize("answer", [None, "cut"], ids=["hangs", "cut"])
async def test_a_conversation_that_breaks_is_repeated_with_the_same_id(
    office: Office, answer: str | None
) -> None:
    """A hang or a cut at the end of DATA: nobody knows if it was taken, so it comes again, recognisably."""
    mail_id, box = await office.post(), Letterbox(data=[answer])
    async with mail_server(box) as port, office.delivering(by_smtp(port, whole=0.5)):
        await until(lambda: box.begun == 1)
        await settled(office, "waiting", mail_id)
        office.clock.now += PAUSES[0]
        await settled(office, "sent", mail_id)
    assert [str(message["Message-ID"]) for message in box.messages()] == [f"<{mail_id}@example.com>"]


async def test_a_killed_worker_leaves_its_mail_to_another(office: Office, database_url: str) -> None:
    """A worker dies while the mail server thinks: after the lease the mail is sent, with the same id."""
    mail_id = await office.post()
    async with mail_server(box := Letterbox(data=[None])) as port:
        await _killed_while_sending(database_url, port, box)
        assert (await office.row(mail_id)).state == "sending"
        office.clock.now += LEASE
        async with office.delivering(by_smtp(port)):
            await settled(office, "sent", mail_id)
    assert (await office.row(mail_id)).attempts == 2
    assert [str(message["Message-ID"]) for message in box.messages()] == [f"<{mail_id}@example.com>"]


async def _killed_while_sending(database_url: str, port: int, box: Letterbox) -> None:
    script = str(Path(__file__).with_name("killed_worker.py"))
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, script, database_url, str(port)), env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    try:
        await until(lambda: not box.data, within=30)  # it waits for the answer to its mail
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()


async def test_a_worker_that_ends_finishes_what_it_sends(office: Office) -> None:
    """Whoever is replaced while a mail is under way waits for it: no mail arrives twice by a deployment."""
    mail_id = await office.post()
    transport = Held()
    tasks = Tasks()
    tasks.start(office.delivery(transport).run(), name="delivery")
    await until(lambda: transport.begun == 1)
    async with asyncio.TaskGroup() as group:
        closing = group.create_task(tasks.close())
        await asyncio.sleep(0)
        assert not closing.done()
        transport.go.set()
    assert transport.sent == [mail_id]
    assert (await office.row(mail_id)).state == "sent"


async def test_a_worker_that_cannot_finish_leaves_it_to_the_lease(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait at the end has a limit; the mail stays leased, and comes to another worker."""
    monkeypatch.setattr("router.storage.rounds._GRACE", 0.05)
    mail_id = await office.post()
    async with office.delivering(transport := Held()):
        await until(lambda: transport.begun == 1)
    assert transport.sent == []
    row = await office.row(mail_id)
    assert (row.state, row.due_at) == ("sending", START + LEASE)


async def test_a_mail_that_kills_its_workers_is_given_up(office: Office) -> None:
    """After as many leases that ran out as there are attempts it is not sent a twelfth time."""
    mail_id = await office.post()
    for _ in range(len(PAUSES) + 1):
        assert len(await office.queue.take(1, office.clock())) == 1
        office.clock.now += LEASE
    async with office.delivering(transport := Held()):
        await settled(office, "failed", mail_id)
    assert transport.begun == 0


async def test_a_mail_that_waited_for_weeks_is_not_sent(office: Office) -> None:
    """When a mail server is set at last, nobody gets links that ran out long ago."""
    mail_id = await office.post()
    office.clock.now += TOO_OLD + 1
    async with office.delivering(transport := Held()):
        await settled(office, "failed", mail_id)
    assert transport.begun == 0


async def test_a_mail_that_cannot_be_written_holds_up_no_other(office: Office) -> None:
    """A fault in a theme is logged with its place, and not with what the mail says; the mail waits."""
    office.theme.fault = ValueError(f"cannot parse {LINK}")
    lost = await office.post("first@acme.test")
    with capture_logs() as lines:
        async with office.delivering(transport := Held()) as delivery:
            transport.go.set()
            await until(lambda: len(office.theme.asked) == 1)
            await settled(office, "waiting", lost)
            office.theme.fault = None
            await settled(office, "sent", await office.post("second@acme.test"))
            assert delivery.healthy
    row = await office.row(lost)
    assert row.error.startswith("It could not be written: ValueError at ")
    assert "conftest.py" in row.error
    assert TOKEN not in row.error + str(lines)


async def test_nothing_secret_is_logged(office: Office) -> None:
    """Neither links nor addresses nor a server's words are in the log, whatever becomes of a mail."""
    sent, refused = await office.post("sent@acme.test"), await office.post("refused@acme.test")
    with capture_logs() as lines:
        box = Letterbox(rcpt=["550 no refused@acme.test", "450 sent@acme.test not now"])
        async with mail_server(box) as port, office.delivering(by_smtp(port)):
            await until(lambda: len(lines) == 2)
            office.clock.now += PAUSES[0]
            await until(lambda: len(lines) == 3)
    assert {line["event"] for line in lines} == {"mail failed", "mail put off", "mail sent"}
    assert {line["mail"] for line in lines} == {sent, refused}
    for secret in (TOKEN, "acme.test", "not now"):
        assert secret not in str(lines)


async def test_a_mail_sealed_with_another_key_waits_for_it(office: Office) -> None:
    """A key that is missing from the settings loses nothing: the mail is put off, and says so."""
    mail_id = await office.post()
    letters = Letters(Sealer([bytes(32)]), office.theme.compose, SENDER)
    feed = ChangeFeed(office.database, PollBell())
    delivery = Delivery(office.queue, letters, Held(), feed, clock=office.clock, period=0.02)
    async with Tasks() as tasks:
        tasks.start(delivery.run(), name="delivery")

        async def told() -> bool:
            return (await office.row(mail_id)).error is not None

        await until(told)
    row = await office.row(mail_id)
    assert row.state == "waiting"
    assert "encryption key" in row.error.lower()


async def test_what_was_sent_is_written_down_when_the_database_is_back(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage between the mail server's word and ours costs no second mail, within the lease."""
    mail_id = await office.post()
    transport = Held()
    delivery = office.delivery(transport, period=0.02)
    write, refusals = office.database.write, 2

    async with Tasks() as tasks:
        tasks.start(delivery.run(), name="delivery")
        await until(lambda: transport.begun == 1)

        def away() -> object:
            nonlocal refusals
            if refusals:
                refusals -= 1
                raise Unavailable("database_unavailable", "The database does not answer.")
            return write()

        monkeypatch.setattr(office.database, "write", away)
        transport.go.set()
        await settled(office, "sent", mail_id)
    assert transport.sent == [mail_id]


async def test_an_outage_of_the_database_ends_no_delivery(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing can be taken the worker waits; afterwards it goes on."""
    read, refusals = office.database.read, 2

    def away() -> object:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise Unavailable("database_unavailable", "The database does not answer.")
        return read()

    mail_id = await office.post()
    monkeypatch.setattr(office.database, "read", away)
    transport = Held()
    transport.go.set()
    async with office.delivering(transport):
        await until(lambda: refusals == 0)
        await settled(office, "sent", mail_id)


async def test_a_mail_that_another_worker_took_over_is_its_own(office: Office) -> None:
    """Who comes back after its lease ran out changes nothing that the other one wrote."""
    mail_id = await office.post()
    with capture_logs() as lines:
        async with office.delivering(transport := Held(), period=3600):
            await until(lambda: transport.begun == 1)
            (taken_over,) = await office.queue.take(1, START + LEASE)
            await office.queue.fail(taken_over, "550")
            transport.go.set()
            await until(lambda: any(line["event"] == "mail was another worker's" for line in lines))
    assert (await office.row(mail_id)).state == "failed"


async def test_old_mails_are_forgotten_in_the_background(office: Office) -> None:
    """Also where no mail server is set and nothing is sent."""
    await office.post()
    office.clock.now += KEPT + 1

    async def none_left() -> bool:
        return await office.states() == []

    async with Tasks() as tasks:
        tasks.start(prune(office.queue, clock=office.clock), name="old mails")
        await until(none_left)
