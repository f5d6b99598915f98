"""Background tasks that somebody owns: named, watched, and ended with their owner."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self, TypeVar

import structlog

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType
    from typing import Any

_log = structlog.get_logger(__name__)

_R = TypeVar("_R")


class Tasks:
    """Owns tasks whose results nobody awaits.

    Use as an async context manager: leaving it cancels what still runs and waits for its end. A task that
    fails is logged with its name and takes nothing else down; who needs the whole to fall with a part uses
    ``asyncio.TaskGroup``. Whoever has not ended ``cancelled_again`` seconds after being cancelled is
    cancelled again.
    """

    def __init__(self, *, cancelled_again: float = 10.0) -> None:
        self._cancelled_again = cancelled_again
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._running)

    def __repr__(self) -> str:
        names = ", ".join(sorted(task.get_name() for task in self._running))
        return f"<Tasks {'closed' if self._closed else 'open'}: {names or 'none'}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def start(self, coro: Coroutine[Any, Any, _R], *, name: str) -> asyncio.Task[_R]:
        """Run ``coro`` in the background under ``name``.

        Raises ``RuntimeError`` once the owner is closed: whoever starts work then has outlived it.
        """
        if self._closed:
            coro.close()
            raise RuntimeError(f"the task {name!r} was started after its owner was closed")
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self) -> None:
        """Cancel what runs and wait until all of it has ended; again is harmless."""
        self._closed = True
        while running := [task for task in self._running if task is not asyncio.current_task()]:
            for task in running:
                task.cancel()
            # Again after a while: a cancellation that arrives at the wrong moment can be lost on its way
            # through a library (Python 3.11's wait_for does that), and the end would be waited for for ever.
            await asyncio.wait(running, timeout=self._cancelled_again)
            # The done callbacks that empty the set run one turn of the loop later.
            await asyncio.sleep(0)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        fault = task.exception()
        if fault is not None:
            _log.error("task failed", task=task.get_name(), exc_info=fault)
