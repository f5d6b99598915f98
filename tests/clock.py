"""Time as a test says it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class Clock:
    """A clock that stands still until it is moved; in seconds of whatever kind its reader counts."""

    now: float

    def __call__(self) -> float:
        """Tell the time."""
        return self.now
