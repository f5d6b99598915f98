"""Operators sign in by the portal's rules (identity/sign_in.py), and choose their passwords.

An attempt is counted before anything else; then exactly one Argon2 verification is done, for an unknown or
disabled operator against a hash that nothing matches; and the answer is the same whoever is unknown.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, update

from router.console.operator_links import OperatorLink, look_at_link, spend_link, void_links
from router.console.operator_rows import Operator, end_sessions, find_operator, locked_operator
from router.errors import BadInput, Conflict, Unavailable
from router.identity.passwords import check_new_password
from router.identity.sign_in import WRONG, Refused, too_many
from router.identity.throttle import Wait
from router.identity.users import normalise_email
from router.storage.auditing import note
from router.storage.schema import new_id, operators

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.console.operator_sessions import OperatorSession, OperatorSessions
    from router.console.operators import Operators
    from router.identity.passwords import Passwords
    from router.identity.throttling import Throttle
    from router.storage.database import Database

PLACE: Final = "console"
"""What attempts are counted under, in the place of a tenant's id."""

_WRONG_PASSWORD: Final = Refused("password_wrong", "The present password is not right.")


class OperatorSignIn:
    """Checks who an operator is. All methods raise ``Unavailable`` (database away, or ``busy``)."""

    def __init__(
        self,
        database: Database,
        operators: Operators,
        sessions: OperatorSessions,
        passwords: Passwords,
        throttle: Throttle,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._operators = operators
        self._sessions = sessions
        self._passwords = passwords
        self._throttle = throttle
        self._clock = clock

    async def attempt(
        self, email: str, password: str, *, address: str, user_agent: str, previous: str | None = None
    ) -> str | Refused:
        """Try to sign in; the answer is a new session's token, or why not.

        ``previous`` is the session token the browser came with, if any: it ends.
        """
        account, plausible = _account(email)
        verdict = await self._throttle.spend(PLACE, account, address, self._clock())
        if isinstance(verdict, Wait):
            return too_many(verdict.seconds)
        operator = await self._operators.find_by_email(account) if plausible else None
        stored = None if operator is None or operator.disabled else operator.password_hash
        if not await self._passwords.verify(stored, password) or operator is None:
            return WRONG
        try:
            token = await self._sessions.start(
                operator, address=address, user_agent=user_agent, previous=previous
            )
        except Conflict:  # disabled, or given another password, while this one was being verified
            return WRONG
        with suppress(Unavailable):  # they are signed in by now
            await self._settle(operator, password, address)
        return token

    async def look(self, token: str) -> OperatorLink:
        """Say what a one-time link stands for. Raises ``NotFound``, ``Conflict``."""
        async with self._database.read() as connection:
            return await look_at_link(connection, token, int(self._clock()))

    async def welcome(self, token: str, password: str, *, email: str = "") -> Operator:
        """Choose a password by a one-time link; ``email`` is whose, where the link makes the first operator.

        Every session of the operator ends. Raises ``NotFound("link_unknown")``, ``Conflict`` with
        ``link_used``, ``link_expired`` or ``link_voided``, and ``BadInput`` for the address or the password.
        """
        link = await self.look(token)
        address = link.operator.email if link.operator is not None else normalise_email(email)
        check_new_password(password, email=address)
        hashed = await self._passwords.hash(password)
        now = int(self._clock())
        async with self._database.write() as connection:
            spent = await spend_link(connection, token, now)
            if spent.operator is None:
                return await _add_first(connection, address, hashed, now)
            actor = f"link:{spent.operator.email}"
            return await _set_password(connection, spent.operator, hashed, actor, now, keep=None)

    async def change_password(
        self, operator: Operator, session: OperatorSession, present: str, password: str, *, address: str
    ) -> Refused | None:
        """Give a signed-in operator another password; their other sessions end.

        The present one is asked for, in the budget of signing in. Raises ``BadInput`` for the new one.
        """
        verdict = await self._throttle.spend(PLACE, operator.email, address, self._clock())
        if isinstance(verdict, Wait):
            return too_many(verdict.seconds)
        if not await self._passwords.verify(operator.password_hash, present):
            return _WRONG_PASSWORD
        check_new_password(password, email=operator.email)
        hashed = await self._passwords.hash(password)
        now = int(self._clock())
        async with self._database.write() as connection:
            held = await locked_operator(connection, operator.id, None)
            if held.password_hash != operator.password_hash:
                raise Conflict("changed_meanwhile", "The password was changed meanwhile: sign in again.")
            await _set_password(connection, held, hashed, operator.actor, now, keep=session.key)
        return None

    async def _settle(self, operator: Operator, password: str, address: str) -> None:
        await self._throttle.succeeded(PLACE, operator.email, address, self._clock())
        stored = operator.password_hash
        if stored is not None and self._passwords.outdated(stored):
            same = (operators.c.id == operator.id) & (operators.c.password_hash == stored)
            hashed = await self._passwords.hash(password)
            async with self._database.write() as connection:
                await connection.execute(update(operators).where(same).values(password_hash=hashed))


async def _add_first(connection: AsyncConnection, email: str, hashed: str, now: int) -> Operator:
    row = {
        "id": new_id("opr"),
        "email": email,
        "read_only": False,
        "password_hash": hashed,
        "disabled": False,
        "version": 1,
        "created_at": now,
        "updated_at": now,
    }
    await connection.execute(insert(operators).values(row))
    made = await locked_operator(connection, str(row["id"]), None)
    detail = {"email": email, "role": made.role.value}
    await note(connection, f"link:{email}", "operator.add", made.id, detail, now, tenant_id=None)
    return made


async def _set_password(
    connection: AsyncConnection, operator: Operator, hashed: str, actor: str, now: int, *, keep: str | None
) -> Operator:
    this = operators.c.id == operator.id
    await connection.execute(update(operators).where(this).values(password_hash=hashed, updated_at=now))
    await end_sessions(connection, operator.id, keep=keep)
    await void_links(connection, operator.id)  # who found one is not to undo this
    facts = {"email": operator.email}
    await note(connection, actor, "operator.password", operator.id, facts, now, tenant_id=operator.tenant_id)
    changed = await find_operator(connection, this)
    assert changed is not None  # noqa: S101 - it was just written
    return changed


def _account(email: str) -> tuple[str, bool]:
    """Name the account for counting, and say whether an operator can have that name at all."""
    try:
        return normalise_email(email), True
    except BadInput:
        return email[:500].casefold(), False
