"""The sessions of operators, read from the database at each request: there are few, and none is stale.

A session is found by the SHA-256 of a 256-bit token that only the cookie ``__Host-console-session`` holds.
It ends when it was not used for an hour, and twelve hours after the sign-in in any case.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, false, insert, select, update

from router.console.operator_rows import Operator, end_sessions, find_operator
from router.errors import Conflict, NotFound, Unavailable
from router.identity.sessions import TOKEN_LENGTH, key_of, new_token
from router.storage.auditing import note
from router.storage.schema import new_id, operator_sessions, operators

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.database import Database

IDLE: Final = 3600
"""Seconds without use after which a session ends."""

LIFE: Final = 12 * 3600
"""Seconds after which a session ends, whatever it was used for."""

_TOUCHED_EVERY: Final = 60
_ID: Final = re.compile(r"ops_[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class OperatorSession:
    """A session that has not ended; ``id`` is its public name and opens nothing. Times in unix seconds."""

    key: str
    id: str
    operator_id: str
    signed_in_at: int
    seen_at: int
    expires_at: int
    address: str
    user_agent: str


class OperatorSessions:
    """Starts, finds and ends sessions. All methods raise ``Unavailable`` when the database is away."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def start(self, operator: Operator, *, address: str, user_agent: str, previous: str | None) -> str:
        """Start a session for an operator whose password was just verified; answer its token, this once.

        ``previous`` is the token that the browser came with: its session ends. Raises
        ``Conflict("operator_changed")`` when the operator is not any more as ``operator`` says.
        """
        token, now = new_token(), int(self._clock())
        row = {
            "key": key_of(token),
            "id": new_id("ops"),
            "operator_id": operator.id,
            "signed_in_at": now,
            "seen_at": now,
            "expires_at": now + LIFE,
            "address": address[:45],
            "user_agent": _printable(user_agent)[:200],
        }
        replaced = operator_sessions.c.key == key_of(previous) if previous is not None else false()
        async with self._database.write() as connection:
            await _check_unchanged(connection, operator)
            await connection.execute(delete(operator_sessions).where(_ended(now) | replaced))
            await connection.execute(insert(operator_sessions).values(row))
            facts = {"email": operator.email}
            await note(
                connection,
                operator.actor,
                "operator.sign-in",
                operator.id,
                facts,
                now,
                tenant_id=operator.tenant_id,
            )
        return token

    async def find(self, token: str) -> tuple[OperatorSession, Operator] | None:
        """Find the session of a token, and whose it is; note at most once a minute that it is used."""
        if len(token) != TOKEN_LENGTH:
            return None
        now, this = int(self._clock()), operator_sessions.c.key == key_of(token)
        async with self._database.read() as connection:
            row = (
                await connection.execute(select(operator_sessions).where(this, ~_ended(now)))
            ).one_or_none()
            if row is None:
                return None
            session = OperatorSession(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name for it
            operator = await find_operator(connection, operators.c.id == session.operator_id)
        if operator is None or operator.disabled:
            return None
        if now - session.seen_at >= _TOUCHED_EVERY:
            with suppress(Unavailable):  # the database says so itself; they are shown their page all the same
                await self._touch(session, now)
        return session, operator

    async def of_operator(self, operator_id: str) -> list[OperatorSession]:
        """List an operator's sessions that have not ended, the latest used first."""
        theirs = (operator_sessions.c.operator_id == operator_id) & ~_ended(int(self._clock()))
        listed = select(operator_sessions).where(theirs)
        async with self._database.read() as connection:
            rows = await connection.execute(
                listed.order_by(operator_sessions.c.seen_at.desc(), operator_sessions.c.id)
            )
            return [OperatorSession(**row) for row in rows.mappings()]

    async def revoke(self, operator_id: str, session_id: str) -> None:
        """End one session of an operator by its public name. Raises ``NotFound("no_such_session")``."""
        this = (operator_sessions.c.operator_id == operator_id) & (operator_sessions.c.id == session_id)
        ended = 0
        if _ID.fullmatch(session_id):  # PostgreSQL has no text for all that a path can hold
            async with self._database.write() as connection:
                ended = (await connection.execute(delete(operator_sessions).where(this))).rowcount
        if not ended:
            raise NotFound("no_such_session", "That session has ended already.")

    async def revoke_others(self, operator_id: str, keep: str) -> None:
        """End every session of an operator but the one with the key ``keep``."""
        async with self._database.write() as connection:
            await end_sessions(connection, operator_id, keep=keep)

    async def sign_out(self, token: str) -> None:
        """End the session of a token; one that is not there is ended already."""
        async with self._database.write() as connection:
            await connection.execute(
                delete(operator_sessions).where(operator_sessions.c.key == key_of(token))
            )

    async def addresses(self, _place: str, email: str) -> list[str]:
        """List the client addresses at which an operator's sessions were started (for the throttle)."""
        joined = select(operator_sessions.c.address).join(
            operators, operators.c.id == operator_sessions.c.operator_id
        )
        async with self._database.read() as connection:
            found = joined.where(operators.c.email == email).distinct().limit(100)
            return [str(address) for address in await connection.scalars(found)]

    async def _touch(self, session: OperatorSession, now: int) -> None:
        this = (operator_sessions.c.key == session.key) & (operator_sessions.c.seen_at < now)
        async with self._database.write() as connection:
            await connection.execute(update(operator_sessions).where(this).values(seen_at=now))


async def _check_unchanged(connection: AsyncConnection, operator: Operator) -> None:
    """Hold the operator until the commit: a disabling or another password that is under way is seen."""
    same: Mapping[str, Any] = {"id": operator.id, "disabled": False, "password_hash": operator.password_hash}
    unchanged = select(operators.c.id).where(*(operators.c[name] == value for name, value in same.items()))
    if await connection.scalar(unchanged.with_for_update(read=True)) is None:
        raise Conflict("operator_changed", "The operator was changed while signing in.")


def _ended(now: int) -> ColumnElement[bool]:
    return (operator_sessions.c.expires_at <= now) | (operator_sessions.c.seen_at + IDLE <= now)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
