"""Traffic as it is written down: added up over all workers, in spans of five minutes, for two days."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import case, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from router.errors import Unavailable
from router.observe.traffic import TOOK
from router.storage.schema import traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from router.observe.traffic import Tally, Traffic
    from router.storage.database import Database

SPAN: Final = 300
"""Seconds that are counted together."""

KEPT: Final = 2 * 86_400
"""Seconds that what was counted is kept."""

_WRITTEN_EVERY: Final = 30.0
_PRUNED_EVERY: Final = 3600
_AT_ONCE: Final = 500
_COUNTED: Final = tuple(column.name for column in traffic.c if not column.primary_key)
_TIMES: Final = _COUNTED[-len(TOOK) - 1 :]


@dataclass(frozen=True, slots=True)
class Span:
    """What came in one span, from ``at`` on, in unix seconds.

    Times of visits are in milliseconds, the upper bounds of what was counted together: never told too well.
    """

    at: int
    requests: int
    refused: int
    failed: int
    sign_ins: int
    p50: int | None
    p99: int | None


@dataclass(frozen=True, slots=True)
class Failing:
    """A tenant half of whose visits failed, or more: how many of how many, since when (unix seconds)."""

    tenant_id: str
    since: int
    requests: int
    failed: int


class TrafficLog:
    """Traffic in the database. All methods raise ``Unavailable``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = (postgresql if database.backend == "postgresql" else sqlite).insert

    async def add(self, tallies: Mapping[str, Tally], now: float) -> None:
        """Add what one worker counted to the span of ``now``."""
        at = int(now) // SPAN * SPAN
        # In one order everywhere, so that two workers never wait for each other.
        rows = [_row(tenant_id, at, tallies[tenant_id]) for tenant_id in sorted(tallies)]
        statement = self._insert(traffic)
        added = {name: traffic.c[name] + statement.excluded[name] for name in _COUNTED}
        adding = statement.on_conflict_do_update(index_elements=["tenant_id", "at"], set_=added)
        async with self._database.write() as connection:
            for start in range(0, len(rows), _AT_ONCE):
                await connection.execute(adding, rows[start : start + _AT_ONCE])

    async def read(
        self, tenant_id: str | None, since: float, until: float, *, span: int = SPAN
    ) -> list[Span]:
        """Read a tenant's spans, or those of all together (none), the oldest first; spans of nothing too.

        ``span`` is in seconds, several of those that were counted.
        """
        sums = [func.sum(traffic.c[name]).label(name) for name in _COUNTED]
        begin = int(since) // span * span
        began = (traffic.c.at - traffic.c.at % span).label("at")
        found = select(began, *sums).where(traffic.c.at >= begin, traffic.c.at <= until)
        if tenant_id is not None:
            found = found.where(traffic.c.tenant_id == tenant_id)
        async with self._database.read() as connection:
            rows = (await connection.execute(found.group_by(began))).mappings()
            spans = {row["at"]: _span(row) for row in rows}
        return [spans.get(at) or _nothing(at) for at in range(begin, int(until) + 1, span)]

    async def failing(self, since: float, until: float, *, least: int, most: int) -> list[Failing]:
        """Find the tenants of whose visits, ``least`` or more, half failed; those with most failures first.

        What is looked at are the spans that began within that time.
        """
        within = (traffic.c.at > since) & (traffic.c.at <= until)
        requests, failed = func.sum(traffic.c.requests), func.sum(traffic.c.failed)
        first = func.min(case((traffic.c.failed > 0, traffic.c.at)))
        found = (
            select(
                traffic.c.tenant_id, first.label("since"), requests.label("requests"), failed.label("failed")
            )
            .where(within)
            .group_by(traffic.c.tenant_id)
            .having(requests >= least, failed * 2 >= requests)
            .order_by(failed.desc(), traffic.c.tenant_id)
        )
        async with self._database.read() as connection:
            rows = await connection.execute(found.limit(most))
            return [Failing(row.tenant_id, row.since, int(row.requests), int(row.failed)) for row in rows]

    async def prune(self, now: float) -> None:
        """Forget what is older than two days."""
        async with self._database.write() as connection:
            await connection.execute(delete(traffic).where(traffic.c.at < now - KEPT))


class TrafficClerk:
    """Writes down what this worker counts. ``run`` does so twice a minute, and a last time in the end."""

    def __init__(
        self,
        counted: Traffic,
        log: TrafficLog,
        *,
        period: float = _WRITTEN_EVERY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._counted = counted
        self._log = log
        self._period = period
        self._clock = clock

    async def run(self) -> None:
        """Write for ever; while the database is away, counting goes on."""
        prune_at = 0.0
        try:
            while True:
                with suppress(Unavailable):  # the database says so itself, once
                    await self.write()
                    if self._clock() >= prune_at:
                        await self._log.prune(self._clock())
                        prune_at = self._clock() + _PRUNED_EVERY
                await asyncio.sleep(self._period)
        finally:
            with suppress(Unavailable):
                await self.write()

    async def write(self) -> None:
        """Write down what was counted. Raises ``Unavailable``, having lost nothing."""
        taken = self._counted.take()
        if not taken:
            return
        try:
            await self._log.add(taken, self._clock())
        except BaseException:
            self._counted.give_back(taken)
            raise


def _row(tenant_id: str, at: int, tally: Tally) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "at": at,
        "requests": tally.requests,
        "refused": tally.refused,
        "failed": tally.failed,
        "sign_ins": tally.sign_ins,
        **dict(zip(_TIMES, tally.took, strict=True)),
    }


def _span(row: Mapping[Any, Any]) -> Span:
    took = [int(row[name]) for name in _TIMES]
    told = {name: int(row[name]) for name in _COUNTED if name not in _TIMES}
    return Span(at=row["at"], **told, p50=_within(took, 0.50), p99=_within(took, 0.99))


def _nothing(at: int) -> Span:
    return Span(at, 0, 0, 0, 0, None, None)


def _within(took: Sequence[int], share: float) -> int | None:
    """Say within how many milliseconds that share of the visits was answered."""
    wanted, seen = sum(took) * share, 0
    for bound, number in zip((*TOOK, TOOK[-1] * 2), took, strict=True):
        seen += number
        if number and seen >= wanted:
            return bound
    return None
