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

    Of either at most half are errands that wait for somebody else's machine: where that is slow or silent,
    there is room for those that only write down a mail.

    Leaving it as an async context manager gives those under way five seconds to end.
    """

    def __init__(self, *, limit: int = 64, share: int = 16) -> None:
        self._limit = limit
        self._share = share
        self._tasks = Tasks()
        self._running: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
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

    def start(
        self,
        name: str,
        tenant_id: str,
        work: Callable[[], Coroutine[None, None, None]],
        *,
        waits: bool = False,
    ) -> None:
        """Begin an errand for a tenant; its failure is logged. Raises ``Unavailable("busy")``.

        ``waits`` is whether it asks somebody else's machine, such as the tenant's backend.
        """
        kinds = (self._running, self._waiting) if waits else (self._running,)
        for count, part in zip(kinds, (1, 2), strict=False):
            if count.total() >= self._limit // part or count[tenant_id] >= self._share // part:
                raise Unavailable(
                    "busy", "Too many people ask for this at the moment. Please try again shortly."
                )
        for count in kinds:
            count[tenant_id] += 1
        self._idle.clear()
        task = self._tasks.start(_run(name, tenant_id, work), name=name)
        task.add_done_callback(lambda _: self._one_less(tenant_id, kinds))

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        await self._idle.wait()

    def _one_less(self, tenant_id: str, kinds: tuple[Counter[str], ...]) -> None:
        for count in kinds:
            count[tenant_id] -= 1
            if not count[tenant_id]:
                del count[tenant_id]
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
