"""Deadlines: one timer for every connection of a worker.

A timer of its own for each request costs a heap operation to set and another to cancel, 1 µs each; here a
deadline is an attribute that is written, and one sweep a second looks at all of them.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

NEVER = float("inf")


class Timed(Protocol):
    """Whatever has a deadline, in the loop's time."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed. May move it, or end the thing."""


class Deadlines:
    """Sweeps once every ``period`` seconds, so that a deadline is late by that much at most."""

    def __init__(self, *, period: float = 1.0) -> None:
        self._timed: set[Timed] = set()
        self._period = period

    def add(self, timed: Timed) -> None:
        """Watch from now on."""
        self._timed.add(timed)

    def discard(self, timed: Timed) -> None:
        """Watch no longer."""
        self._timed.discard(timed)

    def sweep(self, now: float) -> None:
        """Expire what is due at ``now``, in the loop's time."""
        for timed in [timed for timed in self._timed if timed.deadline <= now]:
            timed.expire()

    async def run(self) -> None:
        """Sweep for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._period)
            self.sweep(loop.time())
