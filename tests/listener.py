"""A webhook that is told of everything, and what it would be told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from router.storage.schema import webhook_deliveries, webhooks

if TYPE_CHECKING:
    from router.storage.database import Database


async def listen(database: Database, tenant_id: str | None = None) -> None:
    """Set a tenant's webhook up, or the platform's."""
    row = {"id": f"whk_{tenant_id}", "tenant_id": tenant_id, "url": "https://hook.test/", "events": ["*"]}
    more = {"sealed_secret": b"", "disabled": False, "created_by": "test", "created_at": 0}
    async with database.write() as connection:
        await connection.execute(insert(webhooks).values(**row, **more))


async def heard(database: Database, tenant_id: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """The kinds and facts of what waits for that webhook, in no order that is of the clock's making."""
    columns = webhook_deliveries.c
    found = select(columns.body).where(columns.webhook_id == f"whk_{tenant_id}").order_by(columns.created_at)
    async with database.read() as connection:
        bodies = [json.loads(body) for body in await connection.scalars(found)]
    return [(body["type"], body["data"]) for body in bodies]
