"""Short names: whether one is free for a new tenant, or somebody's, or was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.errors import Conflict
from router.storage.schema import tenants
from router.tenants.deletion import check_tombstone, check_tombstones
from router.tenants.rows import find_tenant

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


def taken(slug: str) -> Conflict:
    """Say that a short name is another tenant's."""
    sentence = f"There is a tenant “{slug}” already: choose another short name."
    return Conflict("slug_taken", sentence, field="portal_address")


async def take(connection: AsyncConnection, slug: str, *, take_over: bool) -> None:
    """Take a short name for a new tenant, in the transaction that makes it.

    Raises ``Conflict`` with ``slug_taken``, or ``slug_given_up`` unless it is taken over expressly.
    """
    await _check_not_held(connection, slug)
    await check_tombstone(connection, slug, take_over=take_over)


async def look(connection: AsyncConnection, slug: str, *, take_over: bool) -> Conflict | None:
    """Tell what :func:`take` would raise, and change nothing."""
    try:
        await _check_not_held(connection, slug)
        if not take_over:
            await check_tombstones(connection, [slug])
    except Conflict as fault:
        return fault
    return None


async def _check_not_held(connection: AsyncConnection, slug: str) -> None:
    if await find_tenant(connection, tenants.c.slug == slug) is not None:
        raise taken(slug)
