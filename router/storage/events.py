"""Events: what happens to domains and certificates, queued for webhooks in the transaction that does it.

So none is told of what was rolled back, and none is lost of what was committed. router/webhooks delivers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, or_, select

from router.storage.schema import new_id, tenants, webhook_deliveries, webhooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection


class EventKind(StrEnum):
    """What can happen; docs/webhooks.md says when, and what each tells."""

    DOMAIN_ACTIVE = "domain.active"
    DOMAIN_MOVED = "domain.moved"
    DOMAIN_RELEASED = "domain.released"
    DOMAIN_CONFLICT = "domain.conflict"
    DOMAIN_UNPROVED = "domain.unproved"
    DOMAIN_BLOCKED = "domain.blocked"
    DOMAIN_SUSPENDED = "domain.suspended"
    CERTIFICATE_ACTIVE = "certificate.active"
    CERTIFICATE_SUPERSEDED = "certificate.superseded"
    CERTIFICATE_EXPIRING = "certificate.expiring"
    CERTIFICATE_EXPIRED = "certificate.expired"
    CERTIFICATE_DELETED = "certificate.deleted"


ALL: Final = "*"
"""What a webhook asks for that wants every kind, those to come included."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to what is a tenant's, or (``tenant_id`` none) the platform's own."""

    kind: EventKind
    tenant_id: str | None
    facts: Mapping[str, Any]


async def emit(connection: AsyncConnection, events: Iterable[Event], now: float) -> None:
    """Queue events for each webhook that asked for them; ``now`` in unix seconds.

    The platform's webhooks hear of every tenant's, a tenant's of its own. Nothing is recorded as a change:
    the workers look when they hear of what happened, which its transaction records.
    """
    rows = [row for event in events for row in await _rows(connection, event, int(now))]
    if rows:
        await connection.execute(insert(webhook_deliveries), rows)


def delivery_of(webhook_id: str, kind: str, slug: str | None, facts: Mapping[str, Any], now: int) -> Row:
    """Make the row of a delivery; its body is sent as it is, as often as that takes."""
    told = {"type": kind, "timestamp": moment(now), "data": {"tenant": slug, **facts}}
    return {
        "id": new_id("whd"),
        "webhook_id": webhook_id,
        "event": kind,
        "body": json.dumps(told, ensure_ascii=False, separators=(",", ":")),
        "state": "waiting",
        "attempts": 0,
        "due_at": now,
        "created_at": now,
    }


def moment(at: int | None) -> str | None:
    """Write unix seconds as events tell them (RFC 3339, in UTC)."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


Row = dict[str, Any]


async def _rows(connection: AsyncConnection, event: Event, now: int) -> list[Row]:
    concerned = or_(webhooks.c.tenant_id.is_(None), webhooks.c.tenant_id == event.tenant_id)
    found = select(webhooks.c.id, webhooks.c.events).where(concerned, ~webhooks.c.disabled)
    # Held until the commit against being removed, for then the delivery could not be written.
    rows = await connection.execute(found.with_for_update(read=True, key_share=True))
    wanted = [row.id for row in rows if ALL in row.events or event.kind in row.events]
    if not wanted:
        return []
    slug = await connection.scalar(select(tenants.c.slug).where(tenants.c.id == event.tenant_id))
    return [delivery_of(webhook_id, event.kind, slug, event.facts, now) for webhook_id in wanted]
