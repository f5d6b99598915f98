"""Deployment: how a worker takes in certificates that changed, and reports that it has.

A change makes the keyring forget (keyring.py); here the new certificate is opened and built at once, before a
visitor waits for it. What cannot be (a node without the encryption key that everybody else has) is told in
the worker's report, so that an upload is not said to be served where it is not.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog

from router.errors import RouterError, Unavailable
from router.storage.schema import new_id
from router.storage.workers import HEARTBEAT, Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from router.certificates.keyring import Keyring
    from router.storage.changes import ChangeFeed
    from router.storage.workers import Workers

_log = structlog.get_logger(__name__)
_DAMAGED: Final = "sealed_value_damaged"  # which waiting does not mend

MOST: Final = 200
"""Names prepared at one go; of thousands that change at once, most are built when they are asked for."""


class Deployment:
    """One worker's part in it. ``period`` is in seconds, ``clock`` tells unix seconds."""

    def __init__(
        self,
        workers: Workers,
        keyring: Keyring,
        feed: ChangeFeed,
        *,
        period: float = HEARTBEAT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._workers = workers
        self._keyring = keyring
        self._feed = feed
        self._period = period
        self._clock = clock
        self._started_at = int(clock())
        self._changed: dict[str, None] = {}
        self._news = asyncio.Event()
        self._faults: dict[str, str] = {}
        self.id: Final = new_id("wrk")
        for kind in ("certificate", "hostname"):
            feed.subscribe(kind, self._hear)

    def __repr__(self) -> str:
        return f"<Deployment {self.id}, {len(self._changed)} names to come, {len(self._faults)} faults>"

    async def run(self) -> None:
        """Take in and report for ever; what is under way when it ends is left to the visitors."""
        await self._feed.begun()
        self._changed.clear()  # what is replayed at the start was in nobody's memory
        try:
            while True:
                await self._once()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._period):
                        await self._news.wait()
        finally:
            with suppress(Unavailable):
                await self._workers.forget(self.id)

    async def _once(self) -> None:
        self._news.clear()
        # Whatever is named up to here has been forgotten by the keyring, and is prepared before it is told.
        position, names = self._feed.position, list(self._changed)
        try:
            await self._prepare(names[:MOST])
            await self._workers.report(self._report(position))
        except Unavailable:  # the database has logged it; the names wait
            return
        for name in names:
            self._changed.pop(name, None)

    async def _prepare(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                await self._keyring.prepare(name)
            except RouterError as fault:
                if isinstance(fault, Unavailable) and fault.code != _DAMAGED:
                    raise
                self._faults[name] = fault.sentence
                _log.error("certificate cannot be served", name=name, code=fault.code, reason=fault.sentence)
            else:
                self._faults.pop(name, None)

    def _report(self, position: int) -> Worker:
        fault = next((f"{name}: {sentence}" for name, sentence in self._faults.items()), None)
        node, now = socket.gethostname(), int(self._clock())
        has = self._keyring.key_ids
        return Worker(self.id, node, os.getpid(), self._started_at, now, position, fault, has)

    def _hear(self, name: str, _sequence: int) -> None:
        self._changed[name] = None
        self._news.set()
