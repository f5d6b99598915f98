"""Operators: who runs the platform, or one tenant's portal, and what becomes of them.

An operator chooses a password with a one-time link. Somebody can always let others in: the last platform
operator who may is neither removed nor disabled nor made a reader.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from router.console.operator_links import make_link, void_links
from router.console.operator_rows import (
    Operator,
    end_sessions,
    find_operator,
    locked_operator,
    one_operator,
    read_operator,
    selected_operators,
)
from router.console.tokens import count_made_by, revoke_made_by, tell_made_by
from router.errors import Conflict, NotFound
from router.identity.users import normalise_email
from router.storage.auditing import note
from router.storage.schema import new_id, operators, tenants

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.changes import Bell
    from router.storage.database import Database

MAX_LISTED: Final = 200
"""Operators that are listed at a time."""


class Operators:
    """The operators as others manage them. ``actor`` is who to name in the audit.

    ``within`` is the tenant that the asker is bound to, or none for whoever may see all: others' operators
    do not exist for them (``NotFound("no_such_operator")``). A change or a disabling ends the operator's
    sessions in the same transaction; the API tokens that they answer for (tokens.py) do no more than they
    may within a second. All methods raise ``Unavailable`` when the database is away.
    """

    def __init__(self, database: Database, bell: Bell, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._bell = bell
        self._clock = clock

    async def add(
        self, email: str, *, tenant_id: str | None, read_only: bool, actor: str
    ) -> tuple[str, Operator]:
        """Add an operator of a tenant, or of the platform (none); answer the token of their first link.

        Raises ``BadInput("bad_email")``, ``Conflict("email_taken")``, ``NotFound("tenant_not_found")``.
        """
        address, now = normalise_email(email), int(self._clock())
        row = {
            "id": new_id("opr"),
            "tenant_id": tenant_id,
            "email": address,
            "read_only": read_only,
            "disabled": False,
            "version": 1,
            "created_at": now,
            "updated_at": now,
        }
        try:
            async with self._database.write() as connection:
                await _check_tenant(connection, tenant_id)
                await connection.execute(insert(operators).values(row))
                token = await make_link(connection, str(row["id"]), now)
                made = await locked_operator(connection, str(row["id"]), tenant_id)
                await _note(connection, made, actor, "operator.add", {"role": made.role.value}, now)
        except IntegrityError as fault:
            raise Conflict("email_taken", f"{address} is an operator already.") from fault
        return token, made

    async def find(self, operator_id: str, *, within: str | None = None) -> Operator:
        """Find an operator. Raises ``NotFound``."""
        async with self._database.read() as connection:
            return await one_operator(connection, operator_id, within)

    async def find_by_email(self, email: str) -> Operator | None:
        """Find an operator by a normalised e-mail address, disabled ones too."""
        async with self._database.read() as connection:
            return await find_operator(connection, operators.c.email == email)

    async def list(
        self, *, within: str | None = None, after: str = "", limit: int = MAX_LISTED
    ) -> list[Operator]:
        """List operators by e-mail address, from the one behind ``after``."""
        listed = (
            selected_operators().where(operators.c.email > after).order_by(operators.c.email).limit(limit)
        )
        if within is not None:
            listed = listed.where(operators.c.tenant_id == within)
        async with self._database.read() as connection:
            return [read_operator(row) for row in await connection.execute(listed)]

    async def tokens_of(self, operator_ids: Sequence[str]) -> Mapping[str, int]:
        """Count the API tokens that operators answer for, but for those that are expired or revoked."""
        async with self._database.read() as connection:
            return await count_made_by(connection, operator_ids, self._clock())

    async def change(
        self,
        operator_id: str,
        *,
        read_only: bool | None = None,
        disabled: bool | None = None,
        actor: str,
        version: int | None = None,
        within: str | None = None,
    ) -> Operator:
        """Let an operator change things or only look, keep them out or let them in; none leaves it as it is.

        ``version`` is the one that the asker has seen. Raises ``Conflict`` with ``changed_meanwhile`` or
        ``last_operator``.
        """
        wanted = {"read_only": read_only, "disabled": disabled}
        values = {name: value for name, value in wanted.items() if value is not None}
        now = int(self._clock())
        async with self._database.write() as connection:
            await _lock_platforms(connection)
            before = await locked_operator(connection, operator_id, within)
            if version not in (None, before.version):
                raise Conflict("changed_meanwhile", "Somebody else changed this operator: look again.")
            after = replace(before, **values)  # type: ignore[arg-type]  # booleans, of fields that are
            if after == before:
                return before
            await _check_not_last(connection, before, after)
            after = replace(after, version=before.version + 1, updated_at=now)
            changed = values | {"version": after.version, "updated_at": now}
            await connection.execute(update(operators).where(operators.c.id == operator_id).values(changed))
            await end_sessions(connection, operator_id)
            if after.disabled:  # for good: letting them in again is not to open an old link
                await void_links(connection, operator_id)
            action, detail = _told(before, after)
            made = await count_made_by(connection, [operator_id], now)
            if made and before.disabled is not after.disabled:
                detail["tokens_stopped" if after.disabled else "tokens_resumed"] = made[operator_id]
            await _note(connection, after, actor, action, detail, now)
            await tell_made_by(connection, operator_id)
        await self._bell.ring()
        return after

    async def remove(self, operator_id: str, *, actor: str, within: str | None = None) -> Operator:
        """Remove an operator, and revoke their API tokens; answer them as they were.

        Raises ``Conflict("last_operator")``.
        """
        now = int(self._clock())
        async with self._database.write() as connection:
            await _lock_platforms(connection)
            before = await locked_operator(connection, operator_id, within)
            await _check_not_last(connection, before, None)
            made = await count_made_by(connection, [operator_id], now)
            await revoke_made_by(connection, operator_id, now)
            await connection.execute(delete(operators).where(operators.c.id == operator_id))
            detail = {"role": before.role.value} | ({"tokens_revoked": made[operator_id]} if made else {})
            await _note(connection, before, actor, "operator.remove", detail, now)
            await tell_made_by(connection, operator_id)
        await self._bell.ring()
        return before

    async def new_link(
        self, operator_id: str, *, actor: str, within: str | None = None
    ) -> tuple[str, Operator]:
        """Make another link for who lost theirs, or their password; earlier ones count no longer.

        The password stays what it is until the link is used. Raises ``Conflict("operator_disabled")``.
        """
        now = int(self._clock())
        async with self._database.write() as connection:
            operator = await locked_operator(connection, operator_id, within)
            if operator.disabled:
                raise Conflict("operator_disabled", f"{operator.email} is disabled: enable them first.")
            token = await make_link(connection, operator_id, now)
            await _note(connection, operator, actor, "operator.link", {}, now)
        return token, operator

    async def first_link(self) -> str | None:
        """Make the link with which the platform's first operator comes in; none where there is one."""
        async with self._database.write() as connection:
            if await connection.scalar(select(exists().where(operators.c.id.is_not(None)))):
                return None
            return await make_link(connection, None, int(self._clock()))


async def _check_tenant(connection: AsyncConnection, tenant_id: str | None) -> None:
    if tenant_id is None:
        return
    held = select(tenants.c.id).where(tenants.c.id == tenant_id).with_for_update(read=True)
    if await connection.scalar(held) is None:
        raise NotFound("tenant_not_found", "There is no such tenant any more.")


_OF_PLATFORM = operators.c.tenant_id.is_(None)


async def _lock_platforms(connection: AsyncConnection) -> None:
    """Have whoever else would take away a platform operator wait: of two, one is the last."""
    held = select(operators.c.id).where(_OF_PLATFORM).order_by(operators.c.id)
    await connection.execute(held.with_for_update())


def _runs_the_platform(operator: Operator | None) -> bool:
    return (
        operator is not None and operator.tenant_id is None and not (operator.read_only or operator.disabled)
    )


async def _check_not_last(connection: AsyncConnection, before: Operator, after: Operator | None) -> None:
    """Refuse to leave nobody who can sign in and do everything; or nobody at all who is to."""
    if not _runs_the_platform(before) or _runs_the_platform(after):
        return
    others = _OF_PLATFORM & (operators.c.id != before.id)
    others &= operators.c.read_only.is_(False) & operators.c.disabled.is_(False)
    if before.password_hash is not None:
        others &= operators.c.password_hash.is_not(None)
    if await connection.scalar(select(operators.c.id).where(others).limit(1)) is None:
        sentence = f"{before.email} is the last platform operator who can sign in: have another one first."
        raise Conflict("last_operator", sentence)


def _told(before: Operator, after: Operator) -> tuple[str, dict[str, Any]]:
    """Say what was done, and how it was before."""
    detail: dict[str, Any] = {}
    if before.role is not after.role:
        detail["role"] = {"from": before.role.value, "to": after.role.value}
    if before.disabled is not after.disabled:
        detail["disabled"] = {"from": before.disabled, "to": after.disabled}
    if "role" in detail:
        return "operator.change", detail
    return ("operator.disable" if after.disabled else "operator.enable"), detail


async def _note(
    connection: AsyncConnection, operator: Operator, actor: str, action: str, detail: dict[str, Any], now: int
) -> None:
    facts = {"email": operator.email} | detail
    await note(connection, actor, action, operator.id, facts, now, tenant_id=operator.tenant_id)
