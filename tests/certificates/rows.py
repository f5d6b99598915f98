"""Rows that the tests of certificates need in other rooms' tables, and bundles for the vault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from router.certificates.bundle import Bundle
from router.storage.changes import record
from router.storage.schema import changes, claims, new_id, tenants
from tests.certificates.maker import INTERMEDIATE, NOW, Made, make
from tests.storage.tenant_row import tenant_row

if TYPE_CHECKING:
    from router.storage.database import Database


async def add_tenant(database: Database, slug: str, *hostnames: str, state: str = "active") -> str:
    """Make a tenant with a claim on each hostname; its id."""
    tenant_id = new_id("tnt")
    times = {"created_at": int(NOW), "updated_at": int(NOW)}
    async with database.write() as connection:
        await connection.execute(insert(tenants).values(tenant_row(tenant_id, slug, at=NOW)))
        for hostname in hostnames:
            claim = {"id": new_id("clm"), "tenant_id": tenant_id, "hostname": hostname, "kind": "external"}
            await connection.execute(
                insert(claims).values(claim | {"state": state, "txt_token": "t", **times})
            )
    return tenant_id


async def move_claim(database: Database, hostname: str, state: str) -> None:
    """Change the state of every claim to a hostname, and say so as the registry does."""
    async with database.write() as connection:
        await connection.execute(update(claims).where(claims.c.hostname == hostname).values(state=state))
        await record(connection, "hostname", hostname)
        await record(connection, "certificate", hostname)


async def put_behind_cdn(database: Database, hostname: str) -> None:
    """Say of every claim to a hostname that a CDN stands before it, as its owner does."""
    async with database.write() as connection:
        behind = update(claims).where(claims.c.hostname == hostname).values(behind_cdn=True)
        await connection.execute(behind)
        await record(connection, "hostname", hostname)


async def last_change(database: Database) -> int:
    """The number of the newest change."""
    async with database.read() as connection:
        return await connection.scalar(select(func.max(changes.c.sequence))) or 0


def bundle_of(made: Made) -> Bundle:
    """Judge a certificate of the tests with its intermediate."""
    return Bundle.parse(made.pem + INTERMEDIATE.pem, made.key_pem, now=NOW)


def bundle_for(*names: str, kind: str = "p256", slot: int = 0) -> Bundle:
    """Make a bundle for these names."""
    return bundle_of(make(*names, issuer=INTERMEDIATE, kind=kind, slot=slot))
