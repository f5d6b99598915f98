from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from router.storage.bell import PollBell, RedisBell, SqliteBell
from router.storage.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from router.storage.bell import Bell

_LONG = 20.0  # far longer than any test lasts: a wait that returns was rung


@pytest.fixture(params=["poll", "sqlite", "redis"])
async def bell(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bell]:
    """Make a bell whose first ring (of subscribing, or of looking for the first time) is over."""
    made: Bell
    match request.param:
        case "poll":
            made = PollBell()
        case "sqlite":
            await migrate(f"sqlite:///{tmp_path / 'router.db'}")
            made = SqliteBell(f"sqlite:///{tmp_path / 'router.db'}")
        case _:
            made = RedisBell(request.getfixturevalue("valkey_url"))
    await made.wait(0.3)
    yield made
    await made.close()


async def _rings(bell: Bell, within: float = _LONG) -> bool:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await bell.wait(within)
    return loop.time() - began < within * 0.9


async def test_a_silent_bell_waits_as_long_as_told(bell: Bell) -> None:
    """Nobody rang: the wait lasts its time, neither shorter nor much longer."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await bell.wait(0.35)
    assert 0.34 <= loop.time() - began < 1


async def test_a_ring_ends_a_wait(bell: Bell) -> None:
    """Who waits is woken."""
    async with asyncio.TaskGroup() as group:
        woken = group.create_task(_rings(bell))
        await asyncio.sleep(0)
        await bell.ring()
    assert woken.result()


async def test_a_ring_between_two_waits_is_not_lost(bell: Bell) -> None:
    """A ring that nobody was waiting for ends the next wait."""
    await bell.ring()
    assert await _rings(bell)


async def test_rings_are_used_up(bell: Bell) -> None:
    """Ten rings wake a few times, and then the bell is silent again."""
    for _ in range(10):
        await bell.ring()
    for _ in range(12):
        if not await _rings(bell, within=0.3):
            return
    pytest.fail("the bell went on ringing")


async def test_a_cancelled_wait_leaves_the_bell_whole(bell: Bell) -> None:
    """Who stops waiting, at any point, does not keep the next from being woken."""
    for turn in range(30):
        task = asyncio.get_running_loop().create_task(bell.wait(_LONG))
        for _ in range(turn):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await bell.ring()
    assert await _rings(bell)


async def test_sqlite_hears_a_write_of_another_process(tmp_path: Path) -> None:
    """The embedded bell rings when somebody else, who knows nothing of bells, commits a write."""
    path = tmp_path / "router.db"
    await migrate(f"sqlite:///{path}")
    bell = SqliteBell(f"sqlite:///{path}")
    await bell.wait(0.2)
    async with asyncio.TaskGroup() as group:
        woken = group.create_task(_rings(bell))
        await asyncio.sleep(0)
        with sqlite3.connect(path) as connection:
            connection.execute("INSERT INTO changes (kind, key, at) VALUES ('tenant', 'x', 1)")
        connection.close()
    await bell.close()
    assert woken.result()


async def test_sqlite_without_its_file_is_silent(tmp_path: Path) -> None:
    """A database that cannot be opened costs the early ring alone."""
    bell = SqliteBell(f"sqlite:///{tmp_path / 'nowhere' / 'router.db'}")
    assert not await _rings(bell, within=0.3)
    await bell.ring()
    assert await _rings(bell)
    await bell.close()


async def test_redis_rings_for_every_worker(valkey_url: str) -> None:
    """One worker rings, all others wake."""
    bells = [RedisBell(valkey_url) for _ in range(3)]
    for bell in bells:
        await bell.wait(0.2)
    async with asyncio.TaskGroup() as group:
        woken = [group.create_task(_rings(bell)) for bell in bells[1:]]
        await bells[0].ring()
    for bell in bells:
        await bell.close()
    assert all(task.result() for task in woken)


async def test_a_new_subscription_counts_as_a_ring(valkey_url: str) -> None:
    """Whoever (re)connects may have missed rings, and so looks at once."""
    bell = RedisBell(valkey_url)
    assert await _rings(bell)
    await bell.close()


async def test_without_redis_the_bell_rings_at_home(short_path: Path) -> None:
    """Redis away: a ring still wakes this process, a wait lasts its time, and nothing is raised."""
    bell = RedisBell(f"unix://{short_path / 'nobody.sock'}")
    assert not await _rings(bell, within=0.3)
    await bell.ring()
    assert await _rings(bell)
    await bell.close()
