from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from router.errors import Unavailable
from router.observe.traffic import Traffic
from router.storage.schema import traffic as table
from router.storage.traffic import KEPT, SPAN, Failing, TrafficClerk, TrafficLog
from tests.waiting import until

if TYPE_CHECKING:
    from router.storage.database import Database
    from tests.outages import Outage

NOON = 1_800_000_000.0 // SPAN * SPAN


def counted(*visits: tuple[str, int, float]) -> Traffic:
    """What a worker counted: tenant, status and seconds of each visit."""
    traffic = Traffic()
    for visit in visits:
        traffic.visited(*visit)
    return traffic


async def test_workers_are_added_up(database: Database) -> None:
    """Several workers, and the same one again and again, count into the same span."""
    log = TrafficLog(database)
    await log.add(counted(("a", 200, 0.003), ("b", 404, 0.003)).take(), NOON)
    await log.add(counted(("a", 503, 0.3), ("a", 200, 0.003)).take(), NOON + SPAN - 1)
    (span,) = await log.read("a", NOON, NOON + SPAN - 1)
    assert (span.at, span.requests, span.refused, span.failed) == (NOON, 3, 0, 1)
    (both,) = await log.read(None, NOON, NOON)
    assert (both.requests, both.refused, both.failed) == (4, 1, 1)


async def test_many_at_once_lose_nothing(database: Database) -> None:
    """Twenty workers that write the same tenants at the same moment are all counted."""
    log = TrafficLog(database)
    visits = [(f"tnt_{number}", 200, 0.001) for number in range(50)]
    await asyncio.gather(*(log.add(counted(*visits).take(), NOON) for _ in range(20)))
    (span,) = await log.read(None, NOON, NOON)
    assert span.requests == 1000


async def test_times_are_told_by_their_bounds(database: Database) -> None:
    """Of a hundred visits, half took under 2 ms and two 700: the median is 2, the 99th percentile 1000."""
    visits = [("a", 200, 0.0015)] * 50 + [("a", 200, 0.008)] * 48 + [("a", 200, 0.7)] * 2
    log = TrafficLog(database)
    await log.add(counted(*visits).take(), NOON)
    (span,) = await log.read("a", NOON, NOON)
    assert (span.p50, span.p99) == (2, 1000)


async def test_a_span_of_nothing_is_told_too(database: Database) -> None:
    """A plot has no holes: where nobody came, the numbers are 0 and the times unknown."""
    log = TrafficLog(database)
    await log.add(counted(("a", 200, 0.001)).take(), NOON + SPAN)
    spans = await log.read("a", NOON, NOON + 2 * SPAN)
    assert [(span.at - NOON, span.requests, span.p50) for span in spans] == [
        (0, 0, None),
        (SPAN, 1, 1),
        (2 * SPAN, 0, None),
    ]


async def test_longer_spans_are_added_up(database: Database) -> None:
    """An hour is what its spans of five minutes were together, the times of its visits included."""
    hour, log = NOON // 3600 * 3600, TrafficLog(database)
    for number in range(12):
        await log.add(counted(("a", 200, 0.001 if number else 5.0)).take(), hour + number * SPAN)
    (span,) = await log.read("a", hour, hour + 3599, span=3600)
    assert (span.at, span.requests, span.p50, span.p99) == (hour, 12, 1, 5000)


async def test_who_fails_is_found(database: Database) -> None:
    """Half of enough visits, added up over the spans that began within the time; the worst first."""
    log = TrafficLog(database)
    well, failed = ("a", 200, 0.003), ("a", 503, 0.003)
    await log.add(counted(*[well] * 3, *[("b", 503, 0.3)] * 9, *[("c", 503, 0.3)] * 3).take(), NOON)
    await log.add(counted(failed, failed, failed).take(), NOON + SPAN)
    found = await log.failing(NOON - 1, NOON + SPAN, least=4, most=9)
    assert found == [Failing("b", int(NOON), 9, 9), Failing("a", int(NOON) + SPAN, 6, 3)]
    assert await log.failing(NOON - 1, NOON + SPAN, least=4, most=1) == found[:1]
    assert await log.failing(NOON, NOON + SPAN, least=4, most=9) == []
    assert await log.failing(NOON - 1, NOON, least=4, most=9) == found[:1]


async def test_what_is_old_is_forgotten(database: Database) -> None:
    """After two days a span is gone, and not before."""
    log = TrafficLog(database)
    for at in (NOON, NOON + SPAN):
        await log.add(counted(("a", 200, 0.001)).take(), at)
    await log.prune(NOON + KEPT + 1)
    async with database.read() as connection:
        assert await connection.scalar(select(func.min(table.c.at))) == NOON + SPAN


async def test_the_clerk_writes_in_the_end(database: Database) -> None:
    """What was counted is written down while it runs, and the rest when it is cancelled."""
    traffic = counted(("a", 200, 0.001))
    log = TrafficLog(database)
    clerk = TrafficClerk(traffic, log, clock=lambda: NOON)

    async def requests() -> int:
        return (await log.read("a", NOON, NOON))[0].requests

    async def written() -> bool:
        return await requests() == 1

    async with asyncio.TaskGroup() as group:
        running = group.create_task(clerk.run())
        await until(written)
        traffic.visited("a", 200, 0.001)
        running.cancel()
    assert await requests() == 2


async def test_counting_goes_on_while_the_database_is_away(database: Database, outage: Outage) -> None:
    """What cannot be written is kept and written later, once."""
    traffic, log = counted(("a", 200, 0.001)), TrafficLog(database)
    clerk = TrafficClerk(traffic, log, clock=lambda: NOON)
    async with outage():
        with pytest.raises(Unavailable):
            await clerk.write()
    await clerk.write()
    assert (await log.read("a", NOON, NOON))[0].requests == 1
