"""Rates: how many visits a second a tenant may have, over all workers of the fleet together.

No visit waits for Redis. Each worker counts its own, tells the others once a second, and allows itself the
share that it had of all visits two seconds ago, when every worker's count was in. In between, a sudden crowd
may get through at most once the limit per worker, for two seconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.storage.cache import Cache

_KEPT: Final = 10
"""Seconds for which a second's total stays in the cache."""


@dataclass(slots=True)
class _Count:
    """One tenant's visits: this worker's by second, and its share of the limit."""

    asked: dict[int, int] = field(default_factory=dict)
    share: float = 1.0


class Rates:
    """Counts visits by tenant. ``workers`` are those that share a limit without a common cache."""

    def __init__(self, cache: Cache | None, *, workers: int, clock: Callable[[], float]) -> None:
        self._cache = cache
        self._alone = 1.0 / workers
        self._clock = clock
        self._counts: dict[str, _Count] = {}

    def admits(self, tenant_id: str, limit: int) -> bool:
        """Count a visit, and say whether it is within ``limit`` visits a second."""
        count = self._counts.get(tenant_id)
        if count is None:
            count = self._counts[tenant_id] = _Count(share=1.0 if self._cache is not None else self._alone)
        second = int(self._clock())
        asked = count.asked[second] = count.asked.get(second, 0) + 1
        return asked <= max(1.0, limit * count.share)

    async def run(self) -> None:
        """Tell and learn once a second, for ever."""
        while True:
            await asyncio.sleep(1)
            await self.exchange(int(self._clock()))

    async def exchange(self, now: int) -> None:
        """Tell what was asked in the last whole second, take the share from the one before it."""
        counts = dict(self._counts)
        if self._cache is not None:
            told = {
                _key(tenant_id, now - 1): count.asked.get(now - 1, 0) for tenant_id, count in counts.items()
            }
            learnt = dict.fromkeys((_key(tenant_id, now - 2) for tenant_id in counts), 0)
            totals = (await self._cache.count_many(told | learnt, _KEPT))[len(told) :]
            for count, total in zip(counts.values(), totals, strict=True):
                mine = count.asked.get(now - 2, 0)
                count.share = mine / total if 0 < mine < total else 1.0
        for tenant_id, count in counts.items():
            count.asked = {second: asked for second, asked in count.asked.items() if second >= now - 1}
            if not count.asked:
                del self._counts[tenant_id]


def _key(tenant_id: str, second: int) -> str:
    return f"rate:{tenant_id}:{second}"
