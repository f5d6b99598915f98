"""The upstream's side of a visit: one connection.

A connection carries one visit at a time. Whatever makes it doubtful (octets nobody asked for, an answer with
two readings, an answer cut short) costs the upstream that connection, and never reaches another visit.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol, cast

from router.edge.answer_head import AnswerHead, BadAnswer, read_answer
from router.edge.chunked import BadChunk, ChunkedDecoder
from router.edge.framing import CHUNKED, UNTIL_CLOSE

if TYPE_CHECKING:
    from router.edge.headers import Header
    from router.edge.pool import UpstreamPool

_MAX_INTERIM = 16


class Visitor(Protocol):
    """Who uses a connection: the exchange of one visit."""

    def answer(self, head: AnswerHead) -> None:
        """A head came, interim ones included."""

    def answer_data(self, data: bytes) -> None:
        """A piece of the answer's body came."""

    def answer_end(self, trailers: list[Header]) -> None:
        """The answer is whole: ``release`` the connection, which has let go of the visitor."""

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
    ``full`` says that the upstream does not read. ``address`` is where it leads, empty for a Unix socket.
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
        self._on_hold = False
        self._later: asyncio.Handle | None = None  # what is held is read on when others have had their turn
        self.transport: asyncio.Transport
        self.used = 0
        self.full = False
        self.address = ""
        self.made_at = 0.0
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
        """Read no more answers; return what followed the 101 already.

        It leaves those that the pool bounds.
        """
        self._state = _State.TUNNEL
        self._pool.begin_tunnel(self)
        held, self._held = self._held, b""
        return held

    def hold(self, *, hold: bool) -> None:
        """Stop, or resume, reading the answer: its client is not ready for more."""
        self._on_hold = hold
        self._pause_or_resume()

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
            if self._visitor is not None:  # else the answer is whole, and nothing of it is held
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
        self.full = True
        if self._visitor is not None:
            self._visitor.upstream_full(full=True)

    def resume_writing(self) -> None:
        """Let the client's body come again."""
        self.full = False
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
        if head.dropped_cookies:
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
            self._take_chunks(visitor, decoder, data)
        elif left == UNTIL_CLOSE:
            visitor.answer_data(data)
        elif len(data) < left:
            self._left = left - len(data)
            visitor.answer_data(data)
        else:
            visitor.answer_data(data[:left] if len(data) > left else data)
            self._end(visitor, [], data[left:])

    def _take_chunks(self, visitor: Visitor, decoder: ChunkedDecoder, data: bytes) -> None:
        if self._later is not None:
            self._held += data
            return
        piece = decoder.feed(data)
        if piece:
            visitor.answer_data(piece)
        if decoder.done:
            self._end(visitor, decoder.trailers, decoder.rest)
        elif decoder.rest:  # thousands of chunks at once: others have their turn before the next of them
            self._held = decoder.rest
            self._later = asyncio.get_running_loop().call_soon(self._read_on)
            self._pause_or_resume()

    def _read_on(self) -> None:
        self._later = None
        if self._visitor is not None:
            held, self._held = self._held, b""
            self.data_received(held)
            self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        if self.transport.is_closing():
            return
        if self._on_hold or self._later is not None:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

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
            # Its client may not have caught up with the end of the answer: that holds nobody else back.
            self._on_hold = False
            self.transport.resume_reading()
            self._pool.give_back(self)
        elif self.transport.get_write_buffer_size():
            self.transport.abort()  # what an upstream does not read would keep a closing connection open
        else:
            self.transport.close()

    def _lose(self, reason: str) -> None:
        visitor, self._visitor = self._visitor, None
        self.transport.abort()
        if visitor is not None:
            visitor.upstream_lost(reason)
