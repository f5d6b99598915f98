"""Pictures in their table. A tenant keeps the latest few of a kind, for mails that name them still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select, update

from router.storage.schema import images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.tenants.pictures import Picture, PictureKind

KEPT: Final = 3
"""Pictures of a kind that a tenant has at most, the present one among them."""


async def store_pictures(
    connection: AsyncConnection, tenant_id: str, pictures: Mapping[PictureKind, Picture], now: int
) -> None:
    """Store what a tenant uploaded, and forget all but the latest of the kind."""
    for kind, picture in pictures.items():
        await _store(connection, tenant_id, kind, picture, now)
        of_kind = (images.c.tenant_id == tenant_id) & (images.c.kind == kind)
        newest = (
            select(images.c.fingerprint)
            .where(of_kind, images.c.fingerprint != picture.image.fingerprint)
            .order_by(images.c.created_at.desc(), images.c.fingerprint)
            .limit(KEPT - 1)
        )
        kept = [picture.image.fingerprint, *await connection.scalars(newest)]
        await connection.execute(delete(images).where(of_kind, images.c.fingerprint.not_in(kept)))


async def find_picture(
    connection: AsyncConnection, tenant_id: str, fingerprint: str
) -> tuple[str, bytes] | None:
    """Read a tenant's picture: its content type and its octets."""
    wanted = (images.c.tenant_id == tenant_id) & (images.c.fingerprint == fingerprint)
    row = (await connection.execute(select(images.c.content_type, images.c.body).where(wanted))).one_or_none()
    return None if row is None else (row.content_type, row.body)


async def list_pictures(connection: AsyncConnection, tenant_id: str) -> frozenset[str]:
    """Read the fingerprints of all that a tenant has."""
    return frozenset(
        await connection.scalars(select(images.c.fingerprint).where(images.c.tenant_id == tenant_id))
    )


async def _store(
    connection: AsyncConnection, tenant_id: str, kind: PictureKind, picture: Picture, now: int
) -> None:
    image = picture.image
    same = (images.c.tenant_id == tenant_id) & (images.c.fingerprint == image.fingerprint)
    known = await connection.execute(update(images).where(same).values(created_at=now, kind=kind))
    if known.rowcount:
        return
    row = {
        "tenant_id": tenant_id,
        "fingerprint": image.fingerprint,
        "kind": kind,
        "content_type": image.content_type,
        "body": picture.body,
        "created_at": now,
    }
    await connection.execute(insert(images).values(row))
