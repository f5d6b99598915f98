"""Waiting for what others do in their own time: for a condition, never for a while."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool | Awaitable[bool]], *, within: float = 30.0) -> None:
    """Return as soon as ``condition()`` is true; ``TimeoutError`` when it is not ``within`` seconds."""
    async with asyncio.timeout(within):
        while not await _holds(condition):  # noqa: ASYNC110 - the condition is another process's or room's
            await asyncio.sleep(0.01)


async def _holds(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    answer = condition()
    return await answer if inspect.isawaitable(answer) else bool(answer)
