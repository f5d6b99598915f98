"""Where the router's time goes, by function: for `--profile`, whose figures are of no other use."""

from __future__ import annotations

import contextlib
import os
import pstats
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROFILER = Path(__file__).parent / "profiler"
_LINES = 45


@contextlib.contextmanager
def profiled() -> Iterator[None]:
    """Profile every Python process that is started inside; afterwards print the busiest one's functions.

    The cost of profiling a call makes small functions look dearer, beside C code above all, than they are.
    """
    with tempfile.TemporaryDirectory(prefix="tenant-router-bench-profile-") as folder:
        os.environ.update(PYTHONPATH=str(_PROFILER), BENCH_PROFILES=folder)
        yield
        found = [pstats.Stats(str(path)) for path in Path(folder).glob("*.pstats")]
        if found:
            busiest = max(found, key=_calls)
            busiest.sort_stats("tottime").print_stats(_LINES)


def _calls(stats: pstats.Stats) -> int:
    return int(vars(stats)["total_calls"])  # there, though typeshed does not name it
