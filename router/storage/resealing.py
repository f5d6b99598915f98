"""Sealing anew: what was sealed with a former key, in batches, while the routers serve.

Each batch is one short transaction, and a value is replaced only while it is the one that was opened. So it
may be stopped at any time, and the next run goes on where this one ended: what is current is not looked at.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select, update

from router.errors import RouterError
from router.storage.auditing import note
from router.storage.sealed import SEALED
from router.storage.sealing import key_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Row

    from router.storage.database import Database
    from router.storage.sealed import SealedColumn
    from router.storage.sealing import Sealer

BATCH: Final = 100
"""Values sealed anew in one transaction: a few milliseconds of the database's time."""


@dataclass(slots=True)
class Resealed:
    """How far it has come: values sealed anew, by kind, and those that did not open, by their identity."""

    done: Counter[str] = field(default_factory=Counter)
    unopened: list[str] = field(default_factory=list)


async def reseal(
    database: Database,
    sealer: Sealer,
    *,
    go_on: Callable[[Resealed], bool],
    actor: str,
    clock: Callable[[], float] = time.time,
    batch: int = BATCH,
) -> Resealed:
    """Seal with the first key whatever was sealed with another.

    ``go_on`` is told after each batch how far it has come, and says whether to go on. What does not open (its
    key is missing, or it was altered) is left as it is and named. Raises ``Unavailable`` (the database); what
    was done by then is done.
    """
    so_far = Resealed()
    for sealed in SEALED:
        after = ""
        while rows := await _stale(database, sealer, sealed, after, batch):
            after = rows[-1].id
            await _reseal(database, sealer, sealed, rows, so_far)
            if not go_on(so_far):
                await _note(database, sealer, so_far, actor, clock())
                return so_far
    await _note(database, sealer, so_far, actor, clock())
    return so_far


async def _note(database: Database, sealer: Sealer, done: Resealed, actor: str, now: float) -> None:
    if not done.done:
        return
    async with database.write() as connection:
        await note(connection, actor, "keys.rotate", key_id_of(sealer.head), done.done, now, tenant_id=None)


async def _stale(
    database: Database, sealer: Sealer, sealed: SealedColumn, after: str, batch: int
) -> Sequence[Row[Any, Any]]:
    table = sealed.table.c
    statement = (
        select(table.id, sealed.column.label("value"))
        .where(sealed.column.is_not(None), sealed.head != sealer.head, table.id > after)
        .order_by(table.id)
        .limit(batch)
    )
    async with database.read() as connection:
        return (await connection.execute(statement)).all()


async def _reseal(
    database: Database, sealer: Sealer, sealed: SealedColumn, rows: Sequence[Row[Any, Any]], so_far: Resealed
) -> None:
    anew = []
    for row in rows:
        identity = sealed.identity(row.id)
        try:
            plain = sealer.open(row.value, identity=identity)
        except RouterError:  # told by its identity: one that is lost does not keep the others from a new key
            so_far.unopened.append(identity)
        else:
            value = sealer.seal(plain, identity=identity)
            anew.append({"of": row.id, "was": row.value, "becomes": value})
    if not anew:
        return
    this = (sealed.table.c.id == bindparam("of")) & (sealed.column == bindparam("was"))
    statement = update(sealed.table).where(this).values({sealed.column.name: bindparam("becomes")})
    async with database.write() as connection:
        await connection.execute(statement, anew)
    so_far.done[sealed.kind] += len(anew)
