"""Deadlines: one timer for every connection of a worker.

A timer of its own for each request costs a heap operation to set and another to cancel, 1 µs each; here a
deadline is an attribute that is written, and one sweep looks at all of them, twice a second. The sweep's own
time is the clock that deadlines are reckoned from: half a second coarse, and free to read.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import structlog

_log = structlog.get_logger(__name__)

NEVER = float("inf")


class Timed(Protocol):
    """Whatever has a deadline, in monotonic time."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed. May move it, or end the thing."""


class Deadlines:
    """Sweeps every ``period`` seconds; a deadline may be early or late by that much.

    ``now`` is the monotonic time of the last sweep.
    """

    def __init__(self, *, period: float = 0.5) -> None:
        self._timed: set[Timed] = set()
        self._period = period
        self.now = time.monotonic()

    def add(self, timed: Timed) -> None:
        """Watch from now on."""
        self._timed.add(timed)

    def discard(self, timed: Timed) -> None:
        """Watch no longer."""
        self._timed.discard(timed)

    def sweep(self, now: float) -> None:
        """Expire what is due at ``now``, in monotonic time; but not what the end of another has put off."""
        self.now = now
        for timed in [timed for timed in self._timed if timed.deadline <= now]:
            if timed.deadline <= now and timed in self._timed:
                self._expire(timed)

    def _expire(self, timed: Timed) -> None:
        try:
            timed.expire()
        except Exception:  # noqa: BLE001 - it is reported below, whatever it was
            # One fault of ours must not cost every other connection its deadlines.
            self._timed.discard(timed)
            _log.exception("a deadline could not be kept", of=repr(timed))

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            self.sweep(time.monotonic())
            await asyncio.sleep(self._period)
