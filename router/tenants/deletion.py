"""A tenant's end: all that is its own goes with it, and its short name is given to nobody by itself.

What still points at it, a CNAME or a bookmark, leads to the answer of a hostname that never existed: its
target was random and is never made again, and its short name has a tombstone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Select, delete, insert, select, update

from router.errors import Conflict
from router.storage import changes
from router.storage.events import emit
from router.storage.schema import (
    certificate_names,
    certificates,
    claims,
    sessions,
    tenants,
    tokens,
    tombstones,
)
from router.tenants.claims import HOLDING, SERVED, ClaimState
from router.tenants.domain_events import domain_events

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.events import Event
    from router.tenants.rows import TenantRecord


async def check_tombstone(connection: AsyncConnection, slug: str, *, take_over: bool) -> None:
    """Refuse a short name that was another tenant's, unless somebody takes it over expressly.

    Raises ``Conflict("slug_given_up")``.
    """
    buried = tombstones.c.slug == slug
    if take_over:
        await connection.execute(delete(tombstones).where(buried))
    else:
        await check_tombstones(connection, [slug])


async def check_tombstones(connection: AsyncConnection, slugs: Collection[str]) -> None:
    """Refuse short names of which one was another tenant's. Raises ``Conflict("slug_given_up")``."""
    buried = select(tombstones.c.slug).where(tombstones.c.slug.in_(slugs)).limit(1)
    slug = await connection.scalar(buried)
    if slug is not None:
        raise given_up(slug)


def given_up(slug: str) -> Conflict:
    """Say that a short name was a tenant's that was deleted."""
    return Conflict(
        "slug_given_up",
        f"“{slug}” was a tenant that was deleted, whose customers may still come: choose another short "
        "name, or take it over (--take-over-slug, take_over_portal_address).",
        field="portal_address",
    )


async def delete_tenant(connection: AsyncConnection, record: TenantRecord, now: int) -> None:
    """Delete a tenant with all that is its own, and tell every worker what is gone.

    Only the audit is to be written after it, for the changes come last.
    """
    tenant = record.tenant
    gone = {
        "session": await _keys(connection, select(sessions.c.key).where(sessions.c.tenant_id == tenant.id)),
        "token": await _keys(connection, select(tokens.c.key).where(tokens.c.tenant_id == tenant.id)),
        "certificate": await _keys(
            connection,
            select(certificate_names.c.name)
            .distinct()
            .join(certificates, certificates.c.id == certificate_names.c.certificate_id)
            .where(certificates.c.tenant_id == tenant.id),
        ),
    }
    await emit(connection, _released(record), now)
    await connection.execute(delete(tenants).where(tenants.c.id == tenant.id))
    await connection.execute(
        insert(tombstones).values(slug=tenant.slug, tenant_id=tenant.id, given_up_at=now)
    )
    held = [claim.hostname for claim in record.claims if claim.state in HOLDING]
    waiting = claims.c.hostname.in_(held) & (claims.c.state == ClaimState.CONFLICT.value)
    await connection.execute(update(claims).where(waiting).values(next_check_at=now))
    for kind, keys in gone.items():
        await changes.record_all(connection, kind, keys)


def _released(record: TenantRecord) -> list[Event]:
    """Say of each hostname that served that it does no more: the platform's webhooks live to tell it."""
    served = [claim for claim in record.claims if claim.state in SERVED and claim.kind == "external"]
    gone = [replace(claim, state=ClaimState.RELEASED, code="tenant_deleted") for claim in served]
    return [event for pair in zip(served, gone, strict=True) for event in domain_events(*pair)]


async def _keys(connection: AsyncConnection, wanted: Select[str]) -> list[str]:
    return [str(key) for key in await connection.scalars(wanted)]
