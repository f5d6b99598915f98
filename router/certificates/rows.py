"""Certificates as their table holds them, and the questions that are asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import or_, select

from router.certificates.record import CertificateRecord, SealedCertificate
from router.storage.schema import SERVED_CLAIMS, certificate_names, certificates, claims
from router.storage.sealed import CERTIFICATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

_MOST: Final = 50
"""Certificates looked at for one name; the newest ones."""

_FIELDS: Final = tuple(CertificateRecord.__dataclass_fields__)
_RECORD: Final = tuple(certificates.c[name] for name in _FIELDS)
_NEWEST: Final = (certificates.c.created_at.desc(), certificates.c.id)


def identity_of(certificate_id: str) -> str:
    """Name the record that a private key is sealed for."""
    return CERTIFICATES.identity(certificate_id)


def columns_of(record: CertificateRecord) -> dict[str, Any]:
    """Spell a record as its columns."""
    return {name: getattr(record, name) for name in _FIELDS} | {"names": list(record.names)}


def record_of(row: RowMapping) -> CertificateRecord:
    """Read a record from its columns."""
    values = {name: row[name] for name in _FIELDS}
    return CertificateRecord(**{**values, "names": tuple(row["names"])})


def sealed_of(row: RowMapping) -> SealedCertificate:
    """Read a certificate with its chain and its sealed key."""
    return SealedCertificate(record_of(row), row["chain"], row["sealed_key"])


async def find_sealed(connection: AsyncConnection, *where: ColumnElement[bool]) -> list[SealedCertificate]:
    """Find whole certificates, the newest first."""
    statement = select(certificates).where(*where).order_by(*_NEWEST)
    return [sealed_of(row) for row in (await connection.execute(statement)).mappings()]


async def find_records(connection: AsyncConnection, *where: ColumnElement[bool]) -> list[CertificateRecord]:
    """Find what is known of certificates, the newest first; no key leaves the database for that."""
    statement = select(*_RECORD).where(*where).order_by(*_NEWEST)
    return [record_of(row) for row in (await connection.execute(statement)).mappings()]


async def find_active(
    connection: AsyncConnection, names: Sequence[str], holder: str | None
) -> tuple[SealedCertificate, ...]:
    """Find the active certificates of a tenant and of the platform that carry one of these very names."""
    owner: ColumnElement[bool] = certificates.c.tenant_id.is_(None)
    if holder is not None:
        owner = or_(owner, certificates.c.tenant_id == holder)
    named = select(certificate_names.c.certificate_id).where(certificate_names.c.name.in_(names))
    statement = (
        select(certificates)
        .where(certificates.c.id.in_(named), certificates.c.state == "active", owner)
        .order_by(*_NEWEST)
        .limit(_MOST)
    )
    return tuple(map(sealed_of, (await connection.execute(statement)).mappings()))


async def find_held(connection: AsyncConnection, tenant_id: str | None) -> list[tuple[str, str]]:
    """List the hostnames that answer, a tenant's or all, each with the id of the tenant that holds it."""
    statement = select(claims.c.hostname, claims.c.tenant_id).where(claims.c.state.in_(SERVED_CLAIMS))
    if tenant_id is not None:
        statement = statement.where(claims.c.tenant_id == tenant_id)
    return [(row[0], row[1]) for row in await connection.execute(statement.order_by(claims.c.hostname))]
