from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, insert, literal, select, union_all
from structlog.testing import capture_logs

from router.errors import Unavailable
from router.storage.changes import KEEP, REPLAY, ChangeFeed, PollBell, record, record_all, record_each
from router.storage.database import Database
from router.storage.schema import changes
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router.storage.bell import Bell


class Witness:
    """A subscriber that writes down what it is told."""

    def __init__(self, feed: ChangeFeed, *kinds: str) -> None:
        self.heard: list[tuple[str, str]] = []
        self.sequences: list[int] = []
        self.resets = 0
        for kind in kinds:
            feed.subscribe(kind, lambda key, sequence, kind=kind: self._hear(kind, key, sequence))  # type: ignore[misc]
        feed.subscribe_reset(self._reset)

    def _hear(self, kind: str, key: str, sequence: int) -> None:
        self.heard.append((kind, key))
        self.sequences.append(sequence)

    def _reset(self) -> None:
        self.resets += 1


@asynccontextmanager
async def _running(feed: ChangeFeed) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(feed.run())
        yield
        task.cancel()


async def _record(database: Database, kind: str, *keys: str, bell: Bell | None = None) -> int:
    async with database.write() as connection:
        await record_all(connection, kind, keys)
        last = await connection.scalar(select(func.max(changes.c.sequence)))
    if bell is not None:
        await bell.ring()
    return last or 0


async def _insert(database: Database, key: str, at: float) -> None:
    async with database.write() as connection:
        await connection.execute(insert(changes).values(kind="tenant", key=key, at=int(at)))


async def test_changes_are_handed_on_in_order(database: Database) -> None:
    """Each subscriber hears every change of its kinds, in the order they were committed, and no others."""
    bell = PollBell()
    feed = ChangeFeed(database, bell, period=60)
    witness = Witness(feed, "tenant", "session")
    async with _running(feed):
        await _record(database, "tenant", "t1", bell=bell)
        await _record(database, "certificate", "a.test", bell=bell)
        await feed.caught_up(await _record(database, "session", "s1", "s2", bell=bell))
    assert witness.heard == [("tenant", "t1"), ("session", "s1"), ("session", "s2")]
    assert witness.sequences == sorted(witness.sequences)
    assert feed.position == witness.sequences[-1]
    assert witness.resets == 0


async def test_a_lost_ring_costs_a_period_and_no_change(database: Database) -> None:
    """Nobody rings, and the change arrives all the same."""
    feed = ChangeFeed(database, PollBell(), period=0.05)
    witness = Witness(feed, "tenant")
    async with _running(feed), asyncio.timeout(20):
        await feed.caught_up(await _record(database, "tenant", "t1"))
    assert witness.heard == [("tenant", "t1")]


async def test_a_rolled_back_change_is_never_heard(database: Database) -> None:
    """What was not committed did not happen, and the number it took is no obstacle."""
    feed = ChangeFeed(database, PollBell(), period=0.05)
    witness = Witness(feed, "tenant")

    async def fail() -> None:
        async with database.write() as connection:
            await record(connection, "tenant", "undone")
            raise LookupError

    async with _running(feed), asyncio.timeout(20):
        with pytest.raises(LookupError):
            await fail()
        await feed.caught_up(await _record(database, "tenant", "done"))
    assert witness.heard == [("tenant", "done")]


async def test_a_slow_transaction_is_not_overtaken(database: Database) -> None:
    """Sequence order is commit order: a feed that reads all the time misses nothing of 60 racing writers."""
    feed = ChangeFeed(database, PollBell(), period=0.001)
    witness = Witness(feed, "tenant")

    async def write(number: int) -> None:
        async with database.write() as connection:
            await record(connection, "tenant", str(number))
            for _ in range(number % 7):  # the earlier number, and the later commit, if it were let
                await connection.scalar(select(func.count()).select_from(changes))

    async with _running(feed), asyncio.timeout(20):
        for start in range(0, 60, 6):
            async with asyncio.TaskGroup() as group:
                for number in range(start, start + 6):
                    group.create_task(write(number))
        await feed.caught_up(await _record(database, "tenant", "last"))
    assert sorted(key for _, key in witness.heard) == sorted([*map(str, range(60)), "last"])
    assert witness.sequences == sorted(witness.sequences)


async def test_many_keys_of_a_query_are_recorded_at_once(database: Database) -> None:
    """``record_each`` appends a row for each key that a query yields, and for an empty one nothing."""
    keys = union_all(select(literal("s1").label("key")), select(literal("s2").label("key"))).subquery()
    async with database.write() as connection:
        await record_each(connection, "session", select(keys.c.key))
        await record_each(connection, "session", select(keys.c.key).where(keys.c.key == "none"))
        rows = (await connection.execute(select(changes.c.kind, changes.c.key, changes.c.at))).all()
    assert sorted((kind, key) for kind, key, _ in rows) == [("session", "s1"), ("session", "s2")]
    assert all(abs(at - time.time()) < 60 for *_, at in rows)


async def test_more_than_a_batch_is_handed_on_without_waiting(database: Database) -> None:
    """Thousands of changes at once (a whole tenant signed out) do not take a period for each batch."""
    bell = PollBell()
    feed = ChangeFeed(database, bell, period=60)
    witness = Witness(feed, "session")
    async with _running(feed), asyncio.timeout(10):
        await feed.caught_up(await _record(database, "session", *map(str, range(3500)), bell=bell))
    assert len(witness.heard) == 3500


async def test_a_new_worker_hears_the_recent_past(database: Database) -> None:
    """A feed starts further back than a cached copy can be old, and not at the beginning of time."""
    await _insert(database, "ancient", time.time() - REPLAY - 30)
    await _insert(database, "recent", time.time() - REPLAY + 30)
    feed = ChangeFeed(database, PollBell(), period=0.05)
    witness = Witness(feed, "tenant")
    async with _running(feed), asyncio.timeout(20):
        await feed.caught_up(2)
    assert witness.heard == [("tenant", "recent")]


async def test_old_rows_are_pruned_and_numbers_not_used_again(database: Database) -> None:
    """Rows older than hours go, the newest stays whatever its age, and no number comes back."""
    for key in ("one", "two", "three"):
        await _insert(database, key, time.time() - KEEP - 60)
    feed = ChangeFeed(database, PollBell(), period=0.02)

    async def pruned() -> bool:
        async with database.read() as connection:
            return list(await connection.scalars(select(changes.c.key))) == ["three"]

    async with _running(feed), asyncio.timeout(20):
        await until(pruned)
    async with database.write() as connection:
        await connection.execute(delete(changes))
    assert await _record(database, "tenant", "four") == 4


async def test_a_feed_cut_off_for_long_has_everything_flushed(database: Database) -> None:
    """After hours without the database, rows may have been pruned unread: subscribers flush and go on."""
    now = 0.0
    bell = PollBell()
    flaky = _Flaky(database)
    feed = ChangeFeed(flaky, bell, period=0.05, clock=lambda: now)
    witness = Witness(feed, "tenant")
    async with _running(feed), asyncio.timeout(20):
        await feed.caught_up(await _record(database, "tenant", "before", bell=bell))
        flaky.away = True
        last = await _record(database, "tenant", "missed?", bell=bell)
        await until(lambda: flaky.refused > 0)
        now = KEEP / 2 + 1
        with capture_logs() as logs:
            flaky.away = False
            await feed.caught_up(last)
        assert witness.resets == 1
        assert logs[0]["event"].startswith("changes may have been missed")
        await feed.caught_up(await _record(database, "tenant", "after", bell=bell))
    assert witness.resets == 1
    assert witness.heard == [("tenant", "before"), ("tenant", "after")]


async def test_a_restored_backup_has_everything_flushed(database: Database) -> None:
    """The numbers go back: what is in memory belongs to another past, and is flushed."""
    feed = ChangeFeed(database, PollBell(), period=0.02)
    witness = Witness(feed, "tenant")
    async with _running(feed), asyncio.timeout(20):
        await feed.caught_up(await _record(database, "tenant", "one", "two", "three"))
        async with database.write() as connection:
            await connection.execute(delete(changes).where(changes.c.sequence > 1))
        await until(lambda: witness.resets == 1)
        assert feed.position == 1


async def test_one_subscribers_fault_is_not_the_others(database: Database) -> None:
    """A subscriber that raises is logged; the others hear that change and all that follow."""
    feed = ChangeFeed(database, PollBell(), period=0.05)

    def fail(key: str, sequence: int) -> None:
        raise KeyError(key)

    feed.subscribe("tenant", fail)
    witness = Witness(feed, "tenant")
    with capture_logs() as logs:
        async with _running(feed), asyncio.timeout(20):
            await feed.caught_up(await _record(database, "tenant", "one", "two"))
    assert witness.heard == [("tenant", "one"), ("tenant", "two")]
    assert [entry["event"] for entry in logs].count("a subscriber to changes failed") == 2


async def test_kinds_of_a_newer_version_are_passed_over(database: Database) -> None:
    """During a rolling upgrade, rows of a kind that this version does not know are no obstacle."""
    feed = ChangeFeed(database, PollBell(), period=0.05)
    async with _running(feed), asyncio.timeout(20):
        await feed.caught_up(await _record(database, "later-invention", "x"))


async def test_the_feed_outlives_an_outage(database: Database) -> None:
    """Away and back: the feed goes on where it was, and nothing is missed."""
    bell = PollBell()
    flaky = _Flaky(database)
    feed = ChangeFeed(flaky, bell, period=0.05)
    witness = Witness(feed, "tenant")
    async with _running(feed), asyncio.timeout(10):
        await feed.caught_up(await _record(database, "tenant", "before"))
        flaky.away = True
        last = await _record(database, "tenant", "during", bell=bell)
        await until(lambda: flaky.refused > 2)
        flaky.away = False
        await feed.caught_up(last)
    assert witness.heard == [("tenant", "before"), ("tenant", "during")]
    assert witness.resets == 0


class _Flaky(Database):
    """The database as one worker sees it whose way to it can be cut."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.away = False
        self.refused = 0

    @asynccontextmanager
    async def read(self) -> AsyncIterator[object]:  # type: ignore[override]
        if self.away:
            self.refused += 1
            raise Unavailable("database_unavailable", "The database does not answer; try again in a moment.")
        async with self._database.read() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[object]:  # type: ignore[override]
        async with self._database.write() as connection:
            yield connection
