"""The cache: values that may vanish at any moment, and counters; in this process or in Redis.

Nothing is kept here that the database does not have, so a failing cache is a miss and never an error.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from router.storage.cancellation import heeding_cancellation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")

CACHE_TTL: Final = 300
"""Seconds that a copy of a database row stays in a cache at most; the change feed replays more than that."""

MAX_VALUE: Final = 256 * 1024
"""Octets: nothing larger is stored, and what somebody else stored larger is not read."""


class Cache(Protocol):
    """What both caches promise. Keys are texts; values are 1 to ``MAX_VALUE`` octets.

    No call raises for a server that fails, and none takes longer than half a second. A failing server is left
    alone for a second; meanwhile ``get`` misses, ``set`` and ``delete`` do nothing, and ``count`` counts in
    this process alone (it fails towards counting too few, never towards refusing everybody).
    """

    @property
    def healthy(self) -> bool:
        """Whether the last call was served."""
        ...

    async def get(self, key: str) -> bytes | None:
        """Read a value; None if there is none, or none can be had."""
        ...

    async def set(self, key: str, value: bytes, ttl: int) -> None:
        """Store a value for ``ttl`` seconds."""
        ...

    async def delete(self, *keys: str) -> None:
        """Remove values and counters."""
        ...

    async def count(self, key: str, ttl: int, amount: int = 1) -> int:
        """Add to a counter and say what it is now; it ends ``ttl`` seconds after its first count.

        An ``amount`` of 0 only asks.

        Atomic: of many callers at once, no two are told the same number.
        """
        ...

    async def count_many(self, amounts: Mapping[str, int], ttl: int) -> list[int]:
        """Add to each of several counters as ``count`` does, for little more than the time of one."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


class MemoryCache:
    """The cache of a router without Redis; also what ``RedisCache`` counts with while Redis is away."""

    def __init__(self, capacity: int = 10_000, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._values: _Expiring[bytes] = _Expiring(capacity)
        # Apart from the values, so that nobody pushes the counters of a throttle out by filling the cache.
        self._counts: _Expiring[int] = _Expiring(capacity)
        self._clock = clock

    def __repr__(self) -> str:
        return f"<MemoryCache {len(self._values)} values, {len(self._counts)} counters>"

    @property
    def healthy(self) -> bool:
        """Always: it is part of this process."""
        return True

    async def get(self, key: str) -> bytes | None:
        """Read a value."""
        found = self._values.find(key, self._clock())
        return found[0] if found else None

    async def set(self, key: str, value: bytes, ttl: int) -> None:
        """Store a value, at the cost of the one used longest ago when full."""
        if 0 < len(value) <= MAX_VALUE:
            self._values.put(key, value, self._clock() + ttl)

    async def delete(self, *keys: str) -> None:
        """Remove values and counters."""
        for key in keys:
            self._values.pop(key, None)
            self._counts.pop(key, None)

    async def count(self, key: str, ttl: int, amount: int = 1) -> int:
        """Add to a counter."""
        now = self._clock()
        number, until = self._counts.find(key, now) or (0, now + ttl)
        self._counts.put(key, number + amount, until)
        return number + amount

    async def count_many(self, amounts: Mapping[str, int], ttl: int) -> list[int]:
        """Add to several counters."""
        return [await self.count(key, ttl, amount) for key, amount in amounts.items()]

    async def close(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._counts.clear()


class _Expiring(OrderedDict[str, tuple[_T, float]]):
    """Values with the time they end, the one used longest ago first."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self._capacity = capacity

    def find(self, key: str, now: float) -> tuple[_T, float] | None:
        found = self.get(key)
        if found is None:
            return None
        if now >= found[1]:
            del self[key]
            return None
        self.move_to_end(key)
        return found

    def put(self, key: str, value: _T, until: float) -> None:
        self[key] = (value, until)
        self.move_to_end(key)
        if len(self) > self._capacity:
            self.popitem(last=False)


_SOCKET_TIMEOUT = 0.25
_CALL_TIMEOUT = 0.5
_PAUSE = 1.0
_CONNECTIONS = 16
_HEALTH_CHECK = 30
_BATCH = 500


class RedisCache:
    """The cache of a fleet: Redis or Valkey at ``redis://``, ``rediss://`` or ``unix://``.

    A connection on which a call was cancelled or cut is closed and never used again, so no call can read the
    answer to another one (CVE-2023-28858).
    """

    def __init__(
        self, url: str, *, prefix: str = "tenant-router:", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = connect_redis(url)
        self._prefix = prefix
        self._clock = clock
        self._retry_at = 0.0
        self._alone = MemoryCache(clock=clock)
        self._healthy = True

    def __repr__(self) -> str:
        return f"<RedisCache {'up' if self._healthy else 'down'}>"

    @property
    def healthy(self) -> bool:
        """Whether the last call was served."""
        return self._healthy

    async def get(self, key: str) -> bytes | None:
        """Read a value."""
        # GETRANGE bounds what a poisoned value can cost, where GET would read all of it.
        value: bytes | None = await self._ask(
            lambda: self._redis.getrange(self._prefix + key, 0, MAX_VALUE)  # type: ignore[arg-type, return-value]
        )
        return value if value and len(value) <= MAX_VALUE else None

    async def set(self, key: str, value: bytes, ttl: int) -> None:
        """Store a value."""
        if 0 < len(value) <= MAX_VALUE:
            await self._ask(lambda: self._redis.set(self._prefix + key, value, ex=ttl))

    async def delete(self, *keys: str) -> None:
        """Remove values and counters."""
        await self._alone.delete(*keys)
        if keys:
            await self._ask(lambda: self._redis.delete(*[self._prefix + key for key in keys]))

    async def count(self, key: str, ttl: int, amount: int = 1) -> int:
        """Add to a counter."""
        return (await self.count_many({key: amount}, ttl))[0]

    async def count_many(self, amounts: Mapping[str, int], ttl: int) -> list[int]:
        """Add to several counters, some hundreds with each question, so that none takes too long."""
        pairs, numbers = list(amounts.items()), list[int]()
        for start in range(0, len(pairs), _BATCH):
            batch = dict(pairs[start : start + _BATCH])
            counted = await self._ask(partial(self._count, batch, ttl))
            numbers += counted if counted is not None else await self._alone.count_many(batch, ttl)
        return numbers

    async def close(self) -> None:
        """Let go of every connection."""
        await self._redis.aclose()

    async def _count(self, amounts: Mapping[str, int], ttl: int) -> list[int]:
        async with self._redis.pipeline(transaction=True) as pipeline:
            for key, amount in amounts.items():
                pipeline.set(self._prefix + key, 0, ex=ttl, nx=True)
                pipeline.incrby(self._prefix + key, amount)
            return [int(number) for number in (await pipeline.execute())[1::2]]

    async def _ask(self, call: Callable[[], Awaitable[_T]]) -> _T | None:
        if not self._healthy:
            if self._clock() < self._retry_at:
                return None
            self._retry_at = self._clock() + _PAUSE  # one caller tries; the others go on without
        try:
            with heeding_cancellation():
                async with asyncio.timeout(_CALL_TIMEOUT):
                    answer = await call()
        except ResponseError as fault:
            if not str(fault).startswith("WRONGTYPE"):  # that is one poisoned key, not the server's state
                self._fail(fault)
            return None
        except (RedisError, OSError) as fault:
            self._fail(fault)
            return None
        if not self._healthy:
            self._healthy = True
            _log.info("cache back")
        return answer

    def _fail(self, fault: Exception) -> None:
        self._retry_at = self._clock() + _PAUSE
        if self._healthy:
            self._healthy = False
            _log.warning("cache away", cause=f"{type(fault).__name__}: {fault}")


def connect_redis(url: str) -> Redis:
    """Make a client whose every step is bounded: connections, waiting for one, and waiting for an answer."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=_SOCKET_TIMEOUT,
        socket_timeout=_SOCKET_TIMEOUT,
        socket_connect_timeout=_SOCKET_TIMEOUT,
        health_check_interval=_HEALTH_CHECK,
        # With RESP 3, redis-py 8 takes maintenance notices, and therefore lets data that is pending on an
        # idle connection pass: a surplus answer would be read as the answer to the next question.
        protocol=2,
        # redis-py's own retries make a hung server cost 15 s; one is for a connection that died while idle.
        retry=Retry(NoBackoff(), 1),
    )
    return Redis.from_pool(pool)
