"""Rows that wait to be sent, each of which belongs to one worker at a time, by a lease.

Taking a row writes down until when; a worker that dies leaves it to whoever finds the time run out. What a
worker writes about a row counts only while the row is its own. For tables with the columns id, state
(waiting, sending, sent, failed), attempts and due_at: the outbox, and the deliveries of webhooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import exists, select, update

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, RowMapping, Table
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.database import Database


class Leased(Protocol):
    """What was taken: ours until ``due_at``, in unix seconds; ``attempts`` counts this one."""

    @property
    def id(self) -> str:
        """Which row it is."""
        ...

    @property
    def attempts(self) -> int:
        """How often it was taken."""
        ...

    @property
    def due_at(self) -> int:
        """Until when it is ours."""
        ...


class LeasedRows:
    """The rows of one table; ``lease`` is in seconds."""

    def __init__(self, database: Database, table: Table, *, lease: int) -> None:
        self._database = database
        self._table = table
        self._lease = lease

    def due(self, now: float) -> ColumnElement[bool]:
        """Whether a row may be taken: its time has come, or that of the worker that had it is over."""
        columns = self._table.c
        return columns.state.in_(["waiting", "sending"]) & (columns.due_at <= int(now))

    async def take(self, most: int, now: float, *which: ColumnElement[bool]) -> list[dict[str, Any]]:
        """Take up to ``most`` rows that are due, the longest due first, of those that meet ``which``.

        Answers them with the lease's ``due_at``, and ``attempts`` with this one. Raises ``Unavailable``.
        """
        columns, due = self._table.c, self.due(now)
        async with self._database.read() as connection:  # most often there is none, and nobody is held up
            if not await connection.scalar(select(exists().where(due))):
                return []
        wanted = select(self._table).where(due, *which).order_by(columns.due_at, columns.id).limit(most)
        async with self._database.write() as connection:
            rows = await connection.execute(wanted.with_for_update(skip_locked=True, of=self._table))
            taken = [self._leased(row, int(now)) for row in rows.mappings()]
            for row in taken:
                values = {name: row[name] for name in ("state", "attempts", "due_at")}
                await connection.execute(update(self._table).where(columns.id == row["id"]).values(values))
        return taken

    async def settle(self, connection: AsyncConnection, taken: Leased, values: Mapping[str, Any]) -> bool:
        """Write what became of a row; False, and nothing written, if it is no longer ours."""
        columns = self._table.c
        ours = (
            (columns.id == taken.id)
            & (columns.state == "sending")
            & (columns.attempts == taken.attempts)
            & (columns.due_at == taken.due_at)
        )
        return bool((await connection.execute(update(self._table).where(ours).values(values))).rowcount)

    def _leased(self, row: RowMapping, now: int) -> dict[str, Any]:
        attempts, due_at = row["attempts"] + 1, now + self._lease
        return {**row, "state": "sending", "attempts": attempts, "due_at": due_at}
