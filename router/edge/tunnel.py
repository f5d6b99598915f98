"""Tunnels: connections that have become WebSockets, octets both ways until either end goes.

A tunnel lives as long as the session that opened it: it is closed within a second when that is revoked, and
within a few when its time is over, with a close frame where one fits in. A session is in use wherever it is:
one whose user is busy in another tab, on another node, keeps its tunnels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import structlog

from router.edge.frames import GOING_AWAY, POLICY
from router.edge.way import Way
from router.errors import Unavailable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from router.edge.deadlines import Deadlines
    from router.identity.session import Session
    from router.identity.sessions import Sessions
    from router.observe.tasks import Tasks

_log = structlog.get_logger(__name__)

_LAST_WORDS: Final = 2.0
"""Seconds in which both ends may answer a close frame before the connections are closed."""

_LOOK_EVERY: Final = 5.0
"""Seconds between two looks at what goes on: whether it is more than a flood, whether its session lives."""

_ENDED_REMEMBERED: Final = 10_000
"""Sessions that have ended: more than can end while one opening handshake is under way."""


class Tunnel:
    """One upgraded connection. Each end's fullness stops the other's reading: memory stays bounded.

    ``session`` is whose it is (none on a public path); ``used`` is told when the client sends something.
    ``patience`` is for how many seconds an end that is closed may leave unread what the other one sent last.
    """

    __slots__ = (
        "_client",
        "_deadlines",
        "_ended",
        "_goodbye",
        "_patience",
        "_to_client",
        "_to_upstream",
        "_upstream",
        "_used",
        "deadline",
        "session",
    )

    def __init__(
        self,
        client: asyncio.Transport,
        upstream: asyncio.Transport,
        *,
        session: Session | None,
        deadlines: Deadlines,
        used: Callable[[Session], None],
        patience: float,
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._deadlines = deadlines
        self._used = used
        self._patience = patience
        self._to_client = Way(upstream, client, masked=False)
        self._to_upstream = Way(client, upstream, masked=True)
        self._goodbye = False  # the end has come, and been told
        self._ended = False  # both ends are closing
        self.session = session
        self.deadline = deadlines.now + _LOOK_EVERY
        deadlines.add(self)

    def from_client(self, data: bytes) -> None:
        """Pass on what the client sent."""
        if self._to_upstream.pass_on(data):
            if self.session is not None:
                self._used(self.session)
            if self._to_upstream.flooded:
                self._end_flood("client")

    def from_upstream(self, data: bytes) -> None:
        """Pass on what the upstream sent."""
        if self._to_client.pass_on(data) and self._to_client.flooded:
            self._end_flood("upstream")

    def client_full(self, *, full: bool) -> None:
        """The client does not read, or reads again."""
        self._to_client.full(full=full)

    def upstream_full(self, *, full: bool) -> None:
        """The upstream does not read, or reads again."""
        self._to_upstream.full(full=full)

    def end(self) -> None:
        """Close both ends, because one of them is gone; what it sent last still goes out, if it is read."""
        if not self._ended:
            self._ended = True
            self._to_client.flush()
            self._to_upstream.flush()
            self.deadline = self._deadlines.now + self._patience
            self._client.close()
            self._upstream.close()
        if not self._client.get_write_buffer_size() and not self._upstream.get_write_buffer_size():
            self._deadlines.discard(self)

    def close(self, code: int) -> None:
        """Say goodbye to both ends (RFC 6455 section 7.1.1), and close when they have had time to answer.

        Where a frame is under way, the goodbye comes after it.
        """
        if self._goodbye:
            return
        self._goodbye = True
        self.deadline = self._deadlines.now + _LAST_WORDS
        self._to_client.say_goodbye(code)
        self._to_upstream.say_goodbye(code)

    def expire(self) -> None:
        """Look how it is used; after the last words, close; and cut what is closed and not read."""
        if self._ended:
            self._deadlines.discard(self)
            self._client.abort()
            self._upstream.abort()
        elif self._goodbye:
            self.end()
        else:
            self.deadline = self._deadlines.now + _LOOK_EVERY
            self._to_client.look()
            self._to_upstream.look()

    def _end_flood(self, whose: str) -> None:
        _log.warning("a tunnel was flooded with frames that carry nothing", by=whose)
        self.close(POLICY)


class Lasting(Protocol):
    """What goes on until somebody ends it: a tunnel, or an answer whose length is not known."""

    @property
    def session(self) -> Session | None:
        """Whose it is; none on a public path."""

    def close(self, code: int) -> None:
        """End it, for a reason told as a WebSocket tells it (RFC 6455 section 7.4.1)."""


class Tunnels:
    """What lasts in a worker, by the session that each belongs to: tunnels, and event streams beside them.

    Every few seconds it is looked whose session has ended. While the database is away, and a session's last
    use may be known to another worker, it is not ended for being idle.
    """

    def __init__(self, sessions: Sessions, deadlines: Deadlines, tasks: Tasks) -> None:
        self._sessions = sessions
        self._deadlines = deadlines
        self._tasks = tasks
        self._asked: set[str] = set()  # sessions that are being asked about
        self.deadline = deadlines.now + _LOOK_EVERY
        deadlines.add(self)
        self._by_session: dict[str | None, set[Lasting]] = {}
        self._ended: dict[str | None, None] = {}  # the latest last

    def __len__(self) -> int:
        return sum(map(len, self._by_session.values()))

    def add(self, lasting: Lasting) -> None:
        """Watch for the end of its session, which may have come while the upstream took its time."""
        self._by_session.setdefault(_key(lasting), set()).add(lasting)
        if _key(lasting) in self._ended:
            lasting.close(POLICY)

    def discard(self, lasting: Lasting) -> None:
        """Watch no longer what has ended."""
        held = self._by_session.get(_key(lasting), set())
        held.discard(lasting)
        if not held:
            self._by_session.pop(_key(lasting), None)

    def end_session(self, session_key: str) -> None:
        """Close what a session opened, and what it is about to, because it was revoked."""
        self._ended[session_key] = None
        if len(self._ended) > _ENDED_REMEMBERED:
            del self._ended[next(iter(self._ended))]
        for lasting in list(self._by_session.get(session_key, ())):
            lasting.close(POLICY)

    def expire(self) -> None:
        """Look whose session has ended; where only the database can tell, ask it."""
        self.deadline = self._deadlines.now + _LOOK_EVERY
        for held in list(self._by_session.values()):
            session = next(iter(held)).session
            if session is None or session.key in self._asked or self._sessions.in_use(session):
                continue
            self._asked.add(session.key)
            self._tasks.start(self._ask(session), name="ask whether a session lives")

    async def _ask(self, session: Session) -> None:
        try:
            if not await self._sessions.lives(session):
                self.end_session(session.key)
        except Unavailable:
            pass  # asked again in a few seconds; the database has logged its outage
        finally:
            self._asked.discard(session.key)

    def close_all(self) -> None:
        """Close everything: the worker goes, or does not know which sessions were revoked."""
        for held in list(self._by_session.values()):
            for lasting in list(held):
                lasting.close(GOING_AWAY)


def _key(lasting: Lasting) -> str | None:
    return lasting.session.key if lasting.session is not None else None
