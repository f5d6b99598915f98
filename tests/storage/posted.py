"""What the outbox holds, opened."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from router.storage.outbox import Mail, identity_of
from router.storage.schema import changes, outbox

if TYPE_CHECKING:
    from router.storage.database import Database
    from router.storage.sealing import Sealer


async def posted(database: Database, sealer: Sealer) -> list[Mail]:
    """Open every mail, in the order in which they were posted: several are often of one second."""
    announced = select(func.min(changes.c.sequence)).where(
        changes.c.kind == "mail", changes.c.key == outbox.c.id
    )
    async with database.read() as connection:
        rows = await connection.execute(select(outbox).order_by(announced.scalar_subquery()))
        return [
            Mail(
                row.tenant_id,
                row.kind,
                row.recipient,
                row.language,
                json.loads(sealer.open(row.sealed_facts, identity=identity_of(row.id))),
            )
            for row in rows
        ]
