"""The upstream's side: one connection, its pool, and the pools of a worker.

A connection carries one visit at a time. Whatever makes it doubtful (octets nobody asked for, an answer with
two readings, an answer cut short) costs the upstream that connection, and never reaches another visit.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

from router.edge.answer_head import AnswerHead, BadAnswer, read_answer
from router.edge.chunked import BadChunk, ChunkedDecoder
from router.edge.deadlines import NEVER, Deadlines
from router.edge.framing import CHUNKED, UNTIL_CLOSE
from router.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from router.edge.headers import Header
    from router.edge.limits import Limits

_MAX_INTERIM = 16
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Visitor(Protocol):
    """Who uses a connection: the exchange of one visit."""

    def answer(self, head: AnswerHead) -> None:
        """A head came, interim ones included."""

    def answer_data(self, data: bytes) -> None:
        """A piece of the answer's body came."""

    def answer_end(self, trailers: list[Header]) -> None:
        """The answer is whole; the connection has been let go of."""

    def answer_pause(self) -> None:
        """All that came has been passed on."""

    def upstream_lost(self, reason: str) -> None:
        """The connection is gone before the answer was whole."""

    def upstream_full(self, *, full: bool) -> None:
        """The way to the upstream is clogged, or free again."""


class _State(Enum):
    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    TUNNEL = auto()


class UpstreamConnection(asyncio.Protocol):
    """One connection to an upstream: writes requests, reads answers.

    ``used`` counts the visits it has carried: one that has carried some may turn out to be dead.
    """

    def __init__(self, pool: UpstreamPool) -> None:
        self._pool = pool
        self._state = _State.IDLE
        self._visitor: Visitor | None = None
        self._held = b""
        self._left = 0  # octets of the body still to come, or CHUNKED, or UNTIL_CLOSE
        self._decoder: ChunkedDecoder | None = None
        self._to_head = False
        self._keep_alive = True
        self._interim = 0
        self.transport: asyncio.Transport
        self.used = 0
        self.idle_since = 0.0

    def __repr__(self) -> str:
        return f"<UpstreamConnection {self._pool.target} {self._state.name} used={self.used}>"

    # -- what the exchange does -------------------------------------------------------------------------

    def send(self, visitor: Visitor, head: bytes, *, to_head: bool) -> None:
        """Begin a visit: ``head`` is the whole request head."""
        self._visitor = visitor
        self._state = _State.HEAD
        self._to_head = to_head
        self._interim = 0
        self.used += 1
        self.transport.write(head)

    def become_tunnel(self) -> bytes:
        """Read no more answers; return what followed the 101 already."""
        self._state = _State.TUNNEL
        held, self._held = self._held, b""
        return held

    def abort(self) -> None:
        """Cut the connection; its visitor hears nothing more."""
        self._visitor = None
        self.transport.abort()

    # -- what the loop calls ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way out."""
        # Not checked at run time: uvloop's transports behave as asyncio's, but are not registered as such.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read the answer."""
        visitor = self._visitor
        if visitor is None:
            self._pool.count_surplus()
            self.transport.abort()
            return
        try:
            if self._state is _State.HEAD:
                self._take_head(visitor, data)
            elif self._state is _State.BODY:
                self._take_body(visitor, data)
            else:
                visitor.answer_data(data)
        except (BadAnswer, BadChunk) as fault:
            self._lose(str(fault))
        else:
            visitor.answer_pause()

    def eof_received(self) -> None:
        """Treat a half-close as the end: an upstream that will not read is of no use."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End an answer that lasts until the close; lose any other."""
        self._pool.forget(self)
        visitor, self._visitor = self._visitor, None
        if visitor is None:
            return
        if self._state is _State.BODY and self._left == UNTIL_CLOSE and exc is None:
            visitor.answer_end([])
        else:
            visitor.upstream_lost(f"connection lost: {exc}" if exc else "connection closed")

    def pause_writing(self) -> None:
        """Hold the client's body back."""
        if self._visitor is not None:
            self._visitor.upstream_full(full=True)

    def resume_writing(self) -> None:
        """Let the client's body come again."""
        if self._visitor is not None:
            self._visitor.upstream_full(full=False)

    # -- reading ----------------------------------------------------------------------------------------

    def _take_head(self, visitor: Visitor, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0 or end > self._pool.limits.max_head:
                if len(data) > self._pool.limits.max_head:
                    raise BadAnswer("an endless head")
                self._held = data
                return
            head = read_answer(data[: end + 4], to_head=self._to_head, cookie_domain=self._pool.cookie_domain)
            data = data[end + 4 :]
            if not head.interim:
                break
            self._interim += 1
            if self._interim > _MAX_INTERIM:
                raise BadAnswer("a flood of interim answers")
            visitor.answer(head)
        self._pool.count_cookies(head.dropped_cookies)
        self._begin_body(visitor, head, data)

    def _begin_body(self, visitor: Visitor, head: AnswerHead, data: bytes) -> None:
        self._keep_alive = head.keep_alive
        self._left = head.body
        self._decoder = ChunkedDecoder() if head.body == CHUNKED else None
        self._state = _State.BODY
        self._held = data if head.websocket else b""
        visitor.answer(head)
        if self._state is _State.TUNNEL or self._visitor is None:
            return
        if head.body == 0:
            self._end(visitor, [], data)
        elif data:
            self._take_body(visitor, data)

    def _take_body(self, visitor: Visitor, data: bytes) -> None:
        decoder, left = self._decoder, self._left
        if decoder is not None:
            piece = decoder.feed(data)
            if piece:
                visitor.answer_data(piece)
            if decoder.done:
                self._end(visitor, decoder.trailers, decoder.rest)
        elif left == UNTIL_CLOSE:
            visitor.answer_data(data)
        elif len(data) < left:
            self._left = left - len(data)
            visitor.answer_data(data)
        else:
            visitor.answer_data(data[:left] if len(data) > left else data)
            self._end(visitor, [], data[left:])

    def _end(self, visitor: Visitor, trailers: list[Header], surplus: bytes) -> None:
        """The answer is whole: let go of the visitor, then tell it."""
        self._visitor = None
        self._state = _State.IDLE
        self._decoder = None
        if surplus:
            self._pool.count_surplus()
            self._keep_alive = False
        visitor.answer_end(trailers)

    def release(self, *, clean: bool) -> None:
        """Go back to the pool, if the visit left the connection ``clean`` and the upstream keeps it open."""
        if clean and self._keep_alive and not self.transport.is_closing():
            self._pool.give_back(self)
        else:
            self.transport.close()

    def _lose(self, reason: str) -> None:
        visitor, self._visitor = self._visitor, None
        self.transport.abort()
        if visitor is not None:
            visitor.upstream_lost(reason)


@dataclass(frozen=True, slots=True)
class Target:
    """Where a pool's connections go: a Unix socket's path, or a host and a port."""

    url: str
    path: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False

    @classmethod
    def parse(cls, url: str) -> Target:
        """Read an upstream's URL, which tenants/upstream_address.py has judged when it was saved."""
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return cls(url, path=parts.path)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        return cls(url, host=parts.hostname or "", port=port, tls=parts.scheme == "https")

    def __str__(self) -> str:
        return self.url


class UpstreamPool:
    """The connections to one target: idle ones last in, first out; a bound on all; an orderly queue."""

    def __init__(
        self,
        target: Target,
        limits: Limits,
        deadlines: Deadlines,
        *,
        cookie_domain: bytes | None,
        forbidden: Callable[[str], bool] | None,
    ) -> None:
        self.target = target
        self.limits = limits
        self.cookie_domain = cookie_domain
        self.surplus = 0
        self.dropped_cookies = 0
        self._deadlines = deadlines
        self._forbidden = forbidden
        self._idle: list[UpstreamConnection] = []
        self._all: set[UpstreamConnection] = set()
        self._dialling = 0
        self._waiting: deque[asyncio.Future[UpstreamConnection | None]] = deque()

    def __repr__(self) -> str:
        counts = f"idle={len(self._idle)} all={len(self._all)} waiting={len(self._waiting)}"
        return f"<UpstreamPool {self.target} {counts}>"

    @property
    def unused(self) -> bool:
        """Whether nobody would miss this pool."""
        return not self._all and not self._dialling and not self._waiting

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
        except OSError as fault:  # ssl.SSLError and socket.gaierror are OSErrors too
            raise Unavailable("upstream_unreachable", f"{self.target} cannot be reached: {fault}") from fault

    def give_back(self, connection: UpstreamConnection) -> None:
        """Take a clean connection back: for whoever waits, else for later."""
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(connection)
            return
        connection.idle_since = self._deadlines.now
        self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """Count a connection that is gone no longer, and let the next in the queue dial."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(None)

    def close_idle(self, before: float) -> None:
        """Close the connections that have been idle since before ``before``, in monotonic time."""
        for connection in [each for each in self._idle if each.idle_since < before]:
            self._idle.remove(connection)
            connection.transport.close()

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

    def _next_waiter(self) -> asyncio.Future[UpstreamConnection | None] | None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                return waiter
        return None

    async def _wait(self) -> UpstreamConnection | None:
        waiter: asyncio.Future[UpstreamConnection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():  # handed over in the very moment of the time-out
                connection = waiter.result()
                if connection is not None:
                    self.give_back(connection)
            raise

    @contextmanager
    def _dialling_one(self) -> Iterator[None]:
        self._dialling += 1
        try:
            yield
        finally:
            self._dialling -= 1

    async def _dial(self) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        target = self.target
        connection = UpstreamConnection(self)
        with self._dialling_one():
            if target.path:
                await loop.create_unix_connection(lambda: connection, target.path)
            else:
                context = _client_context() if target.tls else None
                name = target.host if target.tls else None
                address = await self._resolve()
                await loop.create_connection(
                    lambda: connection, address, target.port, ssl=context, server_hostname=name
                )
                raw = connection.transport.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._all.add(connection)
        return connection

    async def _resolve(self) -> str:
        """The address to dial, judged again: what a name resolves to may have changed since it was saved."""
        found = await asyncio.get_running_loop().getaddrinfo(
            self.target.host, self.target.port, type=socket.SOCK_STREAM
        )
        addresses = [str(ip_address(str(info[4][0]).partition("%")[0])) for info in found]
        allowed = [
            address for address in addresses if self._forbidden is None or not self._forbidden(address)
        ]
        if not allowed:
            raise Unavailable(
                "upstream_forbidden", f"{self.target} resolves to an address that is not allowed."
            )
        return allowed[0]


@cache
def _client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


class UpstreamPools:
    """The pools of a worker, by URL; a pool that has gone quiet is forgotten."""

    deadline: float

    def __init__(
        self,
        limits: Limits,
        deadlines: Deadlines,
        *,
        platform_domain: str,
        forbidden: Callable[[str], bool] | None,
    ) -> None:
        self._limits = limits
        self._deadlines = deadlines
        self._cookie_domain = platform_domain.encode()
        self._forbidden = forbidden
        self._pools: dict[str, UpstreamPool] = {}
        self.deadline = 0.0
        deadlines.add(self)

    def find(self, url: str) -> UpstreamPool:
        """The pool of a tenant's upstream."""
        pool = self._pools.get(url)
        if pool is None:
            pool = UpstreamPool(
                Target.parse(url),
                self._limits,
                self._deadlines,
                cookie_domain=self._cookie_domain,
                forbidden=self._forbidden,
            )
            self._pools[url] = pool
        return pool

    def own(self, socket_path: str) -> UpstreamPool:
        """The pool of one of our own planes, which may set our cookies."""
        url = f"unix:{socket_path}"
        target = Target(url, path=socket_path)
        pool = UpstreamPool(target, self._limits, self._deadlines, cookie_domain=None, forbidden=None)
        return self._pools.setdefault(url, pool)

    def expire(self) -> None:
        """Called by Deadlines: close what has been idle for too long."""
        now = self._deadlines.now
        for url, pool in list(self._pools.items()):
            pool.close_idle(now - self._limits.upstream_idle)
            if pool.unused and pool.cookie_domain is not None:
                del self._pools[url]
        self.deadline = now + 5

    def abort_all(self) -> None:
        """Cut every connection of every pool."""
        self.deadline = NEVER
        for pool in self._pools.values():
            pool.abort_all()
