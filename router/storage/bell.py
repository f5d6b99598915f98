"""The bell: wakes the change feed early. A lost ring costs the feed's period, and nothing else."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import structlog
from redis.exceptions import RedisError

from router.storage.cache import connect_redis
from router.storage.cancellation import heeding_cancellation
from router.storage.engines import driver_url

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

_log = structlog.get_logger(__name__)


class Bell(Protocol):
    """What every bell promises: after ``ring`` (or a write elsewhere), a ``wait`` ends early.

    Neither raises for a server that is away. A ring between two waits ends the next one at once; several may
    count as one. One task at a time waits.
    """

    async def ring(self) -> None:
        """Say that something was written; call it when the transaction is committed."""
        ...

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 - a bell is a timeout that may end early
        """Wait until the bell rings, at most ``timeout`` seconds."""
        ...

    async def close(self) -> None:
        """Let go of connections; call it when nobody waits any more."""
        ...


class PollBell:
    """The bell of a router on PostgreSQL without Redis: it reaches this process alone."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    async def ring(self) -> None:
        """Wake the feed of this process."""
        self._rung.set()

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 - see Bell
        """Wait for a ring in this process."""
        await _until(self._rung, timeout)

    async def close(self) -> None:
        """Nothing to let go of."""


class SqliteBell:
    """The bell of the embedded database: SQLite counts the writes of all processes, and this one looks.

    ``PRAGMA data_version`` reads a counter in shared memory and takes about 3 µs, so it is asked on the loop.
    """

    def __init__(self, database_url: str, *, period: float = 0.1) -> None:
        self._path = str(driver_url(database_url).database)
        self._period = period
        self._rung = asyncio.Event()
        self._connection: sqlite3.Connection | None = None
        self._seen = 0

    async def ring(self) -> None:
        """Wake the feed of this process; others see the write itself."""
        self._rung.set()

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 - see Bell
        """Wait for a ring in this process or a write by any process."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while (left := deadline - loop.time()) > 0:
            if self._written() or await _until(self._rung, min(left, self._period)):
                return

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _written(self) -> bool:
        try:
            if self._connection is None:
                # No waiting for locks here: who cannot look now looks again a period later.
                self._connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
            version = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            return False
        written, self._seen = version != self._seen, version
        return written


class RedisBell:
    """The bell of a fleet: Redis pub/sub.

    A new subscription counts as a ring, because rings may have been missed before it. While Redis is away,
    rings reach this process alone.
    """

    def __init__(self, url: str, *, channel: str = "tenant-router:changes") -> None:
        self._redis = connect_redis(url)
        self._channel = channel
        self._rung = asyncio.Event()
        self._subscription: PubSub | None = None

    async def ring(self) -> None:
        """Wake the feeds of all workers of all nodes."""
        self._rung.set()
        try:
            with heeding_cancellation():
                await self._redis.publish(self._channel, b"")
        except (RedisError, OSError) as fault:
            _log.debug("bell not heard elsewhere", cause=str(fault))

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 - see Bell
        """Wait for a ring from any worker."""
        with heeding_cancellation():
            await self._wait(timeout)
        self._rung.clear()

    async def _wait(self, timeout: float) -> None:  # noqa: ASYNC109 - see Bell
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while (left := deadline - loop.time()) > 0:
            if self._rung.is_set() or await self._heard(min(left, 0.1)):
                return

    async def close(self) -> None:
        """Unsubscribe and let go of every connection."""
        await self._hang_up()
        await self._redis.aclose()

    async def _heard(self, patience: float) -> bool:
        try:
            subscription = self._subscription
            if subscription is None:
                subscription = self._subscription = self._redis.pubsub()
                with heeding_cancellation():
                    await subscription.subscribe(self._channel)
            return await subscription.get_message(timeout=patience) is not None
        except (RedisError, OSError):
            await self._hang_up()
            return await _until(self._rung, patience)
        except asyncio.CancelledError:
            await self._hang_up()  # it may be half subscribed
            raise

    async def _hang_up(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with suppress(RedisError, OSError):
                await subscription.aclose()  # type: ignore[no-untyped-call]


async def _until(event: asyncio.Event, timeout: float) -> bool:  # noqa: ASYNC109 - see Bell
    try:
        async with asyncio.timeout(timeout):
            await event.wait()
    except TimeoutError:
        return False
    event.clear()
    return True
