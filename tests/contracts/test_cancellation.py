from __future__ import annotations

import asyncio
import gc
import random
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from router.storage.changes import ChangeFeed, PollBell, RedisBell
from router.storage.schema import changes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from router.storage.cache import Cache
    from router.storage.database import Database

_ROUNDS = 200


@pytest.fixture(autouse=True)
def _no_garbage_collection() -> Iterator[None]:
    # What a cancelled call left open must be closed by the call, not by chance.
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


async def _forever(work: Callable[[], Awaitable[object]]) -> None:
    while True:
        await work()
        await asyncio.sleep(0)


async def _always_ends(work: Callable[[], Awaitable[object]]) -> None:
    """Cancel a task that repeats ``work`` at 200 different moments; each time it ends at once, cancelled."""
    chance = random.Random(1)  # noqa: S311 - repeatable moments, no secrets
    for turn in range(_ROUNDS):
        task = asyncio.get_running_loop().create_task(_forever(work))
        if turn % 2:
            await asyncio.sleep(chance.random() * 0.01)
        else:
            for _ in range(chance.randrange(60)):
                await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=20)
        assert done, f"round {turn}: still running"
        assert task.cancelled()


async def test_who_reads_ends_when_cancelled(database: Database) -> None:
    """A reader that is cancelled ends, and never goes on as if nothing had been said."""

    async def read() -> None:
        async with database.read() as connection:
            await connection.scalar(select(func.max(changes.c.sequence)))

    await _always_ends(read)
    assert database.healthy


async def test_who_writes_ends_when_cancelled(database: Database) -> None:
    """A writer that is cancelled ends, and no lock of its outlives it."""

    async def write() -> None:
        async with database.write() as connection:
            await connection.scalar(select(func.max(changes.c.sequence)))

    await _always_ends(write)
    assert database.healthy


async def test_who_asks_the_cache_ends_when_cancelled(cache: Cache) -> None:
    """A caller of the cache that is cancelled ends (Python 3.11's wait_for inside redis-py forgets it)."""

    async def use() -> None:
        await cache.set("key", b"value", 60)
        await cache.get("key")
        await cache.count("attempts", 60)

    await _always_ends(use)
    assert cache.healthy


async def test_a_feed_ends_when_cancelled(database: Database, valkey_url: str) -> None:
    """A feed, with either bell, ends when its worker does."""
    for bell in (PollBell(), RedisBell(valkey_url)):
        feed = ChangeFeed(database, bell, period=0.002)
        await _always_ends(feed.run)
        await bell.close()
