"""What is written down beside every change of a tenant: the audit, and word to every worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from router.storage import auditing, changes
from router.storage.schema import tenants

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.hostname import Hostname

    Noted = tuple[str, Sequence[Hostname], str, Mapping[str, Any]]
    """What is noted of a tenant: its id, its hostnames, the action and its detail."""


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
    await auditing.note(connection, actor, action, tenant_id, detail, now, tenant_id=tenant_id)
    await changes.record(connection, "tenant", tenant_id)
    await changes.record_all(connection, "hostname", list(hostnames))


async def note_all(
    connection: AsyncConnection,
    noted: Sequence[Noted],
    actor: str,
    now: int,
) -> None:
    """Note what was done to several tenants at once; last, too."""
    lines = [(action, tenant_id, detail, tenant_id) for tenant_id, _, action, detail in noted]
    await auditing.note_all(connection, actor, lines, now)
    await changes.record_all(connection, "tenant", [tenant_id for tenant_id, *_ in noted])
    await changes.record_all(connection, "hostname", [name for _, names, *_ in noted for name in names])


async def count_up(connection: AsyncConnection, tenant_id: str, now: int) -> None:
    """Count a tenant's version up: the address that its customers are given is another one."""
    values = {"version": tenants.c.version + 1, "updated_at": now}
    await connection.execute(update(tenants).where(tenants.c.id == tenant_id).values(values))
