"""The checker: looks for the proof of every claim whose time has come. Run by each worker, done by one.

1. Whether anything is due is read every few seconds, and at once when a tenant changed.
2. If so, the worker takes the lease of the whole fleet; who does not get it leaves the work to who has it.
3. What is due is checked, a few at a time and the longest due first; each check writes when the next one is.
4. The lease is given back. A worker that dies leaves it to the others after a minute.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import select

from router.errors import Unavailable
from router.storage.schema import claims

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from router.storage.changes import ChangeFeed
    from router.storage.database import Database
    from router.storage.leases import Lease
    from router.tenants.checks import Checks

LEASE: Final = "domain checks"
LEASE_LIFE: Final = 60
"""Seconds: more than a batch of checks takes at worst."""

_BATCH: Final = 16
_AT_ONCE: Final = 8
_LOOKED_EVERY: Final = 10.0
_PAUSE: Final = 1.0
_PUT_OFF: Final = 900
_log = structlog.get_logger(__name__)


class Checker:
    """Has what is due checked; ``period`` is in seconds."""

    def __init__(
        self,
        database: Database,
        feed: ChangeFeed,
        checks: Checks,
        lease: Lease,
        *,
        period: float = _LOOKED_EVERY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._checks = checks
        self._lease = lease
        self._period = period
        self._clock = clock
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._changed = asyncio.Event()
        feed.subscribe("tenant", lambda _key, _sequence: self._changed.set())
        feed.subscribe_reset(self._changed.set)

    def __repr__(self) -> str:
        return f"<Checker by {self._lease!r}>"

    async def run(self) -> None:
        """Check for ever, outages of the database included."""
        while True:
            self._changed.clear()
            try:
                await self.work()
            except Unavailable:  # the database has logged it
                await asyncio.sleep(_PAUSE)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._period):
                    await self._changed.wait()

    async def work(self) -> int:
        """Check all that is due, if nobody else does; answer how many claims that were.

        Raises ``Unavailable``.
        """
        done = 0
        if not await self._due():
            return done
        try:
            # Read anew with the lease in hand: another may just have done it and given the lease back.
            while await self._lease.take(self._clock()) and (due := await self._due()):
                async with asyncio.TaskGroup() as group:
                    checks = [group.create_task(self._check(claim_id)) for claim_id in due]
                done += sum(each.result() for each in checks)
                if not all(each.result() for each in checks):
                    break  # the database is away: what is due stays so
        finally:
            with suppress(Unavailable):
                await self._lease.give_back()
        return done

    async def _due(self) -> Sequence[str]:
        columns = select(claims.c.id).where(claims.c.next_check_at <= int(self._clock()))
        statement = columns.order_by(claims.c.next_check_at, claims.c.id).limit(_BATCH)
        async with self._database.read() as connection:
            return [str(claim_id) for claim_id in await connection.scalars(statement)]

    async def _check(self, claim_id: str) -> bool:
        """Check one, and say whether its next check is written down.

        Whatever is wrong with it keeps nobody else from being checked.
        """
        async with self._room:
            try:
                await self._checked(claim_id)
            except Unavailable:
                return False
        return True

    async def _checked(self, claim_id: str) -> None:
        try:
            await self._checks.check(claim_id)
        except Unavailable:
            raise
        except Exception as fault:  # noqa: BLE001 - one claim's fault is not to stop all others
            _log.exception("domain not checked", claim=claim_id, code=getattr(fault, "code", None))
            await self._checks.put_off(claim_id, _PUT_OFF)
