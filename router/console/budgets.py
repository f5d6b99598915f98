"""How often the API may be called, counted in whichever cache there is.

An invoice run asks for one line a customer: fifty a second go through. Wrong tokens are counted by network;
one who sends many is told so before the database is asked, while tokens in use go on from anywhere.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from router.console.problems import Refused
from router.identity.throttle import Budget, Tally, Wait, judge, network_of, share, tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.storage.cache import Cache

CALLS: Final = Budget("api-calls", 3000, 60)
GUESSES: Final = Budget("api-guesses", 60, 60, floor=20)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many calls a token has in a window of ``window`` seconds, and how many are left after this one.

    Less than none are left after one too many. ``reset`` is in seconds from now. Where several processes
    count for themselves, it is this one's share.
    """

    limit: int
    left: int
    window: int
    reset: int

    def fields(self) -> dict[str, str]:
        """Tell it as draft-ietf-httpapi-ratelimit-headers-10 has it, in structured fields (RFC 9651)."""
        return {
            "RateLimit-Policy": f'"{CALLS.name}";q={self.limit};w={self.window}',
            "RateLimit": f'"{CALLS.name}";r={max(0, self.left)};t={self.reset}',
        }


class Budgets:
    """Counts calls and guesses. ``counters`` is how many processes count for themselves (throttling.py)."""

    def __init__(self, cache: Cache, *, counters: int = 1, clock: Callable[[], float] = time.time) -> None:
        self._cache = cache
        self._counters = counters
        self._clock = clock

    async def spend(self, principal_id: str) -> Allowance:
        """Count a call; :func:`check` refuses one too many."""
        now = self._clock()
        spent = tally(CALLS, (principal_id,), now)
        count = await self._cache.count(spent.key, CALLS.window)
        limit = share(CALLS, self._counters)
        return Allowance(limit, limit - count, CALLS.window, max(1, spent.ends - int(now)))

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
            raise _too_many(verdict.seconds)


def check(allowance: Allowance) -> None:
    """Raises ``Refused`` (429) for a call too many."""
    if allowance.left < 0:
        raise _too_many(allowance.reset)


def _too_many(seconds: int) -> Refused:
    sentence = "That is too many calls: go on after as many seconds as Retry-After says."
    return Refused(429, "too_many_requests", sentence, headers={"Retry-After": str(seconds)})
