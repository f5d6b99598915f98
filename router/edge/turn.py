"""Turn: one request and its answer on an HTTP/1.1 connection.

The protocol's half of a visit: takes the request's body apart, writes the answer's head and frames its body
anew. It is the exchange's ``Asker``; the connection in client.py owns the transport and the order of turns.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import structlog

from router.edge.account import visit_line
from router.edge.answers import answer_octets, status_line
from router.edge.chunked import ChunkedDecoder, encode_chunk, encode_end
from router.edge.exchange import Exchange
from router.edge.framing import CHUNKED, NO_BODY, UNTIL_CLOSE
from router.edge.headers import ANSWER_VERDICTS, Header, allowed_trailers, rewritten, with_fields
from router.edge.tunnel import Tunnel

if TYPE_CHECKING:
    import asyncio

    from router.edge.answer_head import AnswerHead
    from router.edge.answers import Answer
    from router.edge.exchange import Route
    from router.edge.house import House
    from router.edge.visit import Visit
    from router.identity.session import Session

_log = structlog.get_logger(__name__)

_CONTINUE = 100

_LEAST_CHUNK = 8
"""Octets that a client's chunks have on average: a body of one-octet chunks is none that anybody needs."""


class BodyTooLarge(Exception):  # noqa: N818 - it is what came, not what we did
    """A chunked body has grown larger than the tenant takes."""


class Connection(Protocol):
    """What a turn needs of its connection."""

    transport: asyncio.Transport

    def hold_body(self, *, hold: bool) -> None:
        """Stop, or resume, reading the request's body."""

    def turn_over(self, *, keep_alive: bool) -> None:
        """The answer is out; the next request may come if ``keep_alive``."""

    def become_tunnel(self, tunnel: Tunnel) -> None:
        """Speak HTTP no more."""


class Turn:
    """One visit's turn; with ``last`` the connection ends after it.

    ``request_done`` says whether the whole request has been read.
    """

    __slots__ = (
        "_began",
        "_connection",
        "_decoder",
        "_exchange",
        "_framing",
        "_house",
        "_keep_alive",
        "_left",
        "_octets",
        "_pending",
        "_route",
        "_status",
        "_taken",
        "_tenant_id",
        "_visit",
        "_watched",
        "request_done",
    )

    def __init__(self, visit: Visit, connection: Connection, house: House, *, last: bool) -> None:
        self._visit = visit
        self._connection = connection
        self._house = house
        self._route: Route | None = None
        self._exchange: Exchange | None = None
        self._decoder = ChunkedDecoder(least=_LEAST_CHUNK) if visit.body == CHUNKED else None
        self._left = visit.body  # octets still to come, of a body with a length
        self._taken = 0  # octets that have come, of a chunked one
        self.request_done = visit.body == NO_BODY
        self._keep_alive = visit.keep_alive and not last
        self._framing = NO_BODY  # of the answer, as the client gets it
        self._pending = b""  # the answer's head, held for a moment so that its body leaves with it
        self._status = 0
        self._tenant_id = ""  # of an answer of our own
        self._watched = False  # among what ends with its session
        self._octets = 0
        self._began = time.monotonic()

    def __repr__(self) -> str:
        return f"<Turn {self._visit.id} status={self._status} via {self._exchange!r}>"

    # -- from the connection ----------------------------------------------------------------------------

    def set_off(self, route: Route) -> None:
        """Forward the visit."""
        self._route = route
        house = self._house
        self._exchange = Exchange(
            self._visit, route, self, limits=house.limits, deadlines=house.deadlines, tasks=house.tasks
        )
        self._exchange.start()

    def take_body(self, data: bytes) -> bytes:
        """Pass on the request's body; return what follows it, or was too much of it for one go.

        Raises ``BadChunk`` and ``BodyTooLarge``.
        """
        decoder = self._decoder
        if decoder is not None:
            piece = decoder.feed(data)
            self._count(len(piece))
            if piece and self._exchange is not None:
                self._exchange.body(piece)
            if decoder.done:
                self._end_request(decoder.trailers)
            return decoder.rest
        piece = data[: self._left]
        self._left -= len(piece)
        if self._exchange is not None:
            self._exchange.body(piece)
        if not self._left:
            self._end_request([])
        return data[len(piece) :]

    def say(self, answer: Answer) -> None:
        """Answer ourselves, instead of any upstream."""
        self._keep_alive = (
            self._keep_alive and self.request_done and not answer.close and not self._house.draining
        )
        to_head = self._visit.method == b"HEAD"
        self._status, self._octets = answer.status, 0 if to_head else len(answer.body)
        self._tenant_id = answer.tenant_id
        self._connection.transport.write(answer_octets(answer, close=not self._keep_alive, to_head=to_head))
        self._over()

    def lost(self, end: str) -> None:
        """The client is gone, or no longer listened to: end the upstream's work, write the account."""
        if self._exchange is not None:
            self._exchange.asker_lost()
        self._watch_no_longer()
        self._account(end)

    def hold_answer(self, *, hold: bool) -> None:
        """The client reads slowly, or has caught up."""
        if self._exchange is not None:
            self._exchange.hold_answer(hold=hold)

    @property
    def session(self) -> Session | None:
        """Whose visit this is; none on a public path."""
        return self._route.session if self._route is not None else None

    def close(self, code: int) -> None:
        """Break off an answer without a known end: its session has ended, or the worker goes."""
        _log.info("answer ended with its session, or with the worker", visit=self._visit.id, code=code)
        self._connection.transport.abort()

    @property
    def answering(self) -> bool:
        """Whether an answer has begun, so that no other can be given."""
        return self._status != 0

    # -- from the exchange ------------------------------------------------------------------------------

    def interim(self, head: AnswerHead) -> None:
        """Pass on what an HTTP/1.1 client can make sense of; 100 only if it waits for it."""
        if self._visit.http10 or (head.status == _CONTINUE and not self._visit.expects_continue):
            return
        lines = [status_line(head.status, head.reason), *map(b": ".join, head.kept)]
        self._connection.transport.write(b"\r\n".join(lines) + b"\r\n\r\n")

    def begin(self, head: AnswerHead) -> None:
        """Write the head, framed for this client; it leaves with the first of the body."""
        self._status = head.status
        if not self.request_done or self._house.draining:
            self._keep_alive = False
        lines = [status_line(head.status, head.reason)]
        lines += map(b": ".join, self._fields(head))
        self._framing = self._frame(head, lines)
        if head.body < 0 and self.session is not None:
            self._watched = True
            self._house.tunnels.add(self)
        if not self._keep_alive:
            lines.append(b"Connection: close")
        self._pending = b"\r\n".join(lines) + b"\r\n\r\n"

    def data(self, data: bytes) -> None:
        """Write a piece of the body."""
        self._octets += len(data)
        if self._framing == CHUNKED:
            data = encode_chunk(data)
        if self._pending:
            data, self._pending = self._pending + data, b""
        self._connection.transport.write(data)

    def end(self, trailers: list[Header]) -> None:
        """Write the end."""
        last = encode_end(allowed_trailers(trailers, ANSWER_VERDICTS)) if self._framing == CHUNKED else b""
        if self._pending or last:
            self._connection.transport.write(self._pending + last)
            self._pending = b""
        self._over()

    def flush(self) -> None:
        """Nothing more has come for now: what is held goes out."""
        if self._pending:
            self._connection.transport.write(self._pending)
            self._pending = b""

    def fail(self, status: int, code: str, cause: str) -> None:
        """Say that there is no answer; the page names no upstream, the log does."""
        _log.warning(
            "upstream failed", visit=self._visit.id, code=code, cause=cause, upstream=self._upstream_url
        )
        self._exchange = None
        if self.answering:
            self._connection.transport.abort()
            return
        tenant = self._route.tenant if self._route is not None else None
        self.say(self._house.reception.error(status, code, self._visit, tenant))

    def cut(self, cause: str) -> None:
        """Break off visibly: the client must not take half an answer for a whole one."""
        _log.warning("answer cut short", visit=self._visit.id, cause=cause, upstream=self._upstream_url)
        self._exchange = None
        self._connection.transport.abort()

    def hold_body(self, *, hold: bool) -> None:
        """Stop, or resume, taking the request's body."""
        self._connection.hold_body(hold=hold)

    def switch(self, head: AnswerHead, upstream: asyncio.Transport) -> Tunnel:
        """Say that it is a WebSocket from now on."""
        self._status = head.status
        lines = [status_line(head.status, head.reason), *map(b": ".join, head.kept)]
        lines += [b"Connection: Upgrade", b"Upgrade: websocket"]
        self._connection.transport.write(b"\r\n".join(lines) + b"\r\n\r\n")
        tunnel = Tunnel(
            self._connection.transport,
            upstream,
            session=self.session,
            deadlines=self._house.deadlines,
            used=self._house.reception.used,
            patience=self._house.limits.stall_timeout,
        )
        self._connection.become_tunnel(tunnel)
        return tunnel

    # -- steps ------------------------------------------------------------------------------------------

    def _fields(self, head: AnswerHead) -> list[Header]:
        """The answer's fields, as the tenant wishes them."""
        fields, exchange = head.kept, self._exchange
        forwarding = self._route.forwarding if self._route is not None else None
        if forwarding is None or exchange is None:
            return fields
        if forwarding.rewrite_location:
            target = exchange.pool.target
            fields = rewritten(
                fields, upstream=target.authority, prefix=target.prefix, portal=self._visit.host
            )
        return with_fields(fields, forwarding.answer_fields) if forwarding.answer_fields else fields

    def _frame(self, head: AnswerHead, lines: list[bytes]) -> int:
        """Choose how the client is told where the body ends, and say so in ``lines``."""
        if head.body >= 0:
            if head.length is not None and head.status != 204:  # noqa: PLR2004 - RFC 9110 section 8.6
                lines.append(b"Content-Length: " + head.length)
            return NO_BODY
        if self._visit.http10:
            self._keep_alive = False
            return UNTIL_CLOSE
        lines.append(b"Transfer-Encoding: chunked")
        return CHUNKED

    def _count(self, octets: int) -> None:
        """Hold a body whose length was not announced to the tenant's limit."""
        self._taken += octets
        limit = self._route.forwarding.max_body if self._route is not None else 0
        if 0 < limit < self._taken:
            raise BodyTooLarge

    def _end_request(self, trailers: list[Header]) -> None:
        self.request_done = True
        if self._exchange is not None:
            self._exchange.body_end(trailers)

    def _watch_no_longer(self) -> None:
        if self._watched:
            self._watched = False
            self._house.tunnels.discard(self)

    def _over(self) -> None:
        self._exchange = None
        self._watch_no_longer()
        self._account("done")
        self._connection.turn_over(keep_alive=self._keep_alive)

    @property
    def _upstream_url(self) -> str:
        return str(self._exchange.pool.target) if self._exchange is not None else ""

    def _account(self, end: str) -> None:
        """Count the visit, and write one line. The path goes without its query, which may hold secrets."""
        tenant = self._route.tenant if self._route is not None else None
        tenant_id = tenant.id if tenant is not None else self._tenant_id
        elapsed = time.monotonic() - self._began
        if tenant_id:
            self._house.traffic.visited(tenant_id, self._status, elapsed)
        log = self._house.access_log
        if log is None:
            return
        log.write(
            visit_line(
                self._visit,
                tenant_id,
                status=self._status,
                octets=self._octets,
                at=time.time(),
                elapsed=elapsed,
                end=end,
            )
        )
