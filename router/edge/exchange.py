"""Exchange: one visit's way to an upstream and back.

It joins two sides that know nothing of each other: an ``Asker`` (whoever speaks the client's protocol) and
an upstream connection. It owns the decisions in between: dialling, one more try where that is safe, what a
broken answer means, and who has to wait for whom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from router.edge.answer_head import SWITCHING, AnswerHead
from router.edge.chunked import encode_chunk, encode_end
from router.edge.deadlines import NEVER, Deadlines
from router.edge.framing import CHUNKED, NO_BODY
from router.edge.headers import REQUEST_VERDICTS, Header, allowed_trailers
from router.errors import Unavailable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from router.edge.dial import Target
    from router.edge.limits import Limits
    from router.edge.pool import UpstreamPool
    from router.edge.tunnel import Tunnel
    from router.edge.upstream import UpstreamConnection
    from router.edge.visit import Visit
    from router.identity.session import Session
    from router.observe.tasks import Tasks
    from router.tenants.tenant import Forwarding, Tenant

_IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"PROPFIND", b"REPORT", b"SEARCH"})
"""RFC 9110 section 9.2.2: asked twice is the same as asked once."""

_WITH_BODY = frozenset({b"POST", b"PUT", b"PATCH"})
"""Methods whose lack of a body is said with a length of 0 (RFC 9110 section 8.6)."""

_FAILURES = {"upstream_busy": 503, "upstream_unreachable": 502, "upstream_forbidden": 502}
_BUSY = "upstream_busy"


@dataclass(slots=True, eq=False)
class Route:
    """Where a visit goes: the pools in the order of trying, what goes along, on whose behalf.

    ``tenant`` is none for the console.
    """

    pools: Sequence[UpstreamPool]
    added: bytes
    cookies: bytes | None
    tenant: Tenant | None
    forwarding: Forwarding
    session: Session | None = None


class Asker(Protocol):
    """The client's side of an exchange. HTTP/1.1 is turn.py; HTTP/2 can stand beside it."""

    def interim(self, head: AnswerHead) -> None:
        """Pass an interim answer on, if the client's protocol has them."""

    def begin(self, head: AnswerHead) -> None:
        """The answer's head."""

    def data(self, data: bytes) -> None:
        """A piece of the answer's body."""

    def end(self, trailers: list[Header]) -> None:
        """The answer is whole."""

    def flush(self) -> None:
        """Nothing more has come for now: let go of what is held for joining."""

    def fail(self, status: int, code: str, cause: str) -> None:
        """There is no answer, and none has begun: say so. ``cause`` is for the log."""

    def cut(self, cause: str) -> None:
        """The answer broke off: break off visibly, never end it cleanly."""

    def hold_body(self, *, hold: bool) -> None:
        """Stop, or resume, taking the request's body from the client."""

    def switch(self, head: AnswerHead, upstream: asyncio.Transport) -> Tunnel:
        """The upstream changes to WebSocket: say so to the client and make the tunnel to ``upstream``."""


class Exchange:
    """One visit on its way. Made by the asker, which feeds it the request's body.

    ``pool`` is the one that is being tried.
    """

    __slots__ = (
        "_asker",
        "_body_sent",
        "_connection",
        "_deadlines",
        "_dial",
        "_done",
        "_held",
        "_limits",
        "_redialled",
        "_request_done",
        "_route",
        "_started",
        "_tasks",
        "_tunnel",
        "_turn",
        "_visit",
        "deadline",
        "pool",
    )

    def __init__(
        self, visit: Visit, route: Route, asker: Asker, *, limits: Limits, deadlines: Deadlines, tasks: Tasks
    ) -> None:
        self._visit = visit
        self._route = route
        self._asker = asker
        self._limits = limits
        self._deadlines = deadlines
        self._tasks = tasks
        self._connection: UpstreamConnection | None = None
        self._dial: asyncio.Task[None] | None = None
        self._tunnel: Tunnel | None = None
        self._held: list[bytes] = []  # body that came while there was no connection
        self._request_done = visit.body == NO_BODY
        self._body_sent = False
        self._started = False  # the final answer's head has come
        self._redialled = False
        self._turn = 0  # which of the route's pools is being tried
        self.pool = route.pools[0]
        self._done = False
        self.deadline = NEVER
        deadlines.add(self)

    def __repr__(self) -> str:
        state = "done" if self._done else "answering" if self._started else "asking"
        return f"<Exchange {self._visit.id} {state} via {self._connection!r}>"

    # -- from the asker ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Set off: at once on an idle connection, else after dialling."""
        if len(self._route.pools) > 1:
            self.pool.budget.earn()
        connection = self.pool.take()
        if connection is not None:
            self._send_on(connection)
        else:
            self._dial_for_one()

    def body(self, data: bytes) -> None:
        """Pass on a piece of the request's body, never empty."""
        self._send_body(encode_chunk(data) if self._visit.body == CHUNKED else data)

    def body_end(self, trailers: list[Header]) -> None:
        """The request is whole."""
        if self._visit.body == CHUNKED:
            self._send_body(encode_end(allowed_trailers(trailers, REQUEST_VERDICTS)))
        self._request_done = True
        if self._connection is not None:
            self._await_answer()

    def asker_lost(self) -> None:
        """The client is gone: nobody waits for the upstream's work any more."""
        self._finish()
        if self._dial is not None:
            self._dial.cancel()
        if self._tunnel is not None:
            self._tunnel.end()
        elif self._connection is not None:
            self._connection.abort()

    def hold_answer(self, *, hold: bool) -> None:
        """The client reads more slowly than the upstream writes: wait for it, or go on."""
        connection = self._connection
        if connection is not None:
            connection.hold(hold=hold)

    # -- from the upstream ------------------------------------------------------------------------------

    def answer(self, head: AnswerHead) -> None:
        """Pass a head on; a switch of protocols only where one was asked for."""
        if head.interim:
            self._asker.interim(head)
        elif head.status == SWITCHING:
            self._switch(head)
        else:
            self._started = True
            self.deadline = NEVER
            if self.pool.standing.troubled:
                self.pool.standing.answered()
            self._asker.begin(head)

    def answer_data(self, data: bytes) -> None:
        """Pass a piece on."""
        if self._tunnel is not None:
            self._tunnel.from_upstream(data)
        else:
            self._asker.data(data)

    def answer_end(self, trailers: list[Header]) -> None:
        """Let go of the connection, and tell the asker."""
        self._finish()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release(clean=self._request_done)
        self._asker.end(trailers)

    def answer_pause(self) -> None:
        """Nothing more has come for now."""
        self._asker.flush()

    def upstream_lost(self, reason: str) -> None:
        """Try again where that is safe; else fail, or cut what has begun."""
        connection, self._connection = self._connection, None
        if self._tunnel is not None:
            self._finish()
            self._tunnel.end()
        elif self._started:
            self._finish()
            self._asker.cut(reason)
        elif connection is not None and self._may_ask_again():
            self._ask_again(connection, reason)
        else:
            self.pool.standing.failed(self._deadlines.now)
            self._fail(502, "upstream_broke_off", reason)

    def upstream_full(self, *, full: bool) -> None:
        """Hold the client back while the upstream does not read, or let it go on."""
        if self._tunnel is not None:
            self._tunnel.upstream_full(full=full)
        elif not self._request_done:
            self.deadline = self._deadlines.now + self._limits.stall_timeout if full else NEVER
            self._asker.hold_body(hold=full)

    # -- from the clock ---------------------------------------------------------------------------------

    def expire(self) -> None:
        """The upstream has not begun to answer in time, or does not take the request."""
        if self._dial is not None:
            self._dial.cancel()
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
        # Standing is for all who share the upstream: one tenant's impatience is not held against it.
        if not 0 < self._route.forwarding.answer_timeout < self._limits.answer_timeout:
            self.pool.standing.failed(self._deadlines.now)
        self._fail(504, "upstream_slow", "no answer in time")

    # -- steps ------------------------------------------------------------------------------------------

    def _dial_for_one(self) -> None:
        self.deadline = self._deadlines.now + self._limits.answer_timeout
        if not self._request_done:
            self._asker.hold_body(hold=True)
        self._dial = self._tasks.start(self._dial_and_send(), name="dial upstream")

    async def _dial_and_send(self) -> None:
        try:
            connection = await self._connect()
        except Unavailable as fault:
            self._fail(_FAILURES[fault.code], fault.code, fault.sentence)
            return
        finally:
            self._dial = None
        if self._done:
            connection.release(clean=True)
            return
        self.deadline = NEVER
        if not self._request_done:
            self._asker.hold_body(hold=False)
        self._send_on(connection)  # after that, because it may hold the body again

    async def _connect(self) -> UpstreamConnection:
        """Dial one pool after the other: until a connection is made, nothing has been asked of anybody."""
        while True:
            # Of the first pool an idle connection was tried already, and found missing or dead.
            idle = self.pool.take() if self._turn and not self._redialled else None
            if idle is not None:
                return idle
            try:
                return await self.pool.connect()
            except Unavailable as fault:
                if fault.code != _BUSY:
                    self.pool.standing.failed(self._deadlines.now)
                if not self._next_pool():
                    raise

    def _next_pool(self) -> bool:
        """Turn to the next pool, if there is one and the budget of the one that failed grants it."""
        if self._turn + 1 >= len(self._route.pools) or not self.pool.budget.spend():
            return False
        self._turn += 1
        self.pool = self._route.pools[self._turn]
        self._redialled = False
        return True

    def _send_on(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        head = request_head(self._visit, self._route, self.pool.target)
        if self._held:
            head += b"".join(self._held)
            self._held.clear()
            self._body_sent = True
        connection.send(self, head, to_head=self._visit.method == b"HEAD")
        if self._request_done:
            self._await_answer()

    def _send_body(self, piece: bytes) -> None:
        if self._connection is not None:
            self._body_sent = True
            self._connection.transport.write(piece)
        elif not self._done:
            self._held.append(piece)

    def _await_answer(self) -> None:
        if self._started:
            self.deadline = NEVER  # the upstream may have clogged on the last of the body: that is over
        else:
            patience = self._route.forwarding.answer_timeout or self._limits.answer_timeout
            self.deadline = self._deadlines.now + patience

    def _may_ask_again(self) -> bool:
        """Whether asking twice does no harm: an idempotent request, none of whose body was sent.

        RFC 9110 section 9.2.2 and RFC 9112 section 9.3.1.
        """
        return not self._body_sent and self._request_done and self._visit.method in _IDEMPOTENT

    def _ask_again(self, lost: UpstreamConnection, reason: str) -> None:
        """Dial anew when a pooled connection had merely died of old age; else turn to the next upstream."""
        if lost.used > 1 and not self._redialled:
            self._redialled = True
            self._dial_for_one()
            return
        self.pool.standing.failed(self._deadlines.now)
        if self._next_pool():
            self._dial_for_one()
        else:
            self._fail(502, "upstream_broke_off", reason)

    def _switch(self, head: AnswerHead) -> None:
        connection = self._connection
        if connection is None or not (self._visit.websocket and head.websocket):
            if connection is not None:
                connection.abort()
                self._connection = None
            self._fail(502, "upstream_switched", "a switch of protocols that nobody asked for")
            return
        self.deadline = NEVER
        self._tunnel = self._asker.switch(head, connection.transport)
        self._tunnel.from_upstream(connection.become_tunnel())
        if connection.full:  # with what the client sent too early
            self._tunnel.upstream_full(full=True)

    def _fail(self, status: int, code: str, cause: str) -> None:
        self._finish()
        self._asker.fail(status, code, cause)

    def _finish(self) -> None:
        self._done = True
        self.deadline = NEVER
        self._deadlines.discard(self)


def request_head(visit: Visit, route: Route, target: Target) -> bytes:
    """Write the head that the upstream gets: everything anew, nothing copied through but names and values."""
    host = visit.host if route.forwarding.keep_host else target.authority
    parts = [b"%b %b%b HTTP/1.1\r\nHost: %b" % (visit.method, target.prefix, visit.target, host)]
    parts += map(b": ".join, visit.kept)
    if route.cookies:
        parts.append(b"Cookie: " + route.cookies)
    if visit.body == CHUNKED:
        parts.append(b"Transfer-Encoding: chunked")
    elif visit.body or visit.method in _WITH_BODY:
        parts.append(b"Content-Length: %d" % visit.body)
    if visit.expects_continue:
        parts.append(b"Expect: 100-continue")
    if visit.websocket:
        parts.append(b"Connection: Upgrade\r\nUpgrade: websocket")
    parts.append(route.added)
    return b"\r\n".join(parts) + b"\r\n"
