"""A tenant's row, where a test wants a tenant without all that a registry does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from router.storage.schema import tenants

if TYPE_CHECKING:
    from router.storage.database import Database


def tenant_row(tenant_id: str, slug: str, name: str = "", *, at: float = 0) -> dict[str, Any]:
    """Write a row as short as the database takes it; made ``at`` that time, in unix seconds."""
    return {
        "id": tenant_id,
        "slug": slug,
        "name": name or slug,
        "theme_colour": "#0b6e4f",
        "upstreams": [],
        "public_paths": [],
        "status": "active",
        "cname_label": slug,
        "version": 1,
        "created_at": int(at),
        "updated_at": int(at),
    }


async def add_tenants(database: Database, *rows: dict[str, Any]) -> None:
    """Store rows of tenants."""
    async with database.write() as connection:
        await connection.execute(insert(tenants), list(rows))
