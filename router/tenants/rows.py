"""Tenants and claims, read from their tables into the values that every room sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, RowMapping, Select, select

from router.hostname import Hostname
from router.storage.schema import CLAIMS_IN_ORDER, claims, tenants
from router.tenants.branding import read_branding
from router.tenants.claims import SERVED, Claim, ClaimState
from router.tenants.forwarding import read_forwarding
from router.tenants.tenant import Tenant, Upstream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.database import Database


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """A tenant with what only operators see: its claims, its own CNAME target, its dates (unix seconds)."""

    tenant: Tenant
    claims: tuple[Claim, ...]
    cname_target: str
    created_at: int
    updated_at: int


def cname_target(label: str, platform_domain: Hostname) -> Hostname:
    """Name what a tenant's own hostnames are to be aliases for."""
    return Hostname.parse(f"{label}.customers.{platform_domain}")


async def find_tenant(connection: AsyncConnection, where: ColumnElement[bool]) -> Tenant | None:
    """Read the one tenant that ``where`` picks, with the address its customers are given."""
    row = (await connection.execute(select(tenants).where(where))).mappings().one_or_none()
    if row is None:
        return None
    held = await find_claims(connection, claims.c.tenant_id == row["id"])
    return tenant_of(row, held)


async def find_records(
    connection: AsyncConnection, platform_domain: Hostname, *where: ColumnElement[bool]
) -> list[TenantRecord]:
    """Read the tenants that ``where`` picks, or all, as operators see them, by short name."""
    found = await connection.execute(select(tenants).where(*where).order_by(tenants.c.slug))
    rows = found.mappings().all()
    held: dict[str, list[Claim]] = {}
    for claim in await find_claims(connection, *where):
        held.setdefault(claim.tenant_id, []).append(claim)
    # A tenant made between the two questions shows up next time.
    return [record_of(row, held[row["id"]], platform_domain) for row in rows if row["id"] in held]


def record_of(row: RowMapping, held: Sequence[Claim], platform_domain: Hostname) -> TenantRecord:
    """Make the value that operators see; ``held`` are the tenant's claims."""
    target = cname_target(row["cname_label"], platform_domain)
    return TenantRecord(tenant_of(row, held), tuple(held), target, row["created_at"], row["updated_at"])


async def tenant_by_id(database: Database, tenant_id: str) -> Tenant | None:
    """Read a tenant by its id; ``Unavailable`` when the database is away."""
    async with database.read() as connection:
        return await find_tenant(connection, tenants.c.id == tenant_id)


async def holder_of(connection: AsyncConnection, hostname: str) -> Tenant | None:
    """Read the tenant that holds ``hostname``."""
    held = claims.c.state.in_([state.value for state in SERVED])
    holder = select(claims.c.tenant_id).where(claims.c.hostname == hostname, held).scalar_subquery()
    return await find_tenant(connection, tenants.c.id == holder)


async def find_claims(
    connection: AsyncConnection, *where: ColumnElement[bool], lock: bool = False
) -> list[Claim]:
    """Read the claims that ``where`` picks, or all, in their order; ``lock`` them for a change."""
    statement: Select[Any] = (
        select(claims, tenants.c.slug)
        .join(tenants, tenants.c.id == claims.c.tenant_id)
        .where(*where)
        .order_by(*CLAIMS_IN_ORDER)
    )
    if lock:  # PostgreSQL; a SQLite transaction is the only writer anyway
        statement = statement.with_for_update(of=claims)
    return [_claim_of(row) for row in (await connection.execute(statement)).mappings()]


def tenant_of(row: RowMapping, held: Sequence[Claim]) -> Tenant:
    """Make the value; ``held`` are the tenant's claims."""
    return Tenant(
        id=row["id"],
        slug=row["slug"],
        hostname=portal_address(held),
        branding=read_branding(row),
        upstreams=tuple(Upstream(**upstream) for upstream in row["upstreams"]),
        status=row["status"],
        allow_registration=row["allow_registration"],
        public_paths=tuple(row["public_paths"]),
        forwarding=read_forwarding(row["forwarding"]),
        version=row["version"],
        registration_check=row["registration_check"] or "",
    )


def portal_address(held: Sequence[Claim]) -> Hostname:
    """Choose the address that customers are given: the tenant's own once it is active, else the platform's.

    Every tenant has a claim to a name under the platform's domain from its first day.
    """
    own = [claim for claim in held if claim.kind == "external" and claim.state in SERVED]
    given = [claim for claim in held if claim.kind == "platform"]
    return max(own or given, key=lambda claim: claim.updated_at).hostname


def _claim_of(row: RowMapping) -> Claim:
    return Claim(
        id=row["id"],
        tenant_id=row["tenant_id"],
        slug=row["slug"],
        hostname=Hostname(row["hostname"]),
        kind=row["kind"],
        state=ClaimState(row["state"]),
        txt_token=row["txt_token"],
        reason=row["reason"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        behind_cdn=row["behind_cdn"],
        proof=row["proof"],
        proved_at=row["proved_at"],
        lost_at=row["lost_at"],
        notices=row["notices"],
        code=row["code"],
        checks=row["checks"],
        checked_at=row["checked_at"],
        next_check_at=row["next_check_at"],
    )
