"""Which of a tenant's upstreams a visit goes to, and which comes next when that one fails.

PURE. The state that rules need (whose turn it is, who has failed) is kept here; what time it is, and how busy
each upstream is, the caller says.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from router.tenants.tenant import Balance

_FAILURES_TO_GO: Final = 3
_FIRST_ABSENCE: Final = 5.0
_LONGEST_ABSENCE: Final = 300.0
_TENANTS_REMEMBERED: Final = 10_000

_T = TypeVar("_T")


class Standing:
    """How an upstream stands, by what visits met there (passive checks).

    Three failures in a row take it out for 5 seconds, then twice as long each time, 5 minutes at most; the
    first visit after that is its trial.
    """

    __slots__ = ("_absences", "_failures", "_out_until", "troubled")

    def __init__(self) -> None:
        self._failures = 0
        self._absences = 0
        self._out_until = 0.0
        self.troubled = False
        """There are failures to remember, until it answers again."""

    def __repr__(self) -> str:
        return f"<Standing failures={self._failures}>"

    def failed(self, now: float) -> None:
        """Note a visit that it did not answer: not reached, broken off, or out of time."""
        self.troubled = True
        self._failures += 1
        if self._failures >= _FAILURES_TO_GO and now >= self._out_until:
            self._out_until = now + min(_FIRST_ABSENCE * 2**self._absences, _LONGEST_ABSENCE)
            self._absences += 1
            self._failures = _FAILURES_TO_GO - 1  # one more failure, at its trial, takes it out again

    def answered(self) -> None:
        """Note a visit that it answered, whatever it said."""
        self.troubled = False
        self._failures = self._absences = 0

    def admits(self, now: float) -> bool:
        """Whether visits are sent its way."""
        return now >= self._out_until


class Turns:
    """Orders a tenant's upstreams for one visit: the chosen one first, the others as they would step in."""

    def __init__(self) -> None:
        self._credits: dict[str, dict[str, int]] = {}

    def order(
        self,
        tenant_id: str,
        policy: Balance,
        candidates: Sequence[_T],
        *,
        name: Callable[[_T], str],
        weight: Callable[[_T], int],
        busy: Callable[[_T], int],
        key: str,
    ) -> list[_T]:
        """Order ``candidates``; affinity goes by ``key``: the session's, or else the client's address."""
        match policy:
            case "session_affinity":
                return sorted(candidates, key=lambda each: -_affinity(key, name(each), weight(each)))
            case "least_connections":
                in_turn = self._in_turn(tenant_id, candidates, name, weight)  # which settles a tie
                return sorted(in_turn, key=lambda each: (busy(each) + 1) / weight(each))
            case _:
                return self._in_turn(tenant_id, candidates, name, weight)

    def _in_turn(
        self, tenant_id: str, candidates: Sequence[_T], name: Callable[[_T], str], weight: Callable[[_T], int]
    ) -> list[_T]:
        """Smooth weighted round robin: who has the most credit goes, and pays for all.

        Weights 5, 1, 1 give a a b a c a a, not a a a a a b c.
        """
        credit = self._credits.get(tenant_id)
        if credit is None:
            if len(self._credits) >= _TENANTS_REMEMBERED:
                self._credits.clear()
            credit = self._credits[tenant_id] = {}
        for each in candidates:
            credit[name(each)] = credit.get(name(each), 0) + weight(each)
        order = sorted(candidates, key=lambda each: -credit[name(each)])
        credit[name(order[0])] -= sum(map(weight, candidates))
        if len(credit) > 2 * len(candidates):  # upstreams come and go
            self._credits[tenant_id] = {name(each): credit[name(each)] for each in candidates}
        return order


def _affinity(key: str, name: str, weight: int) -> float:
    """Rendezvous hashing: each upstream's claim to ``key``; when one goes, only its own keys move.

    The logarithm makes the shares proportional to the weights (Schindelhauer and Schomaker, 2005).
    """
    digest = blake2b(f"{key}\0{name}".encode(), digest_size=8).digest()
    share = (int.from_bytes(digest, "big") + 0.5) / 2**64
    return -weight / math.log(share)


class RetryBudget:
    """Bounds retries to a tenth of the visits: an outage is not made worse by our trying twice as hard.

    A few are always granted at first: a quiet portal may retry too.
    """

    __slots__ = ("_credit",)

    _EARNED: Final = 0.1
    _MOST: Final = 20.0

    def __init__(self) -> None:
        self._credit = self._MOST

    def earn(self) -> None:
        """Count a visit."""
        self._credit = min(self._credit + self._EARNED, self._MOST)

    def spend(self) -> bool:
        """Whether one more retry is granted."""
        if self._credit < 1:
            return False
        self._credit -= 1
        return True
