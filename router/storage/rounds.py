"""Rounds: sending what waits, run by every worker, each piece of it done by one.

1. What is posted wakes all workers by the change feed; each also looks every few seconds, which is how what
   was put off comes to its turn.
2. A worker takes as many as it has hands free (leased_rows.py), sends them, and writes down what became of
   each, outages of the database included.
3. A worker that dies leaves what it had to the others when the lease has run out.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import structlog

from router.errors import Unavailable
from router.observe.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from router.storage.changes import ChangeFeed
    from router.storage.leased_rows import Leased

LOOKED_EVERY: Final = 10.0
"""Seconds after which a worker looks unasked."""

_GRACE: Final = 5.0
_PAUSE: Final = 0.5
_log = structlog.get_logger(__name__)
_Taken = TypeVar("_Taken", bound="Leased")


class Rounds(Generic[_Taken]):
    """Sends what waits, ``at_once`` at a time; ``take`` is told how many, and ``period`` is in seconds.

    Whatever goes wrong with one is for ``send`` to settle; what it raises is logged as a failed task.
    """

    def __init__(
        self,
        take: Callable[[int], Awaitable[Sequence[_Taken]]],
        send: Callable[[_Taken], Awaitable[None]],
        *,
        name: str,
        at_once: int,
        clock: Callable[[], float],
        period: float = LOOKED_EVERY,
    ) -> None:
        self._take = take
        self._send = send
        self._name = name
        self._at_once = at_once
        self._clock = clock
        self._period = period
        self._news = asyncio.Event()

    def listen(self, feed: ChangeFeed, *kinds: str) -> None:
        """Look whenever a change of one of these kinds is heard of."""
        for kind in kinds:
            feed.subscribe(kind, lambda _key, _sequence: self._news.set())
        feed.subscribe_reset(self._news.set)

    async def run(self) -> None:
        """Send for ever; what is being sent at the end gets a few seconds for it."""
        sending: set[asyncio.Task[None]] = set()
        async with Tasks() as own:
            try:
                while True:
                    self._news.clear()
                    if not await self._once(own, sending):
                        await self._wait()
            finally:
                if sending:  # so that nothing is sent twice
                    await asyncio.wait(sending, timeout=_GRACE)

    async def settled(self, taken: _Taken, write: Callable[[], Awaitable[bool]]) -> None:
        """Write down what became of something, outages of the database included, as long as it is ours."""
        while True:
            try:
                if not await write():
                    _log.warning(f"{self._name} was another worker's", id=taken.id)
            except Unavailable:
                if self._clock() >= taken.due_at:
                    return
                await asyncio.sleep(_PAUSE)
            else:
                return

    async def _once(self, own: Tasks, sending: set[asyncio.Task[None]]) -> bool:
        """Fill the free hands, and say whether to go on at once: there may be more."""
        free = self._at_once - len(sending)
        if not free:
            return False
        try:
            found = await self._take(free)
        except Unavailable:  # the database has logged it
            await asyncio.sleep(_PAUSE)
            return True
        for taken in found:
            task = own.start(self._sent(taken), name=f"{self._name} {taken.id}")
            sending.add(task)
            task.add_done_callback(sending.discard)
        return bool(found)

    async def _sent(self, taken: _Taken) -> None:
        try:
            await self._send(taken)
        finally:
            self._news.set()  # a hand is free, and more may wait

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._period):
                await self._news.wait()
