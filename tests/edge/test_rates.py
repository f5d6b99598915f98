"""A tenant's visits a second: counted by each worker, shared out among all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.edge.rates import Rates
from router.storage.cache import MemoryCache
from tests.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.storage.cache import Cache

START = 1_000_000.0
_TENANT = "tnt-1"


def crowd(rates: Rates, visits: int, limit: int, tenant: str = _TENANT) -> int:
    """How many of ``visits`` in one moment are admitted."""
    return sum(rates.admits(tenant, limit) for _ in range(visits))


async def second(clock: Clock, fleet: Sequence[Rates], visits: Sequence[int], limit: int) -> list[int]:
    """Let a second pass in which each of ``fleet`` is asked as often as ``visits`` says; what each admits."""
    admitted = [crowd(rates, count, limit) for rates, count in zip(fleet, visits, strict=True)]
    clock.now += 1
    for rates in fleet:
        await rates.exchange(int(clock.now))
    return admitted


@given(st.integers(min_value=1, max_value=500), st.integers(min_value=0, max_value=1000))
def test_alone_the_limit_is_exact(limit: int, visits: int) -> None:
    """One worker admits what the limit says in a second, not one more."""
    assert crowd(Rates(None, workers=1, clock=Clock(START)), visits, limit) == min(visits, limit)


def test_a_new_second_is_a_new_account() -> None:
    """Whoever was refused may come again with the next second."""
    clock = Clock(START)
    rates = Rates(None, workers=1, clock=clock)
    assert crowd(rates, 10, 3) == 3
    clock.now += 0.9
    assert crowd(rates, 10, 3) == 0
    clock.now += 0.1
    assert crowd(rates, 10, 3) == 3


def test_tenants_are_counted_apart() -> None:
    """A crowd at one portal closes no other."""
    rates = Rates(None, workers=1, clock=Clock(START))
    assert crowd(rates, 10, 3) == 3
    assert crowd(rates, 10, 3, "tnt-2") == 3


@pytest.mark.parametrize(("workers", "limit", "each"), [(1, 12, 12), (4, 12, 3), (4, 2, 1)])
def test_without_a_cache_each_worker_has_an_even_part(workers: int, limit: int, each: int) -> None:
    """Nobody tells the others, so each keeps to its part, and never closes altogether."""
    assert crowd(Rates(None, workers=workers, clock=Clock(START)), 100, limit) == each


async def test_the_even_part_stays() -> None:
    """Seconds later, a worker without a cache still keeps to its part."""
    clock = Clock(START)
    rates = Rates(None, workers=4, clock=clock)
    assert [await second(clock, [rates], [50], 12) for _ in range(4)] == [[3]] * 4


@pytest.mark.parametrize("visits", [[50, 50], [90, 30], [200, 20], [100, 0]])
async def test_two_workers_share_a_limit_by_who_is_asked(cache: Cache, visits: list[int]) -> None:
    """When the counts are in, both together admit the limit, each in proportion to its visitors."""
    clock = Clock(START)
    fleet = [Rates(cache, workers=2, clock=clock) for _ in range(2)]
    for _ in range(2):
        await second(clock, fleet, visits, 40)
    await second(clock, fleet, visits, 40)
    for _ in range(3):
        admitted = await second(clock, fleet, visits, 40)
        assert 39 <= sum(admitted) <= 40
        expected = [40 * count / sum(visits) for count in visits]
        assert admitted == pytest.approx(expected, abs=1)


async def test_a_sudden_crowd_is_over_the_limit_for_two_seconds_at_most(cache: Cache) -> None:
    """Until the counts are in, each worker admits the limit once; from the third second on it holds."""
    clock = Clock(START)
    fleet = [Rates(cache, workers=2, clock=clock) for _ in range(2)]
    sums = [sum(await second(clock, fleet, [60, 60], 40)) for _ in range(5)]
    assert max(sums[:3]) <= 80
    assert sums[3:] == [40, 40]


async def test_a_worker_whose_fellow_goes_has_the_limit_to_itself(cache: Cache) -> None:
    """Shares follow the visitors: two seconds after the other is asked no more, one admits all."""
    clock = Clock(START)
    fleet = [Rates(cache, workers=2, clock=clock) for _ in range(2)]
    for _ in range(4):
        await second(clock, fleet, [60, 60], 40)
    for _ in range(3):
        await second(clock, fleet, [60, 0], 40)
    assert await second(clock, fleet, [60, 0], 40) == [40, 0]


async def test_many_tenants_are_told_of_at_once() -> None:
    """A second's exchange costs one call of the cache, however many tenants have a limit."""
    calls = []

    class Overheard(MemoryCache):
        async def count_many(self, amounts: Mapping[str, int], ttl: int) -> list[int]:
            calls.append(dict(amounts))
            return await super().count_many(amounts, ttl)

    clock = Clock(START)
    rates = Rates(Overheard(), workers=1, clock=clock)
    for number in range(100):
        crowd(rates, number + 1, 10, f"tnt-{number}")
    clock.now += 1
    await rates.exchange(int(clock.now))
    [amounts] = calls
    assert sorted(amounts.values()) == [0] * 100 + list(range(1, 101))


async def test_tenants_that_nobody_visits_are_forgotten(cache: Cache) -> None:
    """A hundred thousand tenants who came once do not stay in memory."""
    clock = Clock(START)
    rates = Rates(cache, workers=1, clock=clock)
    for number in range(100):
        crowd(rates, 1, 10, f"tnt-{number}")
    for _ in range(2):
        clock.now += 1
        await rates.exchange(int(clock.now))
    assert rates._counts == {}  # noqa: SLF001 - what is kept is the claim


async def test_seconds_that_are_over_are_forgotten(cache: Cache) -> None:
    """A tenant visited all day is a few numbers, not one for each second of it."""
    clock = Clock(START)
    rates = Rates(cache, workers=1, clock=clock)
    for _ in range(50):
        await second(clock, [rates], [1], 10)
    assert len(rates._counts[_TENANT].asked) <= 2  # noqa: SLF001 - what is kept is the claim
