from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, get_args

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from router.storage.cache import MAX_VALUE, RedisCache
from tests.clock import Clock
from tests.storage.faulty_redis import FaultyRedis, Mode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SOON = 10.0
"""Seconds: twenty times what a call may take, a fifth of what a hundred calls in turn would."""

_FAULTS = [mode for mode in get_args(Mode) if mode not in ("serve", "surplus")]


@pytest.fixture
async def faulty() -> AsyncIterator[FaultyRedis]:
    """Start a Redis that fails as told."""
    async with FaultyRedis() as server:
        yield server


@pytest.fixture
async def clock() -> Clock:
    """Make the clock that the cache reads."""
    return Clock(1000.0)


@pytest.fixture
async def cache(faulty: FaultyRedis, clock: Clock) -> AsyncIterator[RedisCache]:
    """Make a cache on the faulty Redis, with a connection that is warm."""
    made = RedisCache(faulty.url, clock=clock)
    await made.set("key", b"value", 60)
    yield made
    await made.close()


@pytest.mark.parametrize("mode", _FAULTS)
async def test_a_failing_redis_is_a_miss_before_long(
    faulty: FaultyRedis, cache: RedisCache, mode: Mode
) -> None:
    """Hung, cut, dripping, babbling or refusing: a read is a bounded miss, known as such."""
    faulty.mode = mode

    async with asyncio.timeout(_SOON):
        assert await cache.get("key") is None
    assert not cache.healthy


@pytest.mark.parametrize("mode", _FAULTS)
async def test_it_is_then_left_alone_for_a_second(
    faulty: FaultyRedis, cache: RedisCache, clock: Clock, mode: Mode
) -> None:
    """After a failure nobody waits: calls do not ask it, until a second is over."""
    faulty.mode = mode
    await cache.get("key")
    asked = faulty.commands, faulty.connections
    for _ in range(50):
        assert await cache.get("key") is None
        await cache.set("key", b"x", 60)
        await cache.delete("key")
    assert (faulty.commands, faulty.connections) == asked
    clock.now += 1.01
    await cache.get("key")
    assert (faulty.commands, faulty.connections) != asked


@pytest.mark.parametrize("mode", _FAULTS)
async def test_it_recovers_without_a_restart(
    faulty: FaultyRedis, cache: RedisCache, clock: Clock, mode: Mode
) -> None:
    """Once Redis is well, the first call a second later is served, on a fresh connection."""
    faulty.mode = mode
    for _ in range(3):
        clock.now += 1.01
        await asyncio.gather(*(cache.get("key") for _ in range(20)))
    faulty.mode = "serve"
    clock.now += 1.01
    assert await cache.get("key") == b"value"
    assert cache.healthy
    assert await asyncio.gather(*(cache.get("key") for _ in range(20))) == [b"value"] * 20


async def test_a_redis_that_is_down_comes_back(faulty: FaultyRedis, cache: RedisCache, clock: Clock) -> None:
    """A stopped server is a quick miss, told once in the log; started again, it serves."""
    with capture_logs() as logs:
        await faulty.stop()
        async with asyncio.timeout(_SOON):
            assert await cache.get("key") is None
        for _ in range(5):
            clock.now += 1.01
            assert await cache.get("key") is None
        await faulty.start()
        clock.now += 1.01
        await cache.set("key", b"new", 60)
        assert await cache.get("key") == b"new"
    assert [entry["event"] for entry in logs] == ["cache away", "cache back"]


async def test_a_restart_between_two_calls_goes_unnoticed(faulty: FaultyRedis, cache: RedisCache) -> None:
    """A connection that died while idle costs no miss and no pause."""
    await faulty.stop()
    await faulty.start()
    await cache.set("key", b"new", 60)
    assert await cache.get("key") == b"new"
    assert cache.healthy


async def test_only_one_caller_tries_whether_it_is_back(
    faulty: FaultyRedis, cache: RedisCache, clock: Clock
) -> None:
    """While Redis hangs, one caller a second waits for it, and the others go on at once."""
    faulty.mode = "hang"
    await cache.get("key")
    clock.now += 1.01
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(cache.get("key")) for _ in range(50)]
        for _ in range(5):  # enough for all that do not wait
            await asyncio.sleep(0)
        assert [task.done() for task in asking] == [False] + [True] * 49
    assert [task.result() for task in asking] == [None] * 50


async def test_a_hundred_callers_meet_a_hang_together(faulty: FaultyRedis, cache: RedisCache) -> None:
    """However many ask when Redis begins to hang, nobody waits for the others' turns to be over."""
    faulty.mode = "hang"
    async with asyncio.timeout(_SOON):
        assert await asyncio.gather(*(cache.get("key") for _ in range(100))) == [None] * 100


@pytest.mark.parametrize("mode", _FAULTS)
async def test_counting_goes_on_at_home(faulty: FaultyRedis, cache: RedisCache, mode: Mode) -> None:
    """While Redis fails, this process counts by itself, from one, without skipping."""
    faulty.mode = mode
    assert [await cache.count("attempts", 60) for _ in range(4)] == [1, 2, 3, 4]
    await cache.delete("attempts")
    assert await cache.count("attempts", 60) == 1


@pytest.mark.usefixtures("patient_redis")
async def test_a_slow_redis_is_awaited_a_little(faulty: FaultyRedis, cache: RedisCache) -> None:
    """An answer that comes late, but within the bound, is an answer."""
    faulty.delay = 0.1
    assert await cache.get("key") == b"value"
    assert cache.healthy


async def test_a_surplus_answer_is_never_anothers(faulty: FaultyRedis, cache: RedisCache) -> None:
    """An answer nobody asked for dies with its connection, and does not answer the next question."""
    faulty.echo = True
    faulty.mode = "surplus"
    for number in range(50):
        answer = await cache.get(f"key-{number}")
        assert answer in (None, f"tenant-router:key-{number}".encode())


async def test_cancelling_never_yields_anothers_answer(faulty: FaultyRedis) -> None:
    """2,000 calls, most cancelled at random moments, and none reads another key's answer."""
    faulty.echo = True
    faulty.delay = 0.001
    cache = RedisCache(faulty.url)
    chance = random.Random(7)  # noqa: S311 - repeatable moments, no secrets
    answers: dict[str, bytes | None] = {}

    async def ask(key: str) -> None:
        answers[key] = await cache.get(key)

    for _ in range(100):
        tasks = [asyncio.get_running_loop().create_task(ask(f"k{chance.random()}")) for _ in range(20)]
        for task in tasks:
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(chance.choice([0, 0, 0.0005, 0.001]))
            if chance.random() < 0.7:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await cache.close()
    answered = {key: answer for key, answer in answers.items() if answer is not None}
    assert len(answered) > 100
    assert answered == {key: f"tenant-router:{key}".encode() for key in answered}


@pytest.mark.usefixtures("patient_redis")
async def test_cancelling_a_real_server_never_yields_anothers_answer(valkey_url: str) -> None:
    """The same against a real server and its real timing."""
    cache = RedisCache(valkey_url)
    keys = [f"key-{number}" for number in range(20)]
    for key in keys:
        await cache.set(key, key.encode(), 60)
    wrong = []

    async def ask(key: str) -> None:
        answer = await cache.get(key)
        if answer != key.encode():
            wrong.append((key, answer))

    for turn in range(50):
        tasks = [asyncio.get_running_loop().create_task(ask(key)) for key in keys]
        for number, task in enumerate(tasks):
            await asyncio.sleep(0)
            if (number + turn) % 3:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(ask(key) for key in keys))
    await cache.close()
    assert wrong == []


@pytest.mark.usefixtures("patient_redis")
async def test_flushall_is_a_miss_and_no_more(valkey_url: str) -> None:
    """Flushing Redis loses nothing that cannot be set again."""
    cache = RedisCache(valkey_url)
    async with Redis.from_url(valkey_url) as operator:
        await cache.set("key", b"value", 60)
        await operator.flushall()
        assert await cache.get("key") is None
        await cache.set("key", b"value", 60)
        assert await cache.get("key") == b"value"
    assert cache.healthy
    await cache.close()


@pytest.mark.usefixtures("patient_redis")
async def test_a_key_of_another_type_is_a_miss(valkey_url: str) -> None:
    """A poisoned key is one miss, mended by the next write, and no reason to leave the whole server alone."""
    cache = RedisCache(valkey_url)
    async with Redis.from_url(valkey_url) as stranger:
        await stranger.delete("tenant-router:key")
        await stranger.hset("tenant-router:key", "field", "value")
        assert await cache.get("key") is None
        assert cache.healthy
        await cache.set("key", b"good", 60)
        assert await cache.get("key") == b"good"
        await stranger.delete("tenant-router:counter")
        await stranger.set("tenant-router:counter", "not a number")
        assert await cache.count("counter", 60) == 1
    await cache.close()


@pytest.mark.usefixtures("patient_redis")
async def test_a_huge_value_is_a_miss(valkey_url: str) -> None:
    """Whatever somebody else stored there, no more than MAX_VALUE octets of it are read."""
    cache = RedisCache(valkey_url)
    async with Redis.from_url(valkey_url) as stranger:
        await stranger.set("tenant-router:key", b"x" * (100 * MAX_VALUE))
        before = (await stranger.info("stats"))["total_net_output_bytes"]
        assert await cache.get("key") is None
        assert (await stranger.info("stats"))["total_net_output_bytes"] - before < 2 * MAX_VALUE
    assert cache.healthy
    await cache.close()


async def test_a_wrong_password_is_not_in_the_log(valkey_url: str) -> None:
    """What is logged about a failing Redis never holds its URL's password."""
    cache = RedisCache(valkey_url.replace("unix://", "unix://user:hunter2@"))
    with capture_logs() as logs:
        assert await cache.get("key") is None
    await cache.close()
    assert logs
    assert "hunter2" not in repr(logs) + repr(cache)
