"""Ending and changing sessions, inside whatever transaction has the reason for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from router.storage.auditing import note
from router.storage.changes import record_all
from router.storage.schema import changes, sessions

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Update
    from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Ended:
    """How the audit calls what ends sessions, whose they are, and who ends them (none: the user alone)."""

    action: str
    subject: str
    actor: str | None


async def note_ended(
    connection: AsyncConnection, condition: ColumnElement[bool], ended: Ended, now: float
) -> None:
    """Write the audit of sessions that somebody else than their user is about to end, if there are any."""
    if ended.actor is None:
        return
    found = select(sessions.c.tenant_id, func.count()).where(condition).group_by(sessions.c.tenant_id)
    for tenant_id, count in (await connection.execute(found)).all():
        told = {"ended": count}
        await note(connection, ended.actor, ended.action, ended.subject, told, now, tenant_id=tenant_id)


async def revoke_sessions(
    connection: AsyncConnection, condition: ColumnElement[bool]
) -> tuple[list[str], int]:
    """Delete the sessions that meet a condition and tell every worker; answer their keys and the last change.

    Call it last in a write transaction, and ring the bell when that is committed.
    """
    await _lock(connection, condition)
    keys = await connection.scalars(delete(sessions).where(condition).returning(sessions.c.key))
    return await _told(connection, [str(key) for key in keys])


async def touched_sessions(
    connection: AsyncConnection, condition: ColumnElement[bool], change: Update | None = None
) -> tuple[list[str], int]:
    """Tell every worker that the sessions that meet a condition are not what they were; they go on.

    ``change`` is made to them before, if it is theirs; answer and use are those of :func:`revoke_sessions`.
    """
    keys = await _lock(connection, condition)
    if change is not None and keys:
        await connection.execute(change.where(sessions.c.key.in_(keys)))
    return await _told(connection, keys)


async def _lock(connection: AsyncConnection, condition: ColumnElement[bool]) -> list[str]:
    # In the order in which Sessions.flush locks them, so that neither waits for the other.
    found = select(sessions.c.key).where(condition).order_by(sessions.c.key).with_for_update()
    return [str(key) for key in await connection.scalars(found)]


async def _told(connection: AsyncConnection, keys: list[str]) -> tuple[list[str], int]:
    await record_all(connection, "session", keys)
    return keys, await connection.scalar(select(func.max(changes.c.sequence))) or 0
