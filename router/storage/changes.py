"""The change feed: how a write anywhere reaches every worker's memory.

1. Whoever writes calls :func:`record` last thing in the same transaction, and rings the bell after it.
2. Every worker's :class:`ChangeFeed` reads the rows behind its position, in order, when the bell rings and
   also every ``period`` seconds, and hands each to those who subscribed to its kind.
3. A feed starts further back than any cached copy can be old, so a copy that was stale before the start is
   named again. Rows are kept for hours; a feed that was cut off longer has everybody flush everything.

Sequence order is commit order. SQLite has one writer at a time; on PostgreSQL a lock held until the commit
makes it so, else a slow transaction could commit a number that every feed has already passed.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import BigInteger, String, cast, delete, func, insert, literal, select

from router.errors import Unavailable
from router.storage.bell import Bell, PollBell, RedisBell, SqliteBell
from router.storage.cache import CACHE_TTL
from router.storage.schema import changes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Row, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.database import Database

__all__ = [
    "Bell",
    "ChangeFeed",
    "PollBell",
    "RedisBell",
    "SqliteBell",
    "record",
    "record_all",
    "record_each",
]

_log = structlog.get_logger(__name__)

KEEP = 6 * 3600
"""Seconds that rows are kept; a feed cut off for half as long no longer trusts that it saw all of them."""

REPLAY = CACHE_TTL + 60
"""Seconds that a feed starts back in time: the life of a cached copy, and as much as clocks may differ."""

_CHANGES_LOCK = 0x7465_6E61_6E74_63  # an arbitrary constant: "tenantc"
_BATCH = 1000
_PRUNE_EVERY = 600.0
_PAUSE = 0.5


async def record(connection: AsyncConnection, kind: str, key: str) -> None:
    """Append a change, in the transaction that makes it.

    Call it after the transaction's other writes: on PostgreSQL it makes all who record stand in line until
    the commit, and a lock taken after it could deadlock.
    """
    await record_all(connection, kind, [key])


async def record_all(connection: AsyncConnection, kind: str, keys: Iterable[str]) -> None:
    """Append a change for each key, as :func:`record` does."""
    rows = [{"kind": kind, "key": key, "at": int(time.time())} for key in keys]
    if rows:
        await _stand_in_line(connection)
        await connection.execute(insert(changes), rows)


async def record_each(connection: AsyncConnection, kind: str, keys: Select[str]) -> None:
    """Append a change for each key that a query yields, as :func:`record` does."""
    await _stand_in_line(connection)
    named = keys.subquery()
    key = next(iter(named.c))
    rows = select(literal(kind, String), key, cast(literal(int(time.time())), BigInteger))
    await connection.execute(insert(changes).from_select(["kind", "key", "at"], rows))


async def _stand_in_line(connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(_CHANGES_LOCK)))


class ChangeFeed:
    """Tails the changes for one worker.

    Subscribers are called on the loop, in sequence order, and only drop things from memory: they do not block
    and do not raise. ``period`` is in seconds: what a change takes at most where no bell reaches.
    """

    def __init__(
        self,
        database: Database,
        bell: Bell,
        *,
        period: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._bell = bell
        self._period = period
        self._clock = clock
        self._subscribers: defaultdict[str, list[Callable[[str, int], None]]] = defaultdict(list)
        self._resets: list[Callable[[], None]] = []
        self._moved = asyncio.Condition()
        self._read_at: float | None = None
        self._prune_at = 0.0
        self.position = 0
        """The sequence number up to which this worker's memory knows everything."""

    def __repr__(self) -> str:
        return f"<ChangeFeed at {self.position}>"

    def subscribe(self, kind: str, callback: Callable[[str, int], None]) -> None:
        """Have ``callback(key, sequence)`` called for every change of this kind."""
        self._subscribers[kind].append(callback)

    def subscribe_reset(self, callback: Callable[[], None]) -> None:
        """Have ``callback()`` called when rows may have been missed: flush what is in memory."""
        self._resets.append(callback)

    async def run(self) -> None:
        """Tail for ever, outages of the database included."""
        while True:
            try:
                more = await self._advance()
                await self._prune()
            except Unavailable:  # the database has logged it
                await asyncio.sleep(min(self._period, _PAUSE))
                continue
            if not more:
                await self._bell.wait(self._period)

    async def begun(self) -> None:
        """Wait until the feed has read for the first time."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._read_at is not None)

    async def caught_up(self, sequence: int) -> None:
        """Wait until the feed has handed on everything up to ``sequence``."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.position >= sequence)

    async def _advance(self) -> bool:
        now = self._clock()
        cut_off = self._read_at is not None and now - self._read_at > KEEP / 2
        async with self._database.read() as connection:
            last = await connection.scalar(select(func.max(changes.c.sequence))) or 0
            if self._read_at is None:
                self.position = await _start(connection)
            rows = await _rows_after(connection, self.position)
        self._read_at = now
        if cut_off or last < self.position:  # the latter: the database was restored from a backup
            self._reset(last)
        else:
            self._hand_on(rows)
        async with self._moved:
            self._moved.notify_all()
        return self.position < last

    def _reset(self, position: int) -> None:
        _log.warning("changes may have been missed; everything is read anew", position=position)
        self.position = position
        for callback in self._resets:
            callback()

    def _hand_on(self, rows: Sequence[Row[int, str, str]]) -> None:
        for sequence, kind, key in rows:
            self.position = sequence
            for callback in self._subscribers.get(kind, ()):
                try:
                    callback(key, sequence)
                except Exception:  # noqa: BLE001 - one subscriber's fault may not make all others stale for ever
                    _log.exception("a subscriber to changes failed", kind=kind, sequence=sequence)

    async def _prune(self) -> None:
        if self._clock() < self._prune_at:
            return
        self._prune_at = self._clock() + _PRUNE_EVERY
        # The newest row stays, however old: it is by its number that a restored backup is noticed.
        newest = select(func.max(changes.c.sequence)).scalar_subquery()
        old = (changes.c.at < int(time.time()) - KEEP) & (changes.c.sequence < newest)
        async with self._database.write() as connection:
            await connection.execute(delete(changes).where(old))


async def _start(connection: AsyncConnection) -> int:
    past = changes.c.at < int(time.time()) - REPLAY
    return await connection.scalar(select(func.max(changes.c.sequence)).where(past)) or 0


async def _rows_after(connection: AsyncConnection, position: int) -> Sequence[Row[int, str, str]]:
    columns = select(changes.c.sequence, changes.c.kind, changes.c.key)
    wanted = columns.where(changes.c.sequence > position).order_by(changes.c.sequence).limit(_BATCH)
    return (await connection.execute(wanted)).all()
