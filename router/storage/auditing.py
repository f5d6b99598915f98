"""The audit: who did what to whom, from where; written in the transaction of the change, altered never.

An actor is ``operator:ADDRESS``, ``token:ID``, ``cli:NAME``, ``user:ADDRESS``, ``link:ADDRESS``, ``router``.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert

from router.storage.schema import audit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

ORIGIN: Final[ContextVar[str | None]] = ContextVar(
    "the address that asked for what is being done", default=None
)
"""Set by a plane for the time of one request, so that no use case has to hand it through to the audit."""

_MAX_ACTOR = 120


async def note(
    connection: AsyncConnection,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
    now: float,
    *,
    tenant_id: str | None,
) -> None:
    """Write who did what to whom, at ``now`` in unix seconds; never a token, a password or a key.

    ``subject`` is the id of what was changed, ``tenant_id`` whose it is (none: the platform's), ``detail``
    how it was and is.
    """
    await note_all(connection, actor, [(action, subject, detail, tenant_id)], now)


async def note_all(
    connection: AsyncConnection,
    actor: str,
    done: Sequence[tuple[str, str, Mapping[str, Any], str | None]],
    now: float,
) -> None:
    """Write several lines as :func:`note` does: action, subject, detail and tenant of each."""
    common = {"at": int(now), "actor": actor[:_MAX_ACTOR], "address": ORIGIN.get()}
    lines = [
        {**common, "action": action, "subject": subject, "tenant_id": tenant_id, "detail": dict(detail)}
        for action, subject, detail, tenant_id in done
    ]
    if lines:
        await connection.execute(insert(audit), lines)
