"""Traffic: how many visits each tenant had, how they ended and how long they took, counted in this worker.

Counting costs under a microsecond; what was counted is taken away now and then and written down by
storage/traffic.py, so that nothing here grows.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

TOOK: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
"""Milliseconds: the bounds by which visits are counted by how long they took."""

_TUNNEL: Final = 101
_REFUSED: Final = 400
_FAILED: Final = 500


@dataclass(slots=True, eq=False)
class Tally:
    """What was counted of one tenant: ``refused`` were answered 4xx, ``failed`` 5xx.

    ``took`` has one number for each bound of ``TOOK``, and the last for what took longer than any.
    """

    requests: int = 0
    refused: int = 0
    failed: int = 0
    sign_ins: int = 0
    took: list[int] = field(default_factory=lambda: [0] * (len(TOOK) + 1))


class Traffic:
    """The counters of a worker, by tenant."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    def __repr__(self) -> str:
        return f"<Traffic of {len(self._tallies)} tenants, not written down yet>"

    def visited(self, tenant_id: str, status: int, elapsed: float) -> None:
        """Count a visit of ``elapsed`` seconds, answered with ``status``; 0: its client did not wait for it.

        How long a tunnel was open says nothing about how fast anything was.
        """
        tally = self._tallies.get(tenant_id)
        if tally is None:
            tally = self._tallies[tenant_id] = Tally()
        tally.requests += 1
        if status >= _FAILED:
            tally.failed += 1
        elif status >= _REFUSED:
            tally.refused += 1
        if status and status != _TUNNEL:
            tally.took[bisect_left(TOOK, elapsed * 1000)] += 1

    def signed_in(self, tenant_id: str) -> None:
        """Count a sign-in."""
        self._tallies.setdefault(tenant_id, Tally()).sign_ins += 1

    def take(self) -> dict[str, Tally]:
        """Take away what was counted since the last time."""
        taken, self._tallies = self._tallies, {}
        return taken

    def give_back(self, tallies: dict[str, Tally]) -> None:
        """Count again what could not be written down."""
        for tenant_id, tally in tallies.items():
            mine = self._tallies.setdefault(tenant_id, Tally())
            mine.requests += tally.requests
            mine.refused += tally.refused
            mine.failed += tally.failed
            mine.sign_ins += tally.sign_ins
            mine.took = [one + other for one, other in zip(mine.took, tally.took, strict=True)]
