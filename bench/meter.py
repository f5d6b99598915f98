"""What a stretch of work cost the proxy: read before, read after."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from processes import core_seconds

if TYPE_CHECKING:
    from processes import Process
    from stage import Stage


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds of the proxy, seconds that its core was not idle, and seconds that passed."""

    cpu: float
    core: float
    seconds: float

    @property
    def busy(self) -> float:
        """The share of its core that the proxy used."""
        return self.cpu / self.seconds

    @property
    def others(self) -> float:
        """The share of the proxy's core that somebody else took."""
        return max(0.0, self.core - self.cpu) / self.seconds


class Meter:
    """Counts from the moment it is made."""

    def __init__(self, process: Process, stage: Stage) -> None:
        self._process = process
        self._core = stage.cores.proxy
        self._before = self._read()

    def usage(self) -> Usage:
        """Return what was used since."""
        now = self._read()
        cpu, core, seconds = (after - before for after, before in zip(now, self._before, strict=True))
        return Usage(cpu, core, seconds)

    def _read(self) -> tuple[float, float, float]:
        return self._process.cpu_seconds(), core_seconds(self._core), time.monotonic()
