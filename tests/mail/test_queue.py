from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, select

from router.errors import Conflict, NotFound
from router.mail.queue import Queue
from router.mail.schedule import KEPT, LEASE
from router.storage.schema import audit, changes, tenants
from tests.mail.conftest import START, TOKEN

if TYPE_CHECKING:
    from tests.mail.conftest import Office


async def test_a_mail_belongs_to_one_worker_until_its_lease_runs_out(office: Office) -> None:
    """Who comes second gets nothing; when the first has died, somebody gets it again, as another attempt."""
    mail_id = await office.post()
    (first,) = await office.queue.take(4, START)
    assert (first.id, first.attempts, first.due_at) == (mail_id, 1, START + LEASE)
    assert await office.queue.take(4, START + LEASE - 1) == []
    (second,) = await office.queue.take(4, START + LEASE)
    assert (second.id, second.attempts) == (mail_id, 2)
    assert not await office.queue.sent(first, START + LEASE)  # too late: it is somebody else's
    assert not await office.queue.fail(first, "x")
    assert not await office.queue.put_off(first, START, "x")
    assert (await office.row(mail_id)).state == "sending"
    assert await office.queue.sent(second, START + LEASE + 1)


async def test_workers_that_take_at_once_share_the_mails(office: Office) -> None:
    """Eight takers get twelve mails between them, each once."""
    posted = {await office.post(f"user{number}@acme.test") for number in range(12)}
    async with asyncio.TaskGroup() as group:
        takers = [group.create_task(Queue(office.database).take(3, START)) for _ in range(8)]
    taken = [mail.id for taker in takers for mail in taker.result()]
    assert len(taken) == len(set(taken)) == 12
    assert set(taken) == posted


async def test_the_longest_due_come_first(office: Office) -> None:
    """Nobody's mail starves behind newer ones."""
    old = await office.post("old@acme.test")
    office.clock.now += 60
    new = await office.post("new@acme.test")
    assert [mail.id for mail in await office.queue.take(1, office.clock())] == [old]
    assert [mail.id for mail in await office.queue.take(1, office.clock())] == [new]


async def test_what_was_sent_is_forgotten(office: Office) -> None:
    """The facts go with the sending; that it was sent, to whom and when, stays."""
    mail_id = await office.post()
    (mail,) = await office.queue.take(4, START)
    assert TOKEN not in repr(mail)
    assert (await office.row(mail_id)).sealed_facts is not None
    await office.queue.sent(mail, START + 2)
    row = await office.row(mail_id)
    assert (row.state, row.sealed_facts, row.sent_at, row.error) == ("sent", None, START + 2, None)
    assert await office.queue.take(4, START + KEPT) == []


async def test_what_was_put_off_waits_with_the_reason(office: Office) -> None:
    """It is not due before its time, keeps what it says, and tells why it waits; on one line, bounded."""
    mail_id = await office.post()
    (mail,) = await office.queue.take(4, START)
    assert await office.queue.put_off(mail, START + 60, "421 closing\r\n\0" + "x" * 999)
    assert await office.queue.take(4, START + 59) == []
    record = await office.queue.find(mail_id)
    assert record.error is not None
    assert (record.state, record.error[:14], len(record.error)) == ("waiting", "421 closing xx", 300)
    (again,) = await office.queue.take(4, START + 60)
    assert (again.attempts, again.sealed_facts) == (2, mail.sealed_facts)


async def test_a_failed_mail_can_be_tried_again(office: Office) -> None:
    """All attempts are before it then, and the workers hear of it; one that was sent cannot be."""
    mail_id = await office.post()
    (mail,) = await office.queue.take(4, START)
    with pytest.raises(Conflict) as fault:
        await office.queue.retry(mail_id, START, actor="cli:ada")
    assert fault.value.code == "mail_being_sent"
    await office.queue.fail(mail, "550 no such user")
    assert await office.queue.take(4, START + KEPT) == []
    await office.queue.retry(mail_id, START + 9, actor="cli:ada")
    async with office.database.read() as connection:
        told = select(func.count()).where(changes.c.kind == "mail", changes.c.key == mail_id)
        assert await connection.scalar(told) == 2  # posted, and now
    detail = {"kind": mail.kind, "state": "failed", "attempts": 1}
    assert await _noted(office) == [(mail_id, detail)]
    (again,) = await office.queue.take(4, START + 9)
    assert again.attempts == 1
    await office.queue.sent(again, START + 9)
    with pytest.raises(Conflict) as fault:
        await office.queue.retry(mail_id, START, actor="cli:ada")
    assert fault.value.code == "mail_sent"
    with pytest.raises(NotFound):
        await office.queue.retry("mail_0", START, actor="cli:ada")


async def _noted(office: Office) -> list[tuple[str, object]]:
    """What the audit tells of mails that Ada had tried again."""
    mine = (audit.c.action == "mail.retry") & (audit.c.actor == "cli:ada")
    async with office.database.read() as connection:
        rows = await connection.execute(select(audit.c.subject, audit.c.detail).where(mine))
        return [(row.subject, row.detail) for row in rows]


async def test_all_failed_mails_can_be_tried_again(office: Office) -> None:
    """After a mistake in the settings was mended, one command sends what had been given up."""
    for number in range(3):
        await office.post(f"user{number}@acme.test")
    first, second, third = await office.queue.take(4, START)
    await office.queue.fail(first, "550")
    await office.queue.fail(second, "550")
    await office.queue.sent(third, START)
    assert await office.queue.retry_failed(START + 1, actor="cli:ada") == 2
    assert {mail.id for mail in await office.queue.take(4, START + 1)} == {first.id, second.id}
    assert await office.queue.retry_failed(START + 1, actor="cli:ada") == 0
    assert await _noted(office) == [("tnt_1", {"failed": 2})]


async def test_the_latest_are_told_first(office: Office) -> None:
    """By tenant and by state, and no more than asked for; what a mail says is not among it."""
    ids = []
    for number in range(3):
        office.clock.now += 1
        ids.append(await office.post(f"user{number}@acme.test"))
    await office.queue.take(1, office.clock())
    assert [record.id for record in await office.queue.list()] == ids[::-1]
    assert [record.id for record in await office.queue.list(most=1)] == ids[2:]
    assert [record.id for record in await office.queue.list(state="sending")] == ids[:1]
    assert len(await office.queue.list(tenant_id="tnt_1")) == 3
    assert await office.queue.list(tenant_id="tnt_2") == []
    assert "facts" not in repr(await office.queue.find(ids[0]))


async def test_old_mails_are_forgotten(office: Office) -> None:
    """After thirty days nothing is left of a mail, whatever became of it."""
    await office.post()
    assert await office.queue.prune(START + KEPT) == 0
    assert await office.queue.prune(START + KEPT + 1) == 1
    assert await office.states() == []


async def test_a_tenants_mails_go_with_it(office: Office) -> None:
    """A deleted tenant sends nothing more."""
    await office.post()
    (mail,) = await office.queue.take(4, START)
    async with office.database.write() as connection:
        await connection.execute(delete(tenants))
    assert not await office.queue.sent(mail, START)
    assert await office.states() == []
