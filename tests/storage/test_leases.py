"""Leases: one holder at a time, on both databases."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from router.storage.leases import Lease

if TYPE_CHECKING:
    from router.storage.database import Database


async def test_one_holder_at_a_time(database: Database) -> None:
    """Who has it keeps it; another one gets it when the time has run out, and the first one not back."""
    one, other = (Lease(database, "work", holder, life=60) for holder in ("one", "other"))
    assert await one.take(1000)
    assert not await other.take(1059)
    assert await one.take(1059)  # for longer
    assert not await other.take(1118)
    assert await other.take(1119)
    assert not await one.take(1120)


async def test_what_is_given_back_is_free(database: Database) -> None:
    """Only its holder can give it back."""
    one, other = (Lease(database, "work", holder, life=60) for holder in ("one", "other"))
    await one.take(1000)
    await other.give_back()
    assert not await other.take(1001)
    await one.give_back()
    assert await other.take(1001)


async def test_different_work_is_done_at_the_same_time(database: Database) -> None:
    """A lease is of one kind of work."""
    assert await Lease(database, "work", "one", life=60).take(1000)
    assert await Lease(database, "other work", "other", life=60).take(1000)


async def test_of_many_at_once_one_gets_it(database: Database) -> None:
    """The first lease of all is made once, however many want it."""
    leases = [Lease(database, "work", f"holder {number}", life=60) for number in range(8)]
    assert sum(await asyncio.gather(*(lease.take(1000) for lease in leases))) == 1
    assert sum(await asyncio.gather(*(lease.take(1060) for lease in leases))) == 1
