"""Errands: what is done after its page has been answered, so that the answer's time tells nothing.

Whether an address is known shows in how long a mail takes to be queued. So the page is answered first, alike
for everybody, and the rest is done here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final, Self

import structlog

from router.errors import RouterError, Unavailable
from router.observe.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType

_log = structlog.get_logger(__name__)

_LONGEST: Final = 30.0
_DRAINED_IN: Final = 5.0


class Errands:
    """Runs errands in the background: at most ``limit`` at once, and ``share`` of them for one tenant.

    Leaving it as an async context manager gives those under way five seconds to end.
    """

    def __init__(self, *, limit: int = 64, share: int = 16) -> None:
        self._limit = limit
        self._share = share
        self._tasks = Tasks()
        self._running: Counter[str] = Counter()
        self._idle = asyncio.Event()
        self._idle.set()

    def __repr__(self) -> str:
        return f"<Errands: {self._running.total()} running>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            async with asyncio.timeout(_DRAINED_IN):
                await self.settled()
        except TimeoutError:
            _log.warning("errands were cut off", running=self._running.total())
        await self._tasks.close()

    def start(self, name: str, tenant_id: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Begin an errand for a tenant; its failure is logged. Raises ``Unavailable("busy")``."""
        if self._running.total() >= self._limit or self._running[tenant_id] >= self._share:
            raise Unavailable("busy", "Too many people ask for this at the moment. Please try again shortly.")
        self._running[tenant_id] += 1
        self._idle.clear()
        task = self._tasks.start(_run(name, tenant_id, work), name=name)
        task.add_done_callback(lambda _: self._one_less(tenant_id))

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        await self._idle.wait()

    def _one_less(self, tenant_id: str) -> None:
        self._running[tenant_id] -= 1
        self._running += Counter()  # what has none is forgotten
        if not self._running:
            self._idle.set()


async def _run(name: str, tenant_id: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
    try:
        async with asyncio.timeout(_LONGEST):
            await work()
    except RouterError as fault:
        _log.warning("errand failed", errand=name, tenant=tenant_id, code=fault.code)
    except TimeoutError:
        _log.warning("errand took too long", errand=name, tenant=tenant_id)
