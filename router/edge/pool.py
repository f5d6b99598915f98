"""Pools: the connections to each upstream, idle ones kept for the next visit, all of them bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from router.edge.balance import RetryBudget, Standing
from router.edge.deadlines import NEVER, Deadlines
from router.edge.dial import Forbidden, Target, dial
from router.edge.upstream import UpstreamConnection
from router.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.edge.limits import Limits
    from router.edge.resolver import Resolver

_LONG_AGO: Final = float("-inf")


class UpstreamPool:
    """The connections to one target: idle ones last in, first out; a bound on all; an orderly queue."""

    def __init__(
        self,
        target: Target,
        limits: Limits,
        deadlines: Deadlines,
        *,
        resolver: Resolver,
        cookie_domain: bytes | None,
        forbidden: Forbidden | None,
    ) -> None:
        self.target = target
        self.limits = limits
        self.cookie_domain = cookie_domain
        self.standing = Standing()
        self.budget = RetryBudget()
        self.surplus = 0
        self.dropped_cookies = 0
        self._deadlines = deadlines
        self._resolver = resolver
        self._forbidden = forbidden
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._tunnels: set[UpstreamConnection] = set()
        self._dialling = 0
        self._waiting: deque[asyncio.Future[UpstreamConnection | None]] = deque()

    def __repr__(self) -> str:
        counts = f"idle={len(self._idle)} all={len(self._all)} waiting={len(self._waiting)}"
        counts += f" tunnels={len(self._tunnels)}"
        return f"<UpstreamPool {self.target} {counts}>"

    @property
    def unused(self) -> bool:
        """Whether nobody would miss this pool."""
        return not self.busy and not self._idle and not self.standing.troubled

    @property
    def busy(self) -> int:
        """Visits under way, or waiting; event streams and WebSockets are visits too."""
        visits = len(self._all) - len(self._idle) + len(self._tunnels)
        return visits + self._dialling + len(self._waiting)

    def take(self) -> UpstreamConnection | None:
        """An idle connection, the most recently used one, or none."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    async def connect(self) -> UpstreamConnection:
        """Dial, or wait for a connection when there are as many as there may be.

        Raises ``Unavailable``: ``upstream_busy``, ``upstream_unreachable``, ``upstream_forbidden``.
        """
        try:
            async with asyncio.timeout(self.limits.connect_timeout):
                while len(self._all) + self._dialling >= self.limits.max_upstream_connections:
                    connection = await self._wait()
                    if connection is not None:
                        return connection
                return await self._dial()
        except TimeoutError as fault:
            full = len(self._all) >= self.limits.max_upstream_connections
            code = "upstream_busy" if full else "upstream_unreachable"
            raise Unavailable(code, f"{self.target} did not take a connection in time.") from fault
        except OSError as fault:  # ssl.SSLError is one too
            raise Unavailable("upstream_unreachable", f"{self.target} cannot be reached: {fault}") from fault

    def give_back(self, connection: UpstreamConnection) -> None:
        """Take a clean connection back: for whoever waits, else for later, unless it is too old."""
        if self._deadlines.now >= connection.made_at + self.limits.upstream_life:
            connection.transport.close()
            return
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(connection)
            return
        connection.idle_since = self._deadlines.now
        self._idle.append(connection)

    def begin_tunnel(self, connection: UpstreamConnection) -> None:
        """Count a connection as a tunnel from now on: they last, and must not use up what visits need."""
        self.forget(connection)
        self._tunnels.add(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """Count a connection that is gone no longer, and let the next in the queue dial."""
        self._tunnels.discard(connection)
        if connection not in self._all:
            return
        self._all.remove(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._wake_next()

    def close_idle(self, before: float) -> None:
        """Close the connections that have been idle since before ``before``, in monotonic time."""
        for connection in [each for each in self._idle if each.idle_since < before]:
            self._idle.remove(connection)
            connection.transport.close()

    def follow(self) -> bool:
        """Use no connection for another visit whose address the upstream's name does not lead to any more.

        Answers whether the name is being looked up at the moment, so that more may be known soon.
        """
        if not self._all or self.target.path:
            return False
        self._let_go(self._resolver.peek(self.target.host))
        return self._resolver.is_looking_up(self.target.host)

    def abort_all(self) -> None:
        """Cut every connection."""
        for connection in list(self._all):
            connection.transport.abort()

    def count_surplus(self) -> None:
        """Count octets that nobody asked for."""
        self.surplus += 1

    def count_cookies(self, dropped: int) -> None:
        """Count cookies that an upstream may not set."""
        self.dropped_cookies += dropped

    def _let_go(self, addresses: tuple[str, ...] | None) -> None:
        if addresses is None:
            return
        for connection in self._all:
            if connection.address not in addresses:
                connection.made_at = _LONG_AGO  # too old to be given back
        for connection in [each for each in self._idle if each.made_at == _LONG_AGO]:
            self._idle.remove(connection)
            connection.transport.close()

    def _wake_next(self) -> None:
        """Let the next in the queue dial: there is room."""
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(None)

    def _next_waiter(self) -> asyncio.Future[UpstreamConnection | None] | None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                return waiter
        return None

    async def _wait(self) -> UpstreamConnection | None:
        if len(self._waiting) >= self.limits.upstream_queue:
            raise Unavailable("upstream_busy", f"{self.target} has a full queue.")
        waiter: asyncio.Future[UpstreamConnection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # handed over in the very moment of the time-out
                connection = waiter.result()
                if connection is not None:
                    self.give_back(connection)
                else:
                    self._wake_next()
            raise

    @contextmanager
    def _dialling_one(self) -> Iterator[None]:
        self._dialling += 1
        try:
            yield
        finally:
            self._dialling -= 1

    async def _dial(self) -> UpstreamConnection:
        connection = UpstreamConnection(self)
        try:
            with self._dialling_one():
                connection.address = await dial(
                    self.target,
                    connection,
                    self._resolver,
                    self._forbidden,
                    within=self.limits.connect_timeout,
                )
                connection.made_at = self._deadlines.now
                self._all.add(connection)
        except BaseException:
            self._wake_next()
            raise
        return connection


class UpstreamPools:
    """The pools of a worker, by URL and trust; a pool that has gone quiet is forgotten."""

    deadline: float

    def __init__(
        self,
        limits: Limits,
        deadlines: Deadlines,
        *,
        resolver: Resolver,
        platform_domain: str,
        forbidden: Forbidden | None,
    ) -> None:
        self._limits = limits
        self._resolver = resolver
        self._deadlines = deadlines
        self._cookie_domain = platform_domain.encode()
        self._forbidden = forbidden
        self._pools: dict[tuple[str, str], UpstreamPool] = {}
        self.deadline = 0.0
        deadlines.add(self)

    def find(self, url: str, ca: str = "") -> UpstreamPool:
        """The pool of a tenant's upstream; ``ca`` is the bundle to verify it by, if not the system's."""
        pool = self._pools.get((url, ca))
        if pool is None:
            pool = self._pools[url, ca] = UpstreamPool(
                Target.parse(url, ca),
                self._limits,
                self._deadlines,
                resolver=self._resolver,
                cookie_domain=self._cookie_domain,
                forbidden=self._forbidden,
            )
        return pool

    def own(self, socket_path: str) -> UpstreamPool:
        """The pool of one of our own planes, which may set our cookies."""
        url = f"unix:{socket_path}"
        target = Target(url, path=socket_path)
        pool = UpstreamPool(
            target,
            self._limits,
            self._deadlines,
            resolver=self._resolver,
            cookie_domain=None,
            forbidden=None,
        )
        return self._pools.setdefault((url, ""), pool)

    def expire(self) -> None:
        """Called by Deadlines: close what has been idle for too long, or leads where its name does not."""
        now, soon = self._deadlines.now, False
        for key, pool in list(self._pools.items()):
            pool.close_idle(now - self._limits.upstream_idle)
            soon = pool.follow() or soon
            if pool.unused and pool.cookie_domain is not None:
                del self._pools[key]
        self.deadline = now + (1 if soon else 5)

    def abort_all(self) -> None:
        """Cut every connection of every pool."""
        self.deadline = NEVER
        for pool in self._pools.values():
            pool.abort_all()
