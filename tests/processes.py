"""Processes that a test did not start itself: whether they still run."""

from __future__ import annotations

from pathlib import Path


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be reaped by its parent has (proc(5), stat)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"
