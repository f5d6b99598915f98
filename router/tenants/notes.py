"""What is written down beside every change of a tenant: the audit, and word to every worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from router.storage import changes
from router.storage.schema import audit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.hostname import Hostname


async def note(
    connection: AsyncConnection,
    tenant_id: str,
    hostnames: Iterable[Hostname],
    actor: str,
    action: str,
    detail: Mapping[str, Any],
    now: int,
) -> None:
    """Write the audit, and tell every worker of the tenant and its hostnames; last, as changes wants."""
    line = {"at": now, "actor": actor[:120], "action": action, "subject": tenant_id}
    await connection.execute(insert(audit).values(line | {"detail": dict(detail)}))
    await changes.record(connection, "tenant", tenant_id)
    await changes.record_all(connection, "hostname", list(hostnames))
