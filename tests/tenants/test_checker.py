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
from tests.tenants.claiming import DAY, HOST, START, Platform
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


async def test_what_another_worker_has_just_checked_is_not_checked_again(platform: Platform) -> None:
    """Found due by both, the lease given back by the first before the second has it: one check."""
    await platform.add("acme")
    first, second = checker(platform, "first"), checker(platform, "second")
    take = second._lease.take  # noqa: SLF001 - what goes on between two steps of the second

    async def take_late(now: float) -> bool:
        assert await first.work() == 1
        return await take(now)

    second._lease.take = take_late  # type: ignore[method-assign] # noqa: SLF001 - see above
    assert await second.work() == 0
    assert (await platform.claim("acme")).checks == 1


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


async def test_seven_days_without_proof_pass_by_the_checker_alone(platform: Platform) -> None:
    """Nobody asks, the clock moves by half an hour: served to the last, three notices, then released."""
    step = 1800
    await platform.add("acme")
    await platform.publish_cname("acme")
    worker = checker(platform)
    assert await worker.work() == 1
    platform.dns.records.clear()
    lost = None
    while (claim := await platform.claim("acme")).state is not ClaimState.RELEASED:
        if claim.lost_at is not None:
            lost = claim.lost_at
            assert claim.state is ClaimState.MOVED
            assert platform.now < lost + 7 * DAY + step
        platform.now += step
        await worker.work()
    assert lost is not None
    assert START < lost <= START + 4 * 3600 + step  # found out at the next look
    assert 0 <= platform.now - (lost + 7 * DAY) < step
    told = [mail for mail in await platform.mails() if mail.recipient == "help@acme.test"]
    assert [mail.kind for mail in told] == ["domain-active", *["domain-lost"] * 3, "domain-released"]
    after = [int(mail.facts["at"]) - lost for mail in told[1:4]]
    assert after[0] == 0
    assert all(
        0 <= late - days * DAY < 3600 * 1.1 + step for late, days in zip(after, (0, 3, 6), strict=True)
    )
    asked = platform.dns.times_asked(f"{HOST}.")
    platform.now += 30 * DAY
    assert await worker.work() == 0
    assert platform.dns.times_asked(f"{HOST}.") == asked


async def test_name_servers_that_fail_at_the_end_of_the_seven_days_release_nothing(
    platform: Platform,
) -> None:
    """By the checker alone: it serves on while nobody can tell, and is released once somebody can."""
    await platform.add("acme")
    await platform.publish_cname("acme")
    worker = checker(platform)
    await worker.work()
    platform.dns.records.clear()
    platform.now += 5 * 3600
    await worker.work()
    platform.dns.failing |= {f"{HOST}.", f"_portal-challenge.{HOST}."}
    for _ in range(9 * 24):
        platform.now += 3600
        await worker.work()
    assert (await platform.claim("acme")).state is ClaimState.MOVED
    platform.dns.failing.clear()
    platform.now += 2 * 3600
    await worker.work()
    assert (await platform.claim("acme")).state is ClaimState.RELEASED


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
