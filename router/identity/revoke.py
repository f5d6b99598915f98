"""Ending sessions, inside whatever transaction has the reason for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from router.storage.changes import record_all
from router.storage.schema import changes, sessions

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection


async def revoke_sessions(
    connection: AsyncConnection, condition: ColumnElement[bool]
) -> tuple[list[str], int]:
    """Delete the sessions that meet a condition and tell every worker; answer their keys and the last change.

    Call it last in a write transaction, and ring the bell when that is committed.
    """
    # Locked in the order in which Sessions.flush locks them, so that neither waits for the other.
    doomed = select(sessions.c.key).where(condition).order_by(sessions.c.key).with_for_update()
    await connection.execute(doomed)
    keys = await connection.scalars(delete(sessions).where(condition).returning(sessions.c.key))
    revoked = [str(key) for key in keys]
    await record_all(connection, "session", revoked)
    return revoked, await connection.scalar(select(func.max(changes.c.sequence))) or 0
