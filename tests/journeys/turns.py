"""How long a worker's loop was kept from everybody else, in CPU time: what else runs here does not count."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.node import Node


class Turns:
    """Goes round with the loop, and keeps the longest time in seconds between two of its turns."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.over = False

    async def run(self) -> None:
        """Go round until it is ``over``."""
        before = time.thread_time()
        while not self.over:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest = max(self.longest, now - before)
            before = now


@contextmanager
def watched_turns(node: Node) -> Iterator[Turns]:
    """Watch the worker's loop while the block runs."""
    turns = Turns()
    running = asyncio.run_coroutine_threadsafe(turns.run(), node.loop)
    try:
        yield turns
    finally:
        turns.over = True
        running.result(10)
