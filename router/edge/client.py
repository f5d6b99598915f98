"""The client's side of a connection: HTTP/1.1, one turn after the other.

llhttp (by httptools) reads each head, in visit.py; turn.py takes the body and writes the answer. Here is the
order of things: which octets belong to which turn, when reading pauses, and how long is waited for what.
Nothing in here awaits but the one look-up below memory.
"""

from __future__ import annotations

import asyncio
import time
from enum import Enum, auto
from typing import TYPE_CHECKING, cast

from router.edge.account import refusal_line
from router.edge.answers import Answer, answer_octets
from router.edge.chunked import BadChunk, TinyChunks
from router.edge.deadlines import NEVER
from router.edge.turn import BodyTooLarge, Turn
from router.edge.visit import Arrival, Refused, Visit, read_visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.edge.exchange import Route
    from router.edge.house import House
    from router.edge.tunnel import Tunnel

_LINGER = 2.0  # seconds in which a client that still sends can read why it was refused
_GOODBYE = 5.0  # seconds in which an idle client may agree (close_notify) that its connection ends
_MAX_HELD = 65_536  # octets of pipelined requests kept while a turn is under way
_TAKES_AT_ONCE = 16  # heads and pieces of body read before other connections have their turn
_MORE_IS_COMING = frozenset({408, 413, 431})


class _State(Enum):
    HEAD = auto()  # a request head is awaited, or part of one is here
    LOOKUP = auto()  # tenant or session are being looked up
    BODY = auto()  # the request's body is coming
    ANSWER = auto()  # the request is whole, its answer is not
    TUNNEL = auto()  # a WebSocket now
    ENDING = auto()  # answered for the last time; what still comes is thrown away


class ClientConnection(asyncio.Protocol):
    """One client. ``closed`` is called once, when it is gone."""

    def __init__(self, arrival: Arrival, house: House, closed: Callable[[], None]) -> None:
        self._arrival = arrival
        self._house = house
        self._closed = closed
        self._state = _State.HEAD
        self._turn: Turn | None = None
        self._held = b""
        self._head_begun = False
        self._reading = False  # guards _read against being entered from within itself
        self._later: asyncio.Handle | None = None  # what is held is read on when others have had their turn
        self._body_held = False
        self._moved = 0  # octets of the body since its rate was last looked at
        self._paused = False
        self._unsent = -1  # octets unsent when a client that reads slowly was last looked at; -1: it does not
        self._lookup: asyncio.Task[None] | None = None
        self._tunnel: Tunnel | None = None
        self.transport: asyncio.Transport
        self.deadline = NEVER

    def __repr__(self) -> str:
        return f"<ClientConnection {self._arrival.id} {self._state.name} held={len(self._held)}>"

    # -- what the loop calls ----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a first request."""
        # Not checked at run time: uvloop's transports behave as asyncio's, but are not registered as such.
        self.transport = cast("asyncio.Transport", transport)
        self._house.connections.add(self)
        self._house.deadlines.add(self)
        self._wait(self._house.limits.head_timeout)

    def data_received(self, data: bytes) -> None:
        """Take what came, by state."""
        if self._tunnel is not None:
            self._tunnel.from_client(data)
        elif self._state is not _State.ENDING:
            self._held = self._held + data if self._held else data
            self._read()

    def eof_received(self) -> None:
        """Treat a half-close as the end: asyncio knows no half-open TLS connection."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End the turn under way, and the upstream's work for it."""
        del exc
        self._state = _State.ENDING
        self._house.connections.discard(self)
        self._house.deadlines.discard(self)
        if self._lookup is not None:
            self._lookup.cancel()
        if self._turn is not None:
            turn, self._turn = self._turn, None
            turn.lost("tunnel_closed" if self._tunnel is not None else "client_gone")
        if self._tunnel is not None:
            self._house.tunnels.discard(self._tunnel)
        self._closed()

    def pause_writing(self) -> None:
        """Hold the answer back: the client reads slowly."""
        self._hold_answer(hold=True)
        self._unsent = self.transport.get_write_buffer_size()
        self._wait(self._house.limits.stall_timeout)

    def resume_writing(self) -> None:
        """Let the answer come again: the client has caught up."""
        self._unsent = -1
        if self._state is _State.HEAD:  # the answer was whole already, only not read
            self._wait_for_head()
        elif self._state is _State.BODY:
            self._wait_for_body()
        elif self._state is _State.ENDING and not self.transport.is_closing():
            self._wait(_LINGER)
        else:
            self.deadline = NEVER
        self._hold_answer(hold=False)
        if self._state is _State.HEAD:  # what came meanwhile has waited, so that one answer at a time is held
            self._pause_or_resume()
            self._read()

    # -- what the clock and the house call --------------------------------------------------------------

    def expire(self) -> None:
        """End a wait that has been too long; a client that reads slowly but does read is waited for."""
        if self._unsent >= 0:
            unsent = self.transport.get_write_buffer_size()
            if self._unsent - unsent >= min(self._enough, self._unsent):
                self._unsent = unsent
                self._wait(self._house.limits.stall_timeout)
            else:
                self.transport.abort()
        elif self.transport.is_closing():
            self.transport.abort()
        elif self._state is _State.BODY:
            if self._moved >= self._enough:
                self._wait_for_body()
            else:
                self._break_off(408, "body_slow")
        elif self._state is _State.HEAD and self._held:
            self._refuse(408, "head_slow")
        else:
            self._dismiss()

    def drain(self) -> None:
        """Close if it waits for another turn; one under way is the last, and so is a first one to come."""
        if self._state is _State.HEAD and not self._held and self._arrival.visits:
            if self._unsent < 0:
                self._dismiss()
            else:
                self._end(linger=False)

    # -- what the turn calls ----------------------------------------------------------------------------

    def hold_body(self, *, hold: bool) -> None:
        """Stop, or resume, reading the request's body: the upstream is not ready for it."""
        self._body_held = hold
        if self._state is _State.BODY:
            self._wait_for_body()
        self._pause_or_resume()

    def turn_over(self, *, keep_alive: bool) -> None:
        """Begin the next turn, or end the connection."""
        turn, self._turn = self._turn, None
        self._body_held = False
        if keep_alive and self._house.draining and not self._held:
            self._end(linger=False)  # the answer began before the drain, and could not say so
        elif keep_alive:
            self._state = _State.HEAD
            if self._unsent < 0:
                self._wait_for_head()
            if self._paused:
                self._pause_or_resume()
            if self._held:
                self._read()
        else:
            self._end(linger=turn is not None and not turn.request_done)

    def become_tunnel(self, tunnel: Tunnel) -> None:
        """Pass octets on from now on, those included that came too early."""
        self._state = _State.TUNNEL
        self._tunnel = tunnel
        self._house.tunnels.add(tunnel)
        self.deadline = NEVER
        held, self._held = self._held, b""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._pause_or_resume()
        tunnel.from_client(held)

    # -- steps ------------------------------------------------------------------------------------------

    def _read(self) -> None:
        if self._reading or self._later is not None:
            return
        self._reading = True
        try:
            takes = 0
            while self._held and self._take():
                takes += 1
                if takes == _TAKES_AT_ONCE:
                    self._read_later()
                    break
        finally:
            self._reading = False

    def _read_later(self) -> None:
        """Go on with what is held when the loop has been round; nothing more is read before that."""
        self._later = asyncio.get_running_loop().call_soon(self._read_on)
        self._pause_or_resume()

    def _read_on(self) -> None:
        self._later = None
        self._read()
        self._pause_or_resume()

    def _take(self) -> bool:
        """Take as much of what is held as the state allows; whether more of it can be taken now."""
        if self._state is _State.HEAD and self._unsent < 0:
            return self._take_head()
        if self._state is _State.BODY and self._turn is not None:
            return self._take_body(self._turn)
        if self._state is _State.ENDING:
            self._held = b""
        else:
            self._pause_or_resume()
        return False

    def _take_head(self) -> bool:
        data = self._held
        limits = self._house.limits
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > limits.max_head:
            if len(data) > limits.max_head:
                self._refuse(431, "head_too_large")
            elif not self._head_begun:
                self._head_begun = True
                self._wait(limits.head_timeout)
            return False
        self._head_begun = False
        self._held = data[end + 4 :]
        try:
            visit = read_visit(data[: end + 4], self._arrival)
        except Refused as refusal:
            self._refuse(refusal.status, refusal.code)
            return False
        self._begin(visit)
        return True

    def _begin(self, visit: Visit) -> None:
        last = self._arrival.visits >= self._house.limits.max_requests_per_connection
        turn = self._turn = Turn(visit, self, self._house, last=last)
        verdict = self._house.reception.receive(visit)
        if verdict is None:
            self._state = _State.LOOKUP
            self._wait(self._house.limits.answer_timeout)
            self._lookup = self._house.tasks.start(self._look_up(visit, turn), name="look up a visit")
        else:
            self._carry_out(verdict, turn)

    async def _look_up(self, visit: Visit, turn: Turn) -> None:
        try:
            verdict = await self._house.reception.admit(visit)
        except BaseException:
            self.transport.abort()  # whatever it was, nobody is left waiting
            raise
        finally:
            self._lookup = None
        if self._state is _State.LOOKUP:  # else it took too long, and nothing more is done for this visit
            self._carry_out(verdict, turn)
            self._read()

    def _carry_out(self, verdict: Route | Answer, turn: Turn) -> None:
        if turn.request_done:
            self._state = _State.ANSWER
            self.deadline = NEVER
        else:
            self._state = _State.BODY
            self._wait_for_body()
        if isinstance(verdict, Answer):
            turn.say(verdict)
        else:
            turn.set_off(verdict)

    def _take_body(self, turn: Turn) -> bool:
        data, self._held = self._held, b""
        self._moved += len(data)
        try:
            self._held = turn.take_body(data)
        except TinyChunks:
            self._break_off(400, "tiny_chunks")
            return False
        except BadChunk:
            self._break_off(400, "bad_chunk")
            return False
        except BodyTooLarge:
            self._break_off(413, "body_too_large")
            return False
        if self._state is _State.BODY and turn.request_done:
            self._state = _State.ANSWER
            self.deadline = NEVER
        if self._held and not turn.request_done:
            self._read_later()
            return False
        return True

    def _break_off(self, status: int, code: str) -> None:
        """End a turn whose request will never be whole."""
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.lost(code)
        if turn is None or turn.answering:
            self.transport.abort()
        else:
            self._refuse(status, code)

    def _refuse(self, status: int, code: str) -> None:
        """Answer what is no request, and listen no more: whatever follows would be guesswork."""
        answer = self._house.reception.refused(status, code)
        self.transport.write(answer_octets(answer, close=True, to_head=False))
        if self._house.access_log is not None:
            self._house.access_log.write(
                refusal_line(self._arrival, status=status, code=code, at=time.time())
            )
        self._end(linger=status in _MORE_IS_COMING)

    def _dismiss(self) -> None:
        """Close what is idle; the client is waited for, but not as long as one that is still reading."""
        self._state = _State.ENDING
        self.transport.close()
        self._wait(_GOODBYE)

    def _end(self, *, linger: bool) -> None:
        self._state = _State.ENDING
        self._held = b""
        if not linger or self.transport.is_closing():
            self.transport.close()
            if self._unsent < 0:
                self.deadline = NEVER  # TLS itself waits no longer than for a stalled body
            return
        # Closing while the client still sends resets the connection, and the answer is lost with it
        # (RFC 9112 section 9.6): read a little longer, and throw it away.
        self._wait(_LINGER)
        self._pause_or_resume()

    @property
    def _enough(self) -> float:
        """Octets in one ``stall_timeout`` that show that a slow client is moving all the same."""
        return self._house.limits.min_body_rate * self._house.limits.stall_timeout

    def _wait_for_head(self) -> None:
        limits = self._house.limits
        self._wait(limits.head_timeout if self._held else limits.idle_timeout)

    def _wait_for_body(self) -> None:
        self._moved = 0
        # While the upstream is what we wait for, the exchange watches the clock.
        if self._body_held:
            self.deadline = NEVER
        else:
            self._wait(self._house.limits.stall_timeout)

    def _wait(self, seconds: float) -> None:
        self.deadline = self._house.deadlines.now + seconds

    def _hold_answer(self, *, hold: bool) -> None:
        if self._tunnel is not None:
            self._tunnel.client_full(full=hold)
        elif self._turn is not None:
            self._turn.hold_answer(hold=hold)

    def _pause_or_resume(self) -> None:
        """Read from the socket only what there is a use, or room, for."""
        busy = self._state in (_State.LOOKUP, _State.ANSWER) or (
            self._state is _State.HEAD and self._unsent >= 0
        )
        pause = (
            self._later is not None
            or (self._body_held and self._state is _State.BODY)
            or (busy and len(self._held) > _MAX_HELD)
        )
        if pause != self._paused and not self.transport.is_closing():
            self._paused = pause
            if pause:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()
