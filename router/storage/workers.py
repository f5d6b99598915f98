"""The workers of the fleet: each says every few seconds that it is there, and which changes it knows.

So it can be told how many workers know of a change, and which of them lack an encryption key. The clocks of
the nodes need to agree to a few seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select, update

from router.storage.schema import workers

if TYPE_CHECKING:
    from router.storage.database import Database

HEARTBEAT: Final = 5.0
"""Seconds between two reports of a worker that has nothing new to say."""

ALIVE: Final = 16
"""Seconds after its latest report that a worker is taken to be alive: it may miss two."""

_FORGOTTEN: Final = 3600


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as it reports itself; times in unix seconds.

    ``position`` is the number of the change up to which it knows everything; ``fault`` is a sentence on what
    it cannot serve, or none; ``key_ids`` name the encryption keys it has.
    """

    id: str
    node: str
    pid: int
    started_at: int
    seen_at: int
    position: int
    fault: str | None = None
    key_ids: tuple[str, ...] = ()


class Workers:
    """The list of workers. All methods raise ``Unavailable`` (the database)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self, worker: Worker) -> None:
        """Write down how a worker is; what was last heard of an hour ago is forgotten along."""
        values = {name: getattr(worker, name) for name in workers.c.keys()}  # noqa: SIM118 - columns, no mapping
        async with self._database.write() as connection:
            known = update(workers).where(workers.c.id == worker.id).values(values)
            if not (await connection.execute(known)).rowcount:
                await connection.execute(insert(workers).values(values))
                gone = workers.c.seen_at < worker.seen_at - _FORGOTTEN
                await connection.execute(delete(workers).where(gone))

    async def forget(self, worker_id: str) -> None:
        """Take a worker off the list: it ends in good order."""
        async with self._database.write() as connection:
            await connection.execute(delete(workers).where(workers.c.id == worker_id))

    async def alive(self, now: float) -> tuple[Worker, ...]:
        """List those that reported of late, the oldest first."""
        statement = select(workers).where(workers.c.seen_at > now - ALIVE)
        async with self._database.read() as connection:
            rows = await connection.execute(statement.order_by(workers.c.started_at, workers.c.id))
            return tuple(Worker(**{**row, "key_ids": tuple(row["key_ids"])}) for row in rows.mappings())
