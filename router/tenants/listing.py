"""Tenants by the page: searched, filtered, in an order, for platforms that have a hundred thousand.

A page goes on after the place of the last tenant that was told (keyset), so that nobody who is added or
deleted meanwhile makes others be left out or told twice, and the last page costs no more than the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import or_, select, tuple_

from router.errors import BadInput
from router.storage.schema import claims, tenants
from router.tenants.claims import ClaimState
from router.tenants.rows import find_claims, record_of

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.hostname import Hostname
    from router.tenants.claims import Claim
    from router.tenants.rows import TenantRecord
    from router.tenants.tenant import TenantStatus

Sorting = Literal["slug", "-slug", "name", "-name", "updated_at", "-updated_at"]
Place = tuple[str | int, str]
"""Of a tenant in an order: the value that it is ordered by, and the id, for there may be equals."""

_COLUMNS: Final = {
    "slug": tenants.c.slug,
    "name": tenants.c.folded_name,
    "updated_at": tenants.c.updated_at,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which tenants, in which order; one with ``-`` begins at its end.

    ``search`` is a part of the short name, of the name or of a hostname, in whatever capitals; ``only`` is
    the id of the one tenant that may be told at all.
    """

    search: str = ""
    status: TenantStatus | None = None
    order: Sorting = "slug"
    only: str | None = None

    def place(self, record: TenantRecord) -> Place:
        """Name a tenant's place."""
        tenant = record.tenant
        values: dict[str, str | int] = {
            "slug": tenant.slug,
            "name": folded(tenant.branding.name),
            "updated_at": record.updated_at,
        }
        return values[self.order.removeprefix("-")], tenant.id


def folded(name: str) -> str:
    """Write a name as it is searched and ordered by: both databases know capitals, SQLite those of ASCII."""
    return name.casefold()


async def find_page(
    connection: AsyncConnection,
    selection: Selection,
    after: Place | None,
    most: int,
    platform_domain: Hostname,
) -> list[TenantRecord]:
    """Read ``most`` tenants at most, after a place. Raises ``BadInput("bad_search")``."""
    statement = _statement(selection, after, most, platform_domain)
    rows = (await connection.execute(statement)).mappings().all()
    held: dict[str, list[Claim]] = {row["id"]: [] for row in rows}
    for claim in await find_claims(connection, claims.c.tenant_id.in_(held)):
        held[claim.tenant_id].append(claim)
    return [record_of(row, held[row["id"]], platform_domain) for row in rows if held[row["id"]]]


def _statement(
    selection: Selection, after: Place | None, most: int, platform_domain: Hostname
) -> Select[Any]:
    column = _COLUMNS[selection.order.removeprefix("-")]
    keys, backwards = tuple_(column, tenants.c.id), selection.order.startswith("-")
    where = _conditions(selection, platform_domain)
    if after is not None:
        where.append(keys < after if backwards else keys > after)
    order = [each.desc() if backwards else each for each in (column, tenants.c.id)]
    return select(tenants).where(*where).order_by(*order).limit(most)


def _conditions(selection: Selection, platform_domain: Hostname) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if selection.only is not None:
        where.append(tenants.c.id == selection.only)
    if selection.status is not None:
        where.append(tenants.c.status == selection.status)
    if search := folded(" ".join(selection.search.split())):
        if not search.isprintable():  # PostgreSQL takes neither NUL nor a lone surrogate
            raise BadInput("bad_search", "A search is for printable characters.", field="search")
        where.append(_matches(search, platform_domain))
    return where


def _matches(search: str, platform_domain: Hostname) -> ColumnElement[bool]:
    """Whether a tenant is meant; a whole platform address means its short name."""
    label = search.removesuffix(f".{platform_domain}")
    hostnames = select(claims.c.tenant_id).where(
        claims.c.kind == "external",
        claims.c.state != ClaimState.RELEASED.value,
        claims.c.hostname.contains(search, autoescape=True),
    )
    return or_(
        tenants.c.slug.contains(label, autoescape=True),
        tenants.c.folded_name.contains(search, autoescape=True),
        tenants.c.id.in_(hostnames),
    )
