from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from router.errors import Unavailable
from router.storage.cache import MAX_VALUE, MemoryCache
from router.storage.lookup import PENDING, Lookup
from router.storage.waiting_room import WaitingRoom
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from router.storage.cache import Cache


class Truth:
    """A database of our own that can be slow or away, with a clock and a feed position, all set by hand."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.loads: list[str] = []
        self.away = False
        self.open = asyncio.Event()
        self.open.set()
        self.now = 1000.0
        self.position = 0

    async def load(self, key: str) -> str | None:
        """Read a row as it is now, and answer when the gate is open."""
        self.loads.append(key)
        if self.away:
            raise Unavailable("database_unavailable", "The database does not answer; try again in a moment.")
        row = self.rows.get(key)
        await self.open.wait()
        return row

    def lookup(
        self,
        cache: Cache | None = None,
        *,
        capacity: int = 100,
        negative_capacity: int = 10,
        room: WaitingRoom | None = None,
        decode: Callable[[bytes], str] = bytes.decode,
    ) -> Lookup[str]:
        """Make a lookup over this database."""
        return Lookup(
            "thing",
            self.load,
            cache,
            str.encode,
            decode,
            capacity=capacity,
            negative_capacity=negative_capacity,
            room=room,
            position=lambda: self.position,
            clock=lambda: self.now,
        )


@pytest.fixture
async def truth() -> Truth:
    """Make a database with one row."""
    made = Truth()
    made.rows["a"] = "one"
    return made


@pytest.fixture
async def shared() -> AsyncIterator[MemoryCache]:
    """Make a cache that several lookups share, as workers share Redis."""
    cache = MemoryCache()
    yield cache
    await cache.close()


async def test_memory_answers_at_once_after_the_first_find(truth: Truth) -> None:
    """The first time PENDING, then the value, without another load; what does not exist is known, too."""
    lookup = truth.lookup()
    assert lookup.peek("a") is PENDING
    assert await lookup.find("a") == "one"
    assert await lookup.find("b") is None
    assert (lookup.peek("a"), lookup.peek("b")) == ("one", None)
    assert await lookup.find("a") == "one"
    assert truth.loads == ["a", "b"]


async def test_what_is_old_is_read_again(truth: Truth) -> None:
    """After its time a value is PENDING and read anew: after a minute, or seconds if absent."""
    lookup = truth.lookup()
    await lookup.find("a")
    await lookup.find("b")
    truth.now += 5
    assert (lookup.peek("a"), lookup.peek("b")) == ("one", PENDING)
    truth.now += 55
    assert lookup.peek("a") is PENDING
    truth.rows["a"] = "two"
    assert await lookup.find("a") == "two"


async def test_a_herd_makes_one_load(truth: Truth) -> None:
    """500 who ask for a cold key at once cost one load, and all get its answer."""
    lookup = truth.lookup()
    truth.open.clear()
    async with asyncio.TaskGroup() as group:
        askers = [group.create_task(lookup.find("a")) for _ in range(500)]
        await until(lambda: bool(truth.loads))
        truth.open.set()
    assert {asker.result() for asker in askers} == {"one"}
    assert truth.loads == ["a"]


async def test_a_herd_shares_a_failure(truth: Truth) -> None:
    """When the one load fails, all who wait are told, and the next who asks tries again."""
    lookup = truth.lookup()
    truth.away = True
    failures = await asyncio.gather(*(lookup.find("a") for _ in range(50)), return_exceptions=True)
    assert all(isinstance(failure, Unavailable) for failure in failures)
    assert truth.loads == ["a"]
    truth.away = False
    assert await lookup.find("a") == "one"


async def test_who_stops_waiting_stops_nobody_else(truth: Truth) -> None:
    """The first asker is cancelled; the load goes on, and the second gets its answer."""
    lookup = truth.lookup()
    truth.open.clear()
    first = asyncio.get_running_loop().create_task(lookup.find("a"))
    second = asyncio.get_running_loop().create_task(lookup.find("a"))
    await until(lambda: bool(truth.loads))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert first.cancelled()
    truth.open.set()
    assert await second == "one"
    assert truth.loads == ["a"]


async def test_a_load_that_nobody_waits_for_any_more_is_kept(truth: Truth) -> None:
    """Even when all askers left, what was loaded is remembered."""
    lookup = truth.lookup()
    truth.open.clear()
    asker = asyncio.get_running_loop().create_task(lookup.find("a"))
    await until(lambda: bool(truth.loads))
    asker.cancel()
    truth.open.set()
    await until(lambda: lookup.peek("a") == "one")


async def test_a_load_with_a_fault_is_told_and_logged(truth: Truth) -> None:
    """A bug in a load reaches the asker as it is, is logged, and leaves nothing behind."""

    async def broken(key: str) -> str | None:
        raise ZeroDivisionError(key)

    lookup = Lookup[str]("thing", broken, None, str.encode, bytes.decode, capacity=1)
    with capture_logs() as logs, pytest.raises(ZeroDivisionError):
        await lookup.find("a")
    await until(lambda: bool(logs))
    assert repr(lookup) == "<Lookup thing: 0 present, 0 absent, 0 in flight>"
    await lookup.close()


async def test_a_dropped_key_is_read_again(truth: Truth) -> None:
    """After a change is named, the old value is never answered again, and others are untouched."""
    lookup = truth.lookup()
    truth.rows["b"] = "other"
    await lookup.find("a")
    await lookup.find("b")
    truth.rows["a"] = "two"
    truth.position = 1
    lookup.drop("a", 1)
    assert (lookup.peek("a"), lookup.peek("b")) == (PENDING, "other")
    assert await lookup.find("a") == "two"


async def test_a_load_that_a_change_overtook_is_not_remembered(truth: Truth) -> None:
    """A load read before the change and ends after it: its asker may have it, nobody later gets it."""
    lookup = truth.lookup()
    truth.open.clear()
    early = asyncio.get_running_loop().create_task(lookup.find("a"))
    await until(lambda: bool(truth.loads))
    del truth.rows["a"]
    truth.position = 1
    lookup.drop("a", 1)
    late = asyncio.get_running_loop().create_task(lookup.find("a"))
    await until(lambda: len(truth.loads) > 1)
    truth.open.set()
    assert await early == "one"
    assert await late is None
    assert lookup.peek("a") is None


async def test_a_late_copy_in_the_cache_is_refused(truth: Truth, shared: MemoryCache) -> None:
    """Another worker writes its old copy to the cache after the change was named: it is not believed."""
    slow, quick = truth.lookup(shared), truth.lookup(shared)
    truth.open.clear()
    early = asyncio.get_running_loop().create_task(slow.find("a"))
    await until(lambda: bool(truth.loads))
    del truth.rows["a"]
    truth.position = 7
    quick.drop("a", 7)
    truth.open.set()
    assert await early == "one"
    await until(lambda: slow.peek("a") == "one")  # the slow worker has not yet heard of the change
    assert await shared.get("thing:a") is not None
    assert await quick.find("a") is None


async def test_a_worker_that_heard_of_the_change_does_not_share_the_old(
    truth: Truth, shared: MemoryCache
) -> None:
    """A load that a change overtook goes neither to memory nor to the cache."""
    lookup = truth.lookup(shared)
    truth.open.clear()
    early = asyncio.get_running_loop().create_task(lookup.find("a"))
    await until(lambda: bool(truth.loads))
    truth.position = 7
    lookup.drop("a", 7)
    truth.open.set()
    assert await early == "one"
    await asyncio.sleep(0)
    assert await shared.get("thing:a") is None
    assert lookup.peek("a") is PENDING


async def test_our_own_change_is_read_from_the_database(truth: Truth, shared: MemoryCache) -> None:
    """Dropped without a number (before the feed names it), a key is not answered from the old cache."""
    lookup = truth.lookup(shared)
    await lookup.find("a")
    await until(lambda: _present(shared, "thing:a"))
    truth.rows["a"] = "two"
    lookup.drop("a")
    assert await lookup.find("a") == "two"
    assert lookup.peek("a") == "two"


async def _present(cache: Cache, key: str) -> bool:
    return await cache.get(key) is not None


async def test_forgotten_drops_are_still_respected(
    truth: Truth, shared: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More drops than can be remembered: then every copy that is older than a forgotten one is refused."""
    monkeypatch.setattr("router.storage.lookup._DROPS", 3)
    truth.position = 1
    await truth.lookup(shared).find("a")
    await until(lambda: _present(shared, "thing:a"))
    truth.rows["a"] = "two"
    other = truth.lookup(shared)
    for sequence, key in enumerate(["a", "b", "c", "d", "e"], start=2):
        truth.position = sequence
        other.drop(key, sequence)
    assert await other.find("a") == "two"


async def test_forgotten_doubts_are_still_respected(
    truth: Truth, shared: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More keys in doubt than can be remembered: no copy from before the oldest of them is believed."""
    monkeypatch.setattr("router.storage.lookup._DROPS", 3)
    truth.position = 1
    await truth.lookup(shared).find("a")
    await until(lambda: _present(shared, "thing:a"))
    truth.rows["a"] = "two"
    truth.position = 2
    other = truth.lookup(shared)
    for key in ["a", "b", "c", "d"]:
        other.drop(key)
    assert await other.find("a") == "two"


async def test_who_was_known_does_not_wait_for_strangers(truth: Truth) -> None:
    """Fresh no more, or dropped because it changed: an acquaintance is looked up past a line of strangers."""
    truth.rows["b"] = "two"
    lookup = truth.lookup(room=WaitingRoom("test", at_once=1))
    await lookup.find("a")
    await lookup.find("b")
    truth.now += 60
    lookup.drop("b", 1)
    truth.position = 1
    truth.open.clear()
    truth.loads.clear()
    async with asyncio.TaskGroup() as group:
        for key in ("x", "y", "z", "a", "b"):
            group.create_task(lookup.find(key))
        await until(lambda: asyncio.sleep(0, len(truth.loads) == 2))
        assert truth.loads == ["x", "a"]
        truth.open.set()
    assert set(truth.loads) == {"x", "y", "z", "a", "b"}


async def test_the_cache_saves_another_worker_the_load(truth: Truth, shared: MemoryCache) -> None:
    """What one worker loaded, another finds in the cache; what does not exist is not put there."""
    await truth.lookup(shared).find("a")
    await truth.lookup(shared).find("stranger")
    await until(lambda: _present(shared, "thing:a"))
    truth.loads.clear()
    assert await truth.lookup(shared).find("a") == "one"
    assert truth.loads == []
    assert await shared.get("thing:stranger") is None


@pytest.mark.parametrize(
    "poison",
    [
        b"x",
        b"\n\n\n",
        b'{"not": "ours"}',
        b"1\nnot a number\na\none",
        b"2\n0\na\nof another version",
        b"1\n0\nb\nanother key's",
        b"1\n0\na\n\xff\xfe not what decode reads",
        b"1\n-1\na\nbefore the beginning",
        b"\x00" * MAX_VALUE,
    ],
)
async def test_a_poisoned_copy_is_read_from_the_database(
    truth: Truth, shared: MemoryCache, poison: bytes
) -> None:
    """Whatever stands in the cache and is not a sound copy of this very key is a miss, and is overwritten."""
    await shared.set("thing:a", poison, 60)
    assert await truth.lookup(shared).find("a") == "one"
    await until(lambda: _mended(shared))


async def _mended(cache: Cache) -> bool:
    return await cache.get("thing:a") == b"1\n0\na\none"


async def test_poison_is_logged_once_and_without_its_text(truth: Truth, shared: MemoryCache) -> None:
    """Ten unreadable copies make one line, which does not quote them."""
    lookup = truth.lookup(shared)
    with capture_logs() as logs:
        for number in range(10):
            await shared.set(f"thing:{number}", b"hunter2", 60)
            await lookup.find(str(number))
    assert [entry["event"] for entry in logs] == ["cached values cannot be read"]
    assert "hunter2" not in repr(logs)


async def test_an_outage_is_bridged_with_the_last_known(truth: Truth) -> None:
    """The database away: what was known, present or absent, is served on; after that it is read anew."""
    lookup = truth.lookup()
    await lookup.find("a")
    await lookup.find("stranger")
    truth.away = True
    for _ in range(3):
        truth.now += 3600
        assert await lookup.find("a") == "one"
        assert await lookup.find("stranger") is None
    truth.away = False
    truth.now += 3600
    truth.rows["a"] = "two"
    assert await lookup.find("a") == "two"


async def test_in_an_outage_the_database_is_not_asked_all_the_time(truth: Truth) -> None:
    """Once bridged, a value is answered from memory for a second before the database is tried again."""
    lookup = truth.lookup()
    await lookup.find("a")
    truth.away = True
    truth.now += 60
    await lookup.find("a")
    truth.loads.clear()
    assert lookup.peek("a") == "one"
    truth.now += 1
    assert lookup.peek("a") is PENDING


async def test_what_was_never_known_is_unavailable(truth: Truth) -> None:
    """In an outage a key nobody asked for before is neither served nor called absent."""
    lookup = truth.lookup()
    truth.away = True
    with pytest.raises(Unavailable):
        await lookup.find("a")
    assert lookup.peek("a") is PENDING


async def test_what_was_revoked_is_not_bridged(truth: Truth) -> None:
    """A key dropped before the outage is not served in it."""
    lookup = truth.lookup()
    await lookup.find("a")
    truth.position = 1
    lookup.drop("a", 1)
    truth.away = True
    with pytest.raises(Unavailable):
        await lookup.find("a")


async def test_clear_has_everything_read_anew(truth: Truth, shared: MemoryCache) -> None:
    """After ``clear`` neither memory nor older copies in the cache are believed, but an outage is bridged."""
    lookup = truth.lookup(shared)
    await lookup.find("a")
    await until(lambda: _present(shared, "thing:a"))
    truth.position = 5
    lookup.clear()
    assert lookup.peek("a") is PENDING
    truth.away = True
    assert await lookup.find("a") == "one"
    truth.away = False
    truth.now += 1
    truth.rows["a"] = "two"
    assert await lookup.find("a") == "two"


async def test_drop_if_forgets_what_matches(truth: Truth, shared: MemoryCache) -> None:
    """All values of one kind go from memory, and their older copies in the cache are not believed."""
    lookup = truth.lookup(shared)
    truth.rows["b"] = "other"
    for key in ("a", "b"):
        await lookup.find(key)
    await until(lambda: _present(shared, "thing:a"))
    truth.rows["a"] = "two"
    truth.position = 3
    lookup.drop_if(lambda value: value == "one", 3)
    assert (lookup.peek("a"), lookup.peek("b")) == (PENDING, "other")
    assert await lookup.find("a") == "two"


async def test_strangers_do_not_push_tenants_out(truth: Truth) -> None:
    """Thousands of names that do not exist: memory stays bounded, and the present is still known."""
    lookup = truth.lookup(capacity=2, negative_capacity=10)
    await lookup.find("a")
    for number in range(5000):
        await lookup.find(f"stranger-{number}")
    assert repr(lookup) == "<Lookup thing: 1 present, 10 absent, 0 in flight>"
    assert lookup.peek("a") == "one"


async def test_the_one_used_longest_ago_goes_first(truth: Truth) -> None:
    """Over capacity, what was not asked for lately makes room."""
    truth.rows |= {"b": "two", "c": "three"}
    lookup = truth.lookup(capacity=2)
    await lookup.find("a")
    await lookup.find("b")
    lookup.peek("a")
    await lookup.find("c")
    assert [lookup.peek(key) for key in "abc"] == ["one", PENDING, "three"]


async def test_keys_of_two_lookups_never_collide(truth: Truth, shared: MemoryCache) -> None:
    """A name cannot hold the colon that separates it from the key."""
    with pytest.raises(ValueError, match="colon"):
        Lookup[str]("a:b", truth.load, shared, str.encode, bytes.decode, capacity=1)


async def test_closing_ends_what_is_under_way(truth: Truth) -> None:
    """At a shutdown loads are cancelled, and who waits for one is not left hanging."""
    lookup = truth.lookup()
    truth.open.clear()
    asker = asyncio.get_running_loop().create_task(lookup.find("a"))
    await until(lambda: bool(truth.loads))
    await lookup.close()
    await asyncio.gather(asker, return_exceptions=True)
    assert asker.done()
