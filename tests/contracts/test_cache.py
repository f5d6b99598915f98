from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.storage.cache import MAX_VALUE, MemoryCache
from tests.waiting import until

if TYPE_CHECKING:
    from router.storage.cache import Cache

_KEYS = ["hostname:a.test", "a:b", "a", "b", "a:b:", "ключ", "with space\r\nDEL a", "x" * 300, "*", "{a}b"]


async def test_a_value_comes_back_as_it_went(cache: Cache) -> None:
    """Any octets under any key come back unchanged, and under no other key."""
    for number, key in enumerate(_KEYS):
        await cache.set(key, b"\x00\xff\r\n" + str(number).encode(), 60)
    for number, key in enumerate(_KEYS):
        assert await cache.get(key) == b"\x00\xff\r\n" + str(number).encode()
    assert await cache.get("nothing") is None
    assert cache.healthy


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(min_size=1, max_size=40), st.binary(min_size=1, max_size=64), min_size=2))
def test_keys_never_collide(values: dict[str, bytes]) -> None:
    """However odd the keys (``a:b`` beside ``a`` and ``b``), each keeps its own value."""

    async def check() -> None:
        cache = MemoryCache()
        for key, value in values.items():
            await cache.set(key, value, 60)
        assert {key: await cache.get(key) for key in values} == values

    asyncio.run(check())


async def test_a_later_value_replaces_an_earlier_one(cache: Cache) -> None:
    """Setting again replaces."""
    await cache.set("key", b"one", 60)
    await cache.set("key", b"two", 60)
    assert await cache.get("key") == b"two"


async def test_values_end(cache: Cache) -> None:
    """A value is gone when its seconds are over."""
    await cache.set("short", b"x", 1)
    await cache.set("long", b"x", 60)

    async def gone() -> bool:
        return await cache.get("short") is None

    await until(gone)
    assert await cache.get("long") == b"x"


async def test_delete_removes_values_and_counters(cache: Cache) -> None:
    """What was deleted is gone, the rest stays, and deleting nothing is harmless."""
    await cache.set("one", b"1", 60)
    await cache.set("two", b"2", 60)
    await cache.count("three", 60)
    await cache.delete("one", "three", "never there")
    await cache.delete()
    assert await cache.get("one") is None
    assert await cache.get("two") == b"2"
    assert await cache.count("three", 60) == 1


async def test_oversized_and_empty_values_are_not_kept(cache: Cache) -> None:
    """A value of more than MAX_VALUE octets, or of none, is as good as never set; the largest one is kept."""
    await cache.set("largest", b"x" * MAX_VALUE, 60)
    await cache.set("larger", b"x" * (MAX_VALUE + 1), 60)
    await cache.set("empty", b"", 60)
    assert len(await cache.get("largest") or b"") == MAX_VALUE
    assert await cache.get("larger") is None
    assert await cache.get("empty") is None


async def test_counting_is_atomic(cache: Cache) -> None:
    """Of 50 who count at once, no two are told the same number."""
    numbers = await asyncio.gather(*(cache.count("attempts", 60) for _ in range(50)))
    assert sorted(numbers) == list(range(1, 51))


async def test_many_counters_are_counted_as_one_is(cache: Cache) -> None:
    """Each has its own amount and its own number, in the order they were named, a thousand of them too."""
    await cache.count("counter 7", 60, 5)
    amounts = {f"counter {number}": number for number in range(1_100)}
    expected = [number + 5 * (number == 7) for number in range(1_100)]
    assert await cache.count_many(amounts, 60) == expected
    assert await cache.count("counter 1099", 60) == 1_100
    assert await cache.count_many({}, 60) == []


async def test_a_counter_ends_after_its_first_count(cache: Cache) -> None:
    """Counting goes on from one, ``ttl`` seconds after the first count and however often it was counted."""
    assert await cache.count("attempts", 1) == 1
    highest = 1

    async def started_again() -> bool:
        nonlocal highest
        number = await cache.count("attempts", 1)
        highest = max(highest, number)
        return number == 1

    await until(started_again)
    assert highest > 10


@pytest.mark.parametrize("call", ["get", "set", "delete", "count", "count_many"])
async def test_a_closed_cache_does_not_raise(cache: Cache, call: str) -> None:
    """During a shutdown, a late caller meets a miss and no exception."""
    await cache.close()
    match call:
        case "get":
            assert await cache.get("key") is None
        case "set":
            await cache.set("key", b"x", 60)
        case "delete":
            await cache.delete("key")
        case "count_many":
            assert await cache.count_many({"key": 1, "other": 2}, 60) == [1, 2]
        case _:
            assert await cache.count("key", 60) == 1
    await cache.close()
