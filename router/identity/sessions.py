"""Sessions: who is signed in, by the token in the browser's cookie.

The token is 256 random bits and is stored nowhere; its SHA-256 is the key of the row, of the cache entry and
of the `changes` row that ends it everywhere (DESIGN: sessions; ASVS 7.2).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter
from sqlalchemy import and_, bindparam, delete, exists, false, insert, select, update

from router.errors import BadInput, Conflict, NotFound, Unavailable
from router.identity.revoke import Ended, note_ended, revoke_sessions, touched_sessions
from router.identity.session import Session
from router.identity.session_rows import LISTED, STORED, SessionRecord, has_ended, joined
from router.identity.users import parse_customer
from router.storage.lookup import PENDING, Lookup, Pending
from router.storage.schema import memberships, new_id, sessions, users
from router.storage.waiting_room import WaitingRoom

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement

    from router.identity.user import User
    from router.storage.cache import Cache
    from router.storage.changes import Bell, ChangeFeed
    from router.storage.database import Database

TOKEN_LENGTH: Final = 43
"""Characters of a token: 32 random bytes in base64url."""

_TOUCHED_EVERY = 60
_WRITTEN_EVERY = 5.0
_SWEPT_EVERY = 600
_SWEPT_AT_ONCE = 10_000
_SESSION = TypeAdapter(Session)
_ID = re.compile(r"ses_[0-9a-f]{24}")


def new_token() -> str:
    """Make a token: 256 random bits (ASVS 7.2.3)."""
    return secrets.token_urlsafe(32)


def key_of(token: bytes | str) -> str:
    """Digest a token into the key under which its session is stored."""
    raw = token if isinstance(token, bytes) else token.encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).hexdigest()


class Sessions:
    """The sessions of every tenant, found on the hot path and ended within a second everywhere.

    Found in memory, else in the cache, else in the database. When the database is away, a session in memory
    stays good until it ends by its own times; one that is not in memory cannot be judged (``Unavailable``).
    ``run`` must be running for uses to be written down. ``idle`` and ``life`` are in seconds.
    """

    def __init__(
        self,
        database: Database,
        cache: Cache | None,
        bell: Bell,
        feed: ChangeFeed,
        *,
        idle: int = 43_200,
        life: int = 2_592_000,
        capacity: int = 50_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._bell = bell
        self._idle = idle
        self._life = life
        self._capacity = capacity
        self._clock = clock
        self._seen: dict[str, int] = {}  # when this worker last saw a session used, the latest last
        self._unwritten: dict[str, int] = {}
        self._room = WaitingRoom("sessions")
        self._lookup: Lookup[Session] = Lookup(
            "session",
            self._load,
            cache,
            _SESSION.dump_json,
            _SESSION.validate_json,
            capacity=capacity,
            room=self._room,
            position=lambda: feed.position,
        )
        feed.subscribe("session", self._lookup.drop)
        feed.subscribe_reset(self._lookup.clear)

    def __repr__(self) -> str:
        return f"Sessions(seen={len(self._seen)}, unwritten={len(self._unwritten)})"

    def peek(self, token: str) -> Session | Pending | None:
        """Find a session in memory alone; ``PENDING`` when :meth:`find` has to be awaited.

        Costs about a microsecond. What cannot be a token is known absent without being looked up.
        """
        if len(token) != TOKEN_LENGTH:
            return None
        session = self._lookup.peek(key_of(token))
        if session is None or session is PENDING:
            return session
        return self._current(session) or PENDING

    async def find(self, token: str, asker: str = "") -> Session | None:
        """Find the session of a token: None when it ended, was revoked, or never was.

        ``asker`` is the client's address, or its network's.

        A session that looks ended is read again from the database first, since another worker may have seen
        it used. Raises ``Unavailable`` when it is not in memory and the database is away, and when too many
        strangers' tokens are looked for.
        """
        if len(token) != TOKEN_LENGTH:
            return None
        key = key_of(token)
        session = await self._lookup.find(key, asker)
        if session is None:
            return None
        return self._current(session) or await self._read_again(key)

    def in_use(self, session: Session) -> bool:
        """Whether a session that was found earlier still lives, by what this worker knows of its use."""
        return self._current(session) is not None

    async def lives(self, session: Session) -> bool:
        """Whether it still lives, by what any worker has written down of its use.

        Raises ``Unavailable`` when only the database could tell.
        """
        if self._clock() >= session.expires_at:
            return False
        return self.in_use(session) or await self._read_again(session.key) is not None

    def touch(self, session: Session, now: float) -> None:
        """Note that a session was used; at most once a minute for each, written later by ``run``."""
        seen = max(session.seen_at, self._seen.get(session.key, 0))
        if now - seen < min(_TOUCHED_EVERY, session.idle_life // 4):
            return
        self._see(session.key, int(now))
        self._unwritten[session.key] = int(now)

    async def start(
        self,
        tenant_id: str,
        user: User,
        *,
        address: str,
        user_agent: str,
        now: float,
        remember: bool = False,
    ) -> tuple[str, Session]:
        """Start a session for a user whose password was just verified; answer its token, this once, and it.

        A user with one customer acts for it from the start. One who wants to be remembered is not signed out
        for being idle, only at the session's absolute end. Raises ``Conflict("user_changed")`` when the user
        was disabled, removed or given another password since ``user`` was read.
        """
        token = new_token()
        session = Session(
            key=key_of(token),
            id=new_id("ses"),
            tenant_id=tenant_id,
            user_id=user.id,
            email=user.email,
            customer=user.customers[0] if len(user.customers) == 1 else "",
            signed_in_at=int(now),
            seen_at=int(now),
            expires_at=int(now) + self._life,
            idle_life=self._life if remember else self._idle,
            remembered=remember,
        )
        await self._insert(session, user, address=address[:45], user_agent=_printable(user_agent)[:200])
        return token, session

    async def choose(self, session: Session, customer: str) -> Session:
        """Have a session act for one of its user's customers; what was open for another one is closed.

        Raises ``BadInput("not_your_customer")``, also for a session that has ended.
        """
        try:
            reference = parse_customer(customer)
        except BadInput as fault:
            raise _not_theirs() from fault
        member = and_(memberships.c.user_id == sessions.c.user_id, memberships.c.customer == reference)
        this = (sessions.c.key == session.key) & exists().where(member)
        async with self._database.write() as connection:
            change = update(sessions).values(customer=reference)
            keys, sequence = await touched_sessions(connection, this, change)
            if not keys:
                raise _not_theirs()
        self._lookup.drop(session.key, sequence)
        await self._bell.ring()
        return replace(session, customer=reference)

    async def revoke(self, key: str) -> None:
        """End one session, on every worker within a second; one that is not there is ended already."""
        await self._revoke(sessions.c.key == key)

    async def revoke_id(self, user_id: str, session_id: str, *, actor: str | None = None) -> None:
        """End one session of a user by its public name; another user's is left alone.

        ``actor`` is who to name in the audit when it is not the user's own doing. Raises
        ``NotFound("no_such_session")``, also for one that ended already.
        """
        this = (sessions.c.user_id == user_id) & (sessions.c.id == session_id)
        ended = Ended("session.end", session_id, actor)
        # PostgreSQL has no text for all that a form can hold.
        if not _ID.fullmatch(session_id) or not await self._revoke(this, ended):
            raise NotFound("no_such_session", "There is no such session: it ended, or never was.")

    async def revoke_others(self, user_id: str, keep: str) -> None:
        """End every session of a user but the one with the key ``keep``."""
        await self._revoke((sessions.c.user_id == user_id) & (sessions.c.key != keep))

    async def revoke_user(self, user_id: str, *, actor: str | None = None) -> int:
        """End every session of a user, and say how many that were; ``actor`` as in ``revoke_id``."""
        ended = Ended("user.end_sessions", user_id, actor)
        return await self._revoke(sessions.c.user_id == user_id, ended)

    async def revoke_tenant(self, tenant_id: str, *, actor: str | None = None) -> int:
        """End every session at a tenant's portal, and say how many that were; ``actor`` as above."""
        ended = Ended("tenant.end_sessions", tenant_id, actor)
        return await self._revoke(sessions.c.tenant_id == tenant_id, ended)

    async def of_user(self, user_id: str) -> list[SessionRecord]:
        """List a user's sessions that have not ended, the latest used first."""
        listed = joined(LISTED).where(sessions.c.user_id == user_id, ~has_ended(int(self._clock())))
        async with self._database.read() as connection:
            rows = await connection.execute(listed.order_by(sessions.c.seen_at.desc(), sessions.c.id))
            return [SessionRecord(**row) for row in rows.mappings()]

    async def addresses(self, tenant_id: str, email: str) -> list[str]:
        """List the client addresses at which an account's sessions were started."""
        account = (users.c.tenant_id == tenant_id) & (users.c.email == email)
        async with self._database.read() as connection:
            found = select(sessions.c.address).join(users, users.c.id == sessions.c.user_id).where(account)
            return [str(address) for address in await connection.scalars(found.distinct().limit(1000))]

    async def run(self) -> None:
        """Write down, every few seconds, when sessions were last used, and sweep out those that ended.

        For ever; the last uses are written when it is cancelled. While the database is away they are kept.
        """
        sweep_at = 0.0
        try:
            while True:
                with suppress(Unavailable):  # the database says so itself, once; what is unwritten is kept
                    await self.flush()
                    if self._clock() >= sweep_at:
                        await self._sweep()
                        sweep_at = self._clock() + _SWEPT_EVERY  # only then: what failed is done soon
                await asyncio.sleep(_WRITTEN_EVERY)
        finally:
            with suppress(Unavailable):
                await self.flush()

    async def close(self) -> None:
        """End the lookups that are under way."""
        await self._lookup.close()

    async def flush(self) -> None:
        """Write down what ``touch`` has noted. Raises ``Unavailable``, having lost nothing."""
        batch, self._unwritten = self._unwritten, {}
        if not batch:
            return
        statement = (
            update(sessions)
            .where(sessions.c.key == bindparam("of"), sessions.c.seen_at < bindparam("at"))
            .values(seen_at=bindparam("at"))
        )
        try:
            async with self._database.write() as connection:
                # In one order everywhere, so that two workers' batches never wait for each other.
                await connection.execute(statement, [{"of": key, "at": batch[key]} for key in sorted(batch)])
        except BaseException:
            self._unwritten = batch | self._unwritten
            raise

    def _current(self, session: Session) -> Session | None:
        """Answer a session as this worker knows it to be used, or None if it looks ended."""
        now = self._clock()
        if now >= session.expires_at:
            return None
        if now < session.seen_at + session.idle_life:
            return session
        seen = self._seen.get(session.key, 0)
        return replace(session, seen_at=seen) if now < seen + session.idle_life else None

    def _see(self, key: str, at: int) -> None:
        self._seen.pop(key, None)
        while len(self._seen) >= self._capacity:
            oldest = next(iter(self._seen))
            del self._seen[oldest]
            self._unwritten.pop(oldest, None)
        self._seen[key] = at

    async def _read_again(self, key: str) -> Session | None:
        async with self._room.turn(known=True):
            session = await self._load(key)
        if session is None:
            self._lookup.drop(key)  # so that it comes to be remembered as absent
        else:
            self._see(key, session.seen_at)
        return session

    async def _load(self, key: str) -> Session | None:
        async with self._database.read() as connection:
            found = joined(STORED, users.c.email).where(sessions.c.key == key)
            row = (await connection.execute(found)).mappings().one_or_none()
        return None if row is None else self._current(Session(**row))

    async def _insert(self, session: Session, user: User, *, address: str, user_agent: str) -> None:
        row = {name: getattr(session, name) for name in STORED} | {"customer": session.customer or None}
        # Held until the commit, against a change of password or a disabling that is under way: whichever
        # is second sees the other, and no session outlives it.
        unchanged = select(users.c.id).where(
            users.c.id == user.id,
            users.c.tenant_id == session.tenant_id,
            users.c.password_hash == user.password_hash,
            users.c.disabled == false(),
        )
        async with self._database.write() as connection:
            if await connection.scalar(unchanged.with_for_update(read=True)) is None:
                raise Conflict("user_changed", "The user was changed while signing in.")
            await connection.execute(insert(sessions).values(**row, address=address, user_agent=user_agent))

    async def _revoke(self, condition: ColumnElement[bool], ended: Ended | None = None) -> int:
        async with self._database.write() as connection:
            if ended is not None:
                await note_ended(connection, condition, ended, self._clock())
            revoked, sequence = await revoke_sessions(connection, condition)
        for key in revoked:
            self._lookup.drop(key, sequence)  # here at once, elsewhere by the change feed
        if revoked:
            await self._bell.ring()
        return len(revoked)

    async def _sweep(self) -> None:
        ended = select(sessions.c.key).where(has_ended(int(self._clock())))
        async with self._database.write() as connection:
            # Those that another worker is writing to are left to the next time.
            locked = ended.limit(_SWEPT_AT_ONCE).with_for_update(skip_locked=True)
            await connection.execute(delete(sessions).where(sessions.c.key.in_(locked)))


def _not_theirs() -> BadInput:
    return BadInput("not_your_customer", "Choose one of the customers that are listed.")


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
