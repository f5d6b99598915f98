from __future__ import annotations

import asyncio

import pytest

from router.errors import Unavailable
from router.identity.errands import Errands


async def test_errand_is_done_after_whoever_began_it_went_on() -> None:
    """Beginning an errand does nothing of it yet; ``settled`` waits for its end."""
    done: list[str] = []

    async def work() -> None:
        done.append("reset")

    async with Errands() as errands:
        errands.start("reset", "tnt_1", work)
        assert done == []
        await errands.settled()
        assert done == ["reset"]


async def test_failure_takes_nothing_along() -> None:
    """An errand that fails, as expected or not, is logged, and its place is free again."""

    async def fail() -> None:
        raise Unavailable("database_unavailable", "The database does not answer.")

    async def break_down() -> None:
        raise ZeroDivisionError

    async with Errands(limit=1) as errands:
        for work in (fail, break_down, fail):
            errands.start("reset", "tnt_1", work)
            await errands.settled()


async def test_errands_are_bounded_for_all_and_for_each_tenant() -> None:
    """One tenant's errands leave places for others; beyond the bound whoever asks is told to come again."""
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    async with Errands(limit=3, share=2) as errands:
        for tenant in ("tnt_1", "tnt_1", "tnt_2"):
            errands.start("registration", tenant, wait)
        for tenant in ("tnt_1", "tnt_3"):
            with pytest.raises(Unavailable) as caught:
                errands.start("registration", tenant, wait)
            assert caught.value.code == "busy"
        gate.set()
        await errands.settled()
        errands.start("registration", "tnt_1", wait)


async def test_what_is_under_way_is_finished_at_the_end() -> None:
    """Leaving waits for errands: a mail that was promised is queued before the worker ends."""
    done: list[str] = []
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()
        done.append("reset")

    async with Errands() as errands:
        errands.start("reset", "tnt_1", work)
        asyncio.get_running_loop().call_soon(gate.set)
    assert done == ["reset"]


async def test_what_waits_for_others_leaves_half_of_the_places() -> None:
    """Errands that a silent backend holds up fill half of a tenant's places, and half of all."""
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    async with Errands(limit=8, share=4) as errands:
        for tenant in ("tnt_1", "tnt_2"):
            errands.start("registration", tenant, wait, waits=True)
            errands.start("registration", tenant, wait, waits=True)
        for tenant in ("tnt_1", "tnt_3"):
            with pytest.raises(Unavailable):
                errands.start("registration", tenant, wait, waits=True)
        for tenant in ("tnt_1", "tnt_1", "tnt_2", "tnt_3"):
            errands.start("reset", tenant, wait)
        gate.set()
        await errands.settled()
        errands.start("registration", "tnt_1", wait, waits=True)
