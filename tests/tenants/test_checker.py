"""The checker: what is due is checked, by one worker of the fleet, whatever goes wrong with a claim."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy import select

from router.storage.bell import PollBell
from router.storage.changes import ChangeFeed
from router.storage.database import Database
from router.storage.leases import Lease
from router.storage.schema import leases
from router.tenants.checker import LEASE, LEASE_LIFE, Checker
from router.tenants.claims import ClaimState
from tests.tenants.claiming import HOST, START, Platform
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine


def checker(platform: Platform, holder: str = "one", *, period: float = 60.0) -> Checker:
    """Make a worker's checker."""
    feed = ChangeFeed(platform.database, PollBell())
    lease = Lease(platform.database, LEASE, holder, life=LEASE_LIFE)
    return Checker(platform.database, feed, platform.checks, lease, period=period, clock=platform.clock)


@asynccontextmanager
async def running(*coros: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run them in the background."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coro) for coro in coros]
        yield
        for task in tasks:
            task.cancel()


async def test_what_is_due_is_checked_and_nothing_else(platform: Platform) -> None:
    """Each claim comes to its turn; when nothing is due, nothing is written."""
    for slug in ("acme", "globex", "initech"):
        await platform.add(slug, f"billing.{slug}.example")
    worker = checker(platform)
    assert await worker.work() == 3
    assert await worker.work() == 0
    platform.now += 60
    assert await worker.work() == 3
    async with platform.database.read() as connection:
        assert (await connection.execute(select(leases))).all() == []  # given back


async def test_more_than_a_batch_is_checked_in_one_go(platform: Platform) -> None:
    """A platform with many tenants is not kept waiting for the next look."""
    for number in range(20):
        await platform.add(f"t{number}", f"billing.t{number}.example")
    assert await checker(platform).work() == 20


async def test_one_worker_of_the_fleet_checks_at_a_time(platform: Platform) -> None:
    """Who finds the lease taken leaves the work to its holder, and takes it over when that died."""
    await platform.add("acme")
    dead = Lease(platform.database, LEASE, "dead", life=LEASE_LIFE)
    assert await dead.take(platform.now)
    worker = checker(platform, "alive")
    assert await worker.work() == 0
    platform.now += LEASE_LIFE
    assert await worker.work() == 1


async def test_two_workers_at_once_check_a_claim_once(platform: Platform) -> None:
    """The DNS is asked once for each claim that is due."""
    await platform.add("acme")
    done = await asyncio.gather(*(checker(platform, f"worker {number}").work() for number in range(4)))
    assert platform.dns.asked.count(f"TXT _portal-challenge.{HOST}.") == 1
    assert sum(done) == 1


async def test_a_claim_that_cannot_be_checked_holds_up_nobody(platform: Platform) -> None:
    """Whatever is wrong with one, the others come to their turn, and it is tried again later."""
    await platform.add("acme")
    claim = await platform.add("broken", "billing.broken.example")
    honest = platform.checks.check

    async def check(claim_id: str, *, actor: str = "checker") -> object:
        if claim_id == claim.id:
            raise ValueError("a fault of the program")
        return await honest(claim_id, actor=actor)

    platform.checks.check = check  # type: ignore[method-assign, assignment]
    assert await checker(platform).work() == 2
    assert (await platform.claim("acme")).state is ClaimState.VERIFYING
    later = await platform.claim("broken", "billing.broken.example")
    assert (later.state, later.next_check_at) == (ClaimState.PENDING, START + 900)


async def test_a_new_claim_wakes_the_checker(platform: Platform) -> None:
    """What was claimed or asked for is looked at within a moment, not at the next round."""
    bell = PollBell()
    feed = ChangeFeed(platform.database, bell, period=0.05)
    lease = Lease(platform.database, LEASE, "one", life=LEASE_LIFE)
    worker = Checker(platform.database, feed, platform.checks, lease, period=3600, clock=platform.clock)
    async with running(feed.run(), worker.run()):
        await platform.add("acme")
        await platform.publish_cname("acme")

        async def looked_for() -> bool:
            return (await platform.claim("acme")).checked_at is not None

        await until(looked_for)


async def test_an_outage_of_the_database_is_lived_through(platform: Platform) -> None:
    """A checker whose database is away tries again; what was due stays due."""
    await platform.add("acme")
    away = Database("postgresql://nobody@127.0.0.1:9/none")
    feed = ChangeFeed(away, PollBell())
    lease = Lease(away, LEASE, "one", life=LEASE_LIFE)
    worker = Checker(away, feed, platform.checks, lease, period=0.01, clock=platform.clock)
    async with running(worker.run()):
        await until(lambda: not away.healthy)
    await away.close()
    assert await checker(platform).work() == 1
