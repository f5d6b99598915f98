"""Webhooks and deliveries in their tables; inside whatever transaction has the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from router.storage.auditing import note
from router.storage.schema import tenants, webhook_deliveries, webhooks
from router.webhooks.webhook import DeliveryRecord, Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

_COLUMNS: Final = [column for column in webhooks.c if column.name != "sealed_secret"]
_DISABLED: Final = "The webhook was disabled."


def selected_webhooks(*where: ColumnElement[bool]) -> Select[tuple[Any, ...]]:
    """Ask for webhooks, with the short names of their tenants; never for their secrets."""
    return (
        select(*_COLUMNS, tenants.c.slug)
        .outerjoin(tenants, tenants.c.id == webhooks.c.tenant_id)
        .where(*where)
    )


def read_webhook(row: RowMapping) -> Webhook:
    """Make the value of what :func:`selected_webhooks` found."""
    values = {name: row[name] for name in (*(column.name for column in _COLUMNS), "slug")}
    return Webhook(**values | {"events": tuple(row["events"])})


def read_delivery(row: RowMapping) -> DeliveryRecord:
    """Make the value of a row of deliveries."""
    return DeliveryRecord(**row)


async def disable(
    connection: AsyncConnection, webhook: Webhook, actor: str, detail: Mapping[str, Any], now: float
) -> None:
    """Send no more to a webhook: what waits for it has failed, and is sent only if somebody asks for it."""
    await connection.execute(update(webhooks).where(webhooks.c.id == webhook.id).values(disabled=True))
    waiting = (webhook_deliveries.c.webhook_id == webhook.id) & (webhook_deliveries.c.state == "waiting")
    failed = {"state": "failed", "error": _DISABLED}
    await connection.execute(update(webhook_deliveries).where(waiting).values(failed))
    await audit(connection, webhook, actor, "webhook.disable", detail, now)


async def audit(
    connection: AsyncConnection,
    webhook: Webhook,
    actor: str,
    action: str,
    detail: Mapping[str, Any],
    now: float,
) -> None:
    """Write what was done to a webhook; of its URL only the origin, for the rest may be a secret."""
    told = {"origin": webhook.origin, **detail}
    await note(connection, actor, action, webhook.id, told, now, tenant_id=webhook.tenant_id)
