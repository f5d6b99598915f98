"""Vault: certificates at rest, their keys sealed.

Whose certificate serves a hostname is decided when it is asked for, by the claims of that moment: a tenant's
certificate serves hostnames that this tenant actively holds, whatever else stands in it; the platform's serve
every name they carry. So an upload that names somebody else's hostname is of no use to anyone.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from router.certificates.context import build_context
from router.certificates.names import wildcard_over
from router.certificates.record import CertificateRecord, Source, StoredCertificate, choose
from router.errors import NotFound
from router.storage.changes import record_all
from router.storage.schema import SERVED_CLAIMS, audit, certificate_names, certificates, claims, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement, RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.certificates.bundle import Bundle
    from router.storage.changes import Bell
    from router.storage.database import Database
    from router.storage.sealing import Sealer

_MOST: Final = 50
"""Certificates looked at for one name; the newest ones."""


@dataclass(frozen=True, slots=True)
class SealedCertificate:
    """A certificate as it is stored."""

    record: CertificateRecord
    chain_pem: str
    sealed_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Who holds a hostname (none: nobody), and the certificates that may serve it."""

    holder: str | None
    certificates: tuple[SealedCertificate, ...]


class Vault:
    """The certificates in the database. ``clock`` tells unix seconds."""

    def __init__(
        self, database: Database, bell: Bell, sealer: Sealer, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._bell = bell
        self._sealer = sealer
        self._clock = clock

    async def store(
        self, bundle: Bundle, tenant_id: str | None, source: Source = "upload", *, actor: str = "operator"
    ) -> CertificateRecord:
        """Keep a certificate for a tenant, or for the platform, and have it served.

        It takes the place of the owner's active one with the same names and kind of key, which is kept for a
        rollback. The very same upload again changes nothing. Raises ``BadBundle("unusable")`` when no TLS
        context can be built from it, ``NotFound("tenant_not_found")``.
        """
        await asyncio.to_thread(build_context, bundle.chain_pem, bundle.key_der)
        record = self._record_of(bundle, tenant_id, source)
        try:
            async with self._database.write() as connection:
                rivals = await self._rivals(connection, record)
                same = [rival for rival in rivals if rival.chain_pem == bundle.chain_pem]
                if same:
                    return same[0].record
                await self._insert(connection, record, bundle, [rival.record.id for rival in rivals], actor)
        except IntegrityError as fault:
            raise NotFound("tenant_not_found", "The tenant does not exist (any more).") from fault
        await self._bell.ring()
        return record

    async def find(self, hostname: str) -> StoredCertificate | None:
        """Find the certificate that serves a hostname, uploads alone considered."""
        found = (await self.candidates(hostname)).certificates
        chosen = choose((each.record for each in found), hostname, self._clock())
        return next((self.unseal(each) for each in found if chosen and each.record == chosen[0]), None)

    async def candidates(self, hostname: str) -> Candidates:
        """Find who holds ``hostname`` and which active certificates may serve it, by name or by wildcard."""
        names = [name for name in (hostname, wildcard_over(hostname)) if name]
        serves = claims.c.state.in_(SERVED_CLAIMS)
        holding = select(claims.c.tenant_id).where(claims.c.hostname == hostname, serves)
        async with self._database.read() as connection:
            holder = await connection.scalar(holding)
            found = await _active(connection, names, holder)
        return Candidates(holder, found)

    async def platform(self, name: str) -> tuple[SealedCertificate, ...]:
        """Find the platform's active certificates that carry exactly ``name``, which may be a wildcard."""
        async with self._database.read() as connection:
            return await _active(connection, [name], None)

    async def list(self) -> list[CertificateRecord]:
        """Every certificate, superseded ones included, the newest first."""
        statement = select(certificates).order_by(certificates.c.created_at.desc(), certificates.c.id)
        async with self._database.read() as connection:
            return [_sealed(row).record for row in (await connection.execute(statement)).mappings()]

    def unseal(self, sealed: SealedCertificate) -> StoredCertificate:
        """Open the key. Raises what ``Sealer.open`` raises when the encryption key is not the right one."""
        key = self._sealer.open(sealed.sealed_key, identity=_identity(sealed.record.id))
        return StoredCertificate(sealed.record, sealed.chain_pem, key)

    def _record_of(self, bundle: Bundle, tenant_id: str | None, source: Source) -> CertificateRecord:
        return CertificateRecord(
            id=new_id("crt"),
            tenant_id=tenant_id,
            source=source,
            state="active",
            key_type=bundle.key_type,
            fingerprint=bundle.fingerprint,
            names=bundle.names,
            not_before=bundle.not_before,
            not_after=bundle.not_after,
            created_at=int(self._clock()),
        )

    async def _rivals(
        self, connection: AsyncConnection, record: CertificateRecord
    ) -> Sequence[SealedCertificate]:
        """Find the owner's active certificates for the same names and kind of key."""
        statement = select(certificates).where(
            certificates.c.tenant_id == record.tenant_id,  # IS NULL for the platform's
            certificates.c.key_type == record.key_type,
            certificates.c.state == "active",
        )
        rows = (await connection.execute(statement)).mappings()
        return [each for each in map(_sealed, rows) if set(each.record.names) == set(record.names)]

    async def _insert(
        self,
        connection: AsyncConnection,
        record: CertificateRecord,
        bundle: Bundle,
        replaces: Sequence[str],
        actor: str,
    ) -> None:
        old = update(certificates).where(certificates.c.id.in_(replaces)).values(state="superseded")
        await connection.execute(old)
        sealed = self._sealer.seal(bundle.key_der, identity=_identity(record.id))
        row = _columns(record) | {"chain": bundle.chain_pem, "sealed_key": sealed}
        await connection.execute(insert(certificates).values(row))
        names = [{"certificate_id": record.id, "name": name} for name in record.names]
        await connection.execute(insert(certificate_names), names)
        detail = {"tenant": record.tenant_id, "names": list(record.names), "replaces": list(replaces)}
        line = {"at": record.created_at, "actor": actor[:120], "action": "certificate.store"}
        await connection.execute(insert(audit).values(line | {"subject": record.id, "detail": detail}))
        await record_all(connection, "certificate", record.names)


async def _active(
    connection: AsyncConnection, names: Sequence[str], holder: str | None
) -> tuple[SealedCertificate, ...]:
    owner: ColumnElement[bool] = certificates.c.tenant_id.is_(None)
    if holder is not None:
        owner = or_(owner, certificates.c.tenant_id == holder)
    named = select(certificate_names.c.certificate_id).where(certificate_names.c.name.in_(names))
    statement = (
        select(certificates)
        .where(certificates.c.id.in_(named), certificates.c.state == "active", owner)
        .order_by(certificates.c.created_at.desc(), certificates.c.id)
        .limit(_MOST)
    )
    return tuple(map(_sealed, (await connection.execute(statement)).mappings()))


def _identity(certificate_id: str) -> str:
    return f"certificate:{certificate_id}:key"


def _columns(record: CertificateRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "tenant_id": record.tenant_id,
        "state": record.state,
        "source": record.source,
        "fingerprint": record.fingerprint,
        "key_type": record.key_type,
        "names": list(record.names),
        "not_before": record.not_before,
        "not_after": record.not_after,
        "created_at": record.created_at,
    }


def _sealed(row: RowMapping) -> SealedCertificate:
    record = CertificateRecord(
        id=row["id"],
        tenant_id=row["tenant_id"],
        source=row["source"],
        state=row["state"],
        key_type=row["key_type"],
        fingerprint=row["fingerprint"],
        names=tuple(row["names"]),
        not_before=row["not_before"],
        not_after=row["not_after"],
        created_at=row["created_at"],
    )
    return SealedCertificate(record, row["chain"], row["sealed_key"])
