"""Deadlines: one timer for every connection of a worker.

A timer of its own for each request costs a heap operation to set and another to cancel, 1 µs each; here a
deadline is an attribute that is written, and one sweep looks at them, twice a second. The sweep's own time is
the clock that deadlines are reckoned from: half a second coarse, and free to read.

Ten thousand idle connections are far from theirs. All are looked at only every ``nearest`` seconds, the least
that anybody waits for anything; the sweeps between look at what may come due until then.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import structlog

_log = structlog.get_logger(__name__)

NEVER = float("inf")
NEAREST = 2.0
"""Seconds; no less is waited for anything but what settings make shorter."""


class Timed(Protocol):
    """Whatever has a deadline, in monotonic time."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed. May move it, or end the thing."""


class Deadlines:
    """Sweeps every ``period`` seconds; a deadline may be early or late by that much.

    One that is written less than ``nearest`` seconds ahead may be late by as much. ``now`` is the monotonic
    time of the last sweep.
    """

    def __init__(self, *, period: float = 0.5, nearest: float = NEAREST) -> None:
        self._timed: set[Timed] = set()
        self._near: set[Timed] = set()
        self._period = period
        self._nearest = nearest
        self._all_looked_at = -NEVER
        self.now = time.monotonic()

    def add(self, timed: Timed) -> None:
        """Watch from now on."""
        self._timed.add(timed)
        self._near.add(timed)

    def discard(self, timed: Timed) -> None:
        """Watch no longer."""
        self._timed.discard(timed)
        self._near.discard(timed)

    def sweep(self, now: float) -> None:
        """Expire what is due at ``now``, in monotonic time; but not what the end of another has put off."""
        self.now = now
        if now - self._all_looked_at >= self._nearest:
            self._look_at_all(now)
        for timed in [timed for timed in self._near if timed.deadline <= now]:
            if timed.deadline <= now and timed in self._near:
                self._expire(timed)

    def _look_at_all(self, now: float) -> None:
        """Tell near from far: what is far now cannot come due before all are looked at again."""
        self._all_looked_at = now
        horizon = now + self._nearest + self._period
        self._near = {timed for timed in self._timed if timed.deadline <= horizon}

    def _expire(self, timed: Timed) -> None:
        try:
            timed.expire()
        except Exception:  # noqa: BLE001 - it is reported below, whatever it was
            # One fault of ours must not cost every other connection its deadlines.
            self.discard(timed)
            _log.exception("a deadline could not be kept", of=repr(timed))

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            self.sweep(time.monotonic())
            await asyncio.sleep(self._period)
