from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from router.storage import resealing
from router.storage.resealing import Resealed, reseal
from router.storage.schema import audit, certificates
from router.storage.sealed import CERTIFICATES, MAILS, SEALED, uses
from router.storage.sealing import Sealer, key_id
from tests.storage.sealed_rows import (
    AFTER,
    BEFORE,
    BOTH,
    NEW,
    NOW,
    OLD,
    SECRET,
    fill,
    values,
)

if TYPE_CHECKING:
    from router.storage.database import Database

PLAIN = {MAILS.kind: b'{"link": "https://acme.example/"}'}


async def rotate(database: Database, sealer: Sealer = BOTH, *, batches: int = 1000) -> Resealed:
    """Seal anew, ``batches`` of two values at most."""
    left = iter(range(batches - 1))
    go_on = lambda _: next(left, None) is not None  # noqa: E731 - what a caller would hand over
    return await reseal(database, sealer, go_on=go_on, actor="cli:test", clock=lambda: NOW, batch=2)


async def test_everything_opens_with_the_new_key_alone(database: Database) -> None:
    """After a rotation nothing needs the former key, all say what they said, and the audit has a line."""
    await fill(database)
    ran = await rotate(database)
    kinds = {"certificates": 5, "signing keys": 2, "mails": 1, "webhook secrets": 1}
    assert (dict(ran.done), ran.unopened) == (kinds, [])
    for sealed in SEALED:
        for record_id, value in (await values(database, sealed)).items():
            plain = AFTER.open(value, identity=sealed.identity(record_id))
            assert plain == PLAIN.get(sealed.kind, SECRET)
    assert (await uses(database)).keys() == {key_id(NEW)}
    async with database.read() as connection:
        (line,) = (await connection.execute(select(audit))).all()
    assert (line.action, line.actor, line.subject) == ("keys.rotate", "cli:test", key_id(NEW))
    assert line.detail == dict(ran.done)


async def test_a_second_time_changes_nothing(database: Database) -> None:
    """What is current is not sealed again, and no line of audit says so."""
    await fill(database, BOTH)
    before = [await values(database, sealed) for sealed in SEALED]
    assert not (await rotate(database)).done
    assert [await values(database, sealed) for sealed in SEALED] == before
    async with database.read() as connection:
        assert (await connection.execute(select(audit))).all() == []


async def test_it_goes_on_where_it_was_stopped(database: Database) -> None:
    """Stopped after a batch, the rest is still there for the next run, and everything opens in between."""
    await fill(database)
    assert (await rotate(database, batches=1)).done.total() == 2
    counts = await uses(database)
    assert {key: count.total() for key, count in counts.items()} == {key_id(NEW): 2, key_id(OLD): 7}
    for sealed in SEALED:
        for record_id, value in (await values(database, sealed)).items():
            BOTH.open(value, identity=sealed.identity(record_id))
    assert (await rotate(database)).done.total() == 7


async def test_a_value_that_changed_meanwhile_is_not_overwritten(database: Database) -> None:
    """A record written between being read and being sealed anew keeps what was written."""
    await fill(database)
    rows = await resealing._stale(database, BOTH, CERTIFICATES, "", 2)  # noqa: SLF001 - between its two halves
    written = BEFORE.seal(b"another key", identity=CERTIFICATES.identity("crt_0001"))
    async with database.write() as connection:
        this = update(certificates).where(certificates.c.id == "crt_0001")
        await connection.execute(this.values(sealed_key=written))
    await resealing._reseal(database, BOTH, CERTIFICATES, rows, Resealed())  # noqa: SLF001 - the other half
    found = await values(database, CERTIFICATES)
    assert found["crt_0001"] == written
    assert BOTH.is_current(found["crt_0000"])


async def test_two_at_once_do_no_harm(database: Database) -> None:
    """Two operators who rotate at the same time end where one would."""
    await fill(database)
    await asyncio.gather(rotate(database), rotate(database))
    assert (await uses(database)).keys() == {key_id(NEW)}
    for record_id, value in (await values(database, CERTIFICATES)).items():
        assert AFTER.open(value, identity=CERTIFICATES.identity(record_id)) == SECRET


async def test_what_does_not_open_is_named_and_left(database: Database) -> None:
    """One damaged value keeps none of the others from a new key."""
    await fill(database)
    was = (await values(database, CERTIFICATES))["crt_0001"]
    broken = was[:-1] + bytes([was[-1] ^ 1])
    async with database.write() as connection:
        this = update(certificates).where(certificates.c.id == "crt_0001")
        await connection.execute(this.values(sealed_key=broken))
    ran = await rotate(database)
    assert (ran.done.total(), ran.unopened) == (8, ["certificate:crt_0001:key"])
    assert (await values(database, CERTIFICATES))["crt_0001"] == broken
