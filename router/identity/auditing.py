"""A line of audit, in the transaction of what it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert

from router.storage.schema import audit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection


async def note(
    connection: AsyncConnection,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, str | None],
    now: float,
) -> None:
    """Write who did what to whom, at ``now`` in unix seconds; never a token or a password."""
    line = {
        "at": int(now),
        "actor": actor[:120],
        "action": action,
        "subject": subject,
        "detail": dict(detail),
    }
    await connection.execute(insert(audit).values(line))
