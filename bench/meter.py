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
    """Seconds: the CPU time of the proxy, the kernel's part of it, its core not idle, and what passed."""

    cpu: float
    kernel: float
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
        return Usage(*(after - before for after, before in zip(now, self._before, strict=True)))

    def _read(self) -> tuple[float, float, float, float]:
        process = self._process
        return process.cpu_seconds(), process.kernel_seconds(), core_seconds(self._core), time.monotonic()
