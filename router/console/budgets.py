"""How often the API may be called, counted in whichever cache there is.

An invoice run asks for one line a customer: fifty a second go through. Wrong tokens are counted by network;
one who sends many is told so before the database is asked, while tokens in use go on from anywhere.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from router.console.problems import Refused
from router.identity.throttle import Budget, Tally, Wait, judge, network_of, tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.storage.cache import Cache

CALLS: Final = Budget("api-calls", 3000, 60)
GUESSES: Final = Budget("api-guesses", 60, 60, floor=20)


class Budgets:
    """Counts calls and guesses. ``counters`` is how many processes count for themselves (throttling.py)."""

    def __init__(self, cache: Cache, *, counters: int = 1, clock: Callable[[], float] = time.time) -> None:
        self._cache = cache
        self._counters = counters
        self._clock = clock

    async def spend(self, token_id: str) -> None:
        """Count a call. Raises ``Refused`` (429) for one too many."""
        await self._count(tally(CALLS, (token_id,), self._clock()))

    async def check_guesses(self, address: str) -> None:
        """Raises ``Refused`` (429) for a network that sent too many wrong tokens."""
        spent = self._guesses(address)
        self._judge(spent, await self._cache.count(spent.key, GUESSES.window, 0) + 1)

    async def note_guess(self, address: str) -> None:
        """Count a wrong token. Raises ``Refused`` (429) for one too many."""
        await self._count(self._guesses(address))

    def _guesses(self, address: str) -> Tally:
        return tally(GUESSES, (network_of(address),), self._clock())

    async def _count(self, spent: Tally) -> None:
        self._judge(spent, await self._cache.count(spent.key, spent.budget.window))

    def _judge(self, spent: Tally, count: int) -> None:
        verdict = judge(spent, count, self._clock(), counters=self._counters)
        if isinstance(verdict, Wait):
            sentence = "That is too many calls: go on after as many seconds as Retry-After says."
            raise Refused(429, "too_many_requests", sentence, headers={"Retry-After": str(verdict.seconds)})
