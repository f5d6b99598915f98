"""Posting mails: in the transaction of what they are about, sealed, and never too many for one mailbox."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from router.storage.outbox import DAILY, HOURLY, NOTICES, ONCE, Mail, Outbox, identity_of
from router.storage.schema import changes, outbox
from router.storage.sealing import Sealer
from tests.storage.tenant_row import add_tenants, tenant_row

if TYPE_CHECKING:
    from router.storage.database import Database

NOW = 1_795_300_000
TOKEN = "AbCdEf-the-token-of-a-link"
LINK = f"https://acme.portal.example/-/reset?t={TOKEN}"
SEALER = Sealer([bytes(range(32))])


def mail(recipient: str = "ada@acme.test", tenant_id: str = "tnt_1", kind: str = "reset") -> Mail:
    """A mail with a link that must not get out."""
    return Mail(tenant_id, kind, recipient, "de", {"link": LINK, "minutes": 60})


async def post(database: Database, now: float = NOW, **changed: str) -> bool:
    """Post one mail in a transaction of its own."""
    async with database.write() as connection:
        return await Outbox(SEALER).post(connection, mail(**changed), now)


@pytest.fixture(autouse=True)
async def _tenants(database: Database) -> None:
    rows = (tenant_row(f"tnt_{number}", f"tenant-{number}", at=NOW) for number in (1, 2))
    await add_tenants(database, *rows)


async def test_a_mail_waits_and_is_announced(database: Database) -> None:
    """What was posted is due at once, opens with its own identity, and is a change that workers hear of."""
    assert await post(database)
    async with database.read() as connection:
        row = (await connection.execute(select(outbox))).mappings().one()
        heard = (await connection.execute(select(changes.c.kind, changes.c.key))).one()
    facts = json.loads(SEALER.open(row["sealed_facts"], identity=identity_of(row["id"])))
    assert facts == {"link": LINK, "minutes": 60}
    assert (row["kind"], row["recipient"], row["language"]) == ("reset", "ada@acme.test", "de")
    assert (row["state"], row["attempts"], row["due_at"], row["sent_at"]) == ("waiting", 0, NOW, None)
    assert tuple(heard) == ("mail", row["id"])


async def test_nothing_of_a_link_is_stored_or_shown_in_the_clear(database: Database) -> None:
    """Neither the database's rows nor a representation of the mail hold any of what it says."""
    await post(database)
    async with database.read() as connection:
        row = (await connection.execute(select(outbox))).one()
    assert TOKEN.encode() not in row.sealed_facts
    assert TOKEN not in repr(row)
    assert TOKEN not in repr(mail())


async def test_a_mail_about_what_was_rolled_back_is_not_sent(database: Database) -> None:
    """The mail and what it is about happen together or not at all."""

    async def fail_after_posting() -> None:
        async with database.write() as connection:
            await Outbox(SEALER).post(connection, mail(), NOW)
            raise KeyError

    with pytest.raises(KeyError):
        await fail_after_posting()
    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(outbox)) == 0


async def test_a_mailbox_is_not_flooded(database: Database) -> None:
    """The sixth mail within an hour and the twenty-first within a day are not queued; the log says so."""
    assert [await post(database) for _ in range(HOURLY)] == [True] * HOURLY
    with capture_logs() as lines:
        assert not await post(database, NOW + 3599)
    assert [line["kind"] for line in lines] == ["reset"]
    assert "ada" not in str(lines)
    for hour in (1, 2, 3):
        assert all([await post(database, NOW + hour * 3600) for _ in range(HOURLY)])
    assert HOURLY * 4 == DAILY
    assert not await post(database, NOW + 4 * 3600)
    assert await post(database, NOW + 86_400)
    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(outbox)) == DAILY + 1


async def test_what_is_told_once_has_no_bound(database: Database) -> None:
    """A certificate's end is told however many mails there were, and takes nobody's place among them."""
    for kind in sorted(ONCE) * HOURLY:
        assert await post(database, kind=kind)
    assert [await post(database) for _ in range(HOURLY + 1)] == [True] * HOURLY + [False]
    assert await post(database, kind="certificate-expired")


async def test_bounds_are_for_one_tenant_and_one_recipient(database: Database) -> None:
    """Who has had enough of one tenant's mails still gets another's, and others get theirs."""
    for _ in range(HOURLY):
        await post(database)
    assert not await post(database)
    assert await post(database, tenant_id="tnt_2")
    assert await post(database, recipient="grace@acme.test")


@pytest.mark.parametrize("notice", sorted(NOTICES))
async def test_a_full_mailbox_keeps_no_notice_back(database: Database, notice: str) -> None:
    """Who had all mails that anyone gets is told of what was done to the account, within bounds as well."""
    while await post(database):
        pass
    assert [await post(database, kind=notice) for _ in range(HOURLY + 1)] == [True] * HOURLY + [False]
    assert not await post(database)


async def test_a_burst_is_counted_one_by_one(database: Database) -> None:
    """Twelve requests at once for one mailbox make five mails, on PostgreSQL too."""
    async with asyncio.TaskGroup() as group:
        posts = [group.create_task(post(database)) for _ in range(12)]
    assert sum(each.result() for each in posts) == HOURLY


async def test_two_mails_of_one_transaction_are_both_queued(database: Database) -> None:
    """A change of address tells the old and the new one; posting twice in a transaction does no harm."""
    async with database.write() as connection:
        box = Outbox(SEALER)
        assert await box.post(connection, mail("old@acme.test"), NOW)
        assert await box.post(connection, mail("new@acme.test"), NOW)
    async with database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(outbox)) == 2
