"""Vault: certificates at rest, their keys sealed.

Whose certificate serves a hostname is decided when it is asked for, by the claims of that moment: a tenant's
certificate serves hostnames that this tenant actively holds, whatever else stands in it; the platform's serve
every name they carry. So an upload that names somebody else's hostname is of no use to anyone.

A certificate that takes the place of another keeps it (state ``superseded``, and by which), for a rollback.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from router.certificates.certificate_events import certificate_event, change_over
from router.certificates.context import build_context
from router.certificates.life import left_bare
from router.certificates.names import wildcard_over
from router.certificates.record import (
    CertificateRecord,
    SealedCertificate,
    Source,
    StoredCertificate,
    choose,
)
from router.certificates.rows import (
    columns_of,
    find_active,
    find_held,
    find_records,
    find_sealed,
    identity_of,
)
from router.errors import Conflict, NotFound
from router.storage.auditing import note
from router.storage.changes import record_all
from router.storage.events import EventKind, emit
from router.storage.schema import SERVED_CLAIMS, certificate_names, certificates, claims, new_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.certificates.bundle import Bundle
    from router.storage.changes import Bell
    from router.storage.database import Database
    from router.storage.sealing import Sealer


_VAULT_LOCK: Final = 0x76_6175_6C74  # an arbitrary constant: "vault"

_SHOWN: Final = 3
"""Hostnames that a sentence names."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Who holds a hostname (none: nobody), and the certificates that may serve it.

    ``behind_cdn`` says that visitors meet a CDN's certificate there, and the CDN alone meets ours.
    """

    holder: str | None
    certificates: tuple[SealedCertificate, ...]
    behind_cdn: bool = False


class Vault:
    """The certificates in the database. ``clock`` tells unix seconds."""

    def __init__(
        self, database: Database, bell: Bell, sealer: Sealer, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._bell = bell
        self._sealer = sealer
        self._clock = clock

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the encryption keys that sealed keys open with here."""
        return self._sealer.key_ids

    async def store(
        self, bundle: Bundle, tenant_id: str | None, source: Source = "upload", *, actor: str = "operator"
    ) -> CertificateRecord:
        """Keep a certificate for a tenant, or for the platform, and have it served.

        It takes the place of the owner's active ones with the same kind of key and no other names, which are
        kept for a rollback. The very same upload again changes nothing. Raises ``BadBundle("unusable")`` when
        no TLS context can be built from it, ``NotFound("tenant_not_found")``.
        """
        await asyncio.to_thread(build_context, bundle.chain_pem, bundle.key_der)
        record = self._record_of(bundle, tenant_id, source)
        try:
            async with self._writing() as connection:
                rivals = await self._rivals(connection, record)
                same = [each.record for each in rivals if _is_same(each, bundle)]
                if same:
                    return same[0]
                replaced = [each.record for each in rivals if set(each.record.names) <= set(record.names)]
                await self._insert(connection, record, bundle)
                await self._supersede(connection, replaced, record.id)
                detail = {"replaces": [each.id for each in replaced]}
                await emit(connection, change_over([record], replaced), self._clock())
                await self._note(connection, record, "certificate.store", actor, detail)
                await record_all(connection, "certificate", record.names)
        except IntegrityError as fault:
            raise NotFound("tenant_not_found", "The tenant does not exist (any more).") from fault
        await self._bell.ring()
        return record

    async def replaced_by(self, bundle: Bundle, tenant_id: str | None) -> tuple[CertificateRecord, ...]:
        """Say whose place an upload would take; none where it is stored already."""
        record = self._record_of(bundle, tenant_id, "upload")
        async with self._database.read() as connection:
            rivals = await self._rivals(connection, record)
        if any(_is_same(each, bundle) for each in rivals):
            return ()
        return tuple(each.record for each in rivals if set(each.record.names) <= set(record.names))

    async def roll_back(self, certificate_id: str, *, actor: str) -> tuple[CertificateRecord, ...]:
        """Have what a certificate took the place of serve again, or a superseded one that is named itself.

        What served until then is kept in turn, so the same again goes forth. Answers what serves again.
        Raises ``NotFound("no_such_certificate")``, ``Conflict`` with ``nothing_to_roll_back`` or
        ``former_expired``.
        """
        async with self._writing() as connection:
            record = await self._the(connection, certificate_id)
            again = await self._former(connection, record)
            names = {name for each in again for name in each.names}
            owner = (certificates.c.tenant_id == record.tenant_id, certificates.c.key_type == record.key_type)
            serving = await find_records(connection, certificates.c.state == "active", *owner)
            replaced = [each for each in serving if each == record or _gives_way(each, names, record)]
            back = {"state": "active", "superseded_at": None, "superseded_by": None}
            ids = [each.id for each in again]
            await connection.execute(update(certificates).where(certificates.c.id.in_(ids)).values(back))
            await self._supersede(connection, replaced, ids[0])
            detail = {"serves_again": ids, "replaces": [each.id for each in replaced]}
            await emit(connection, change_over(again, replaced), self._clock())
            await self._note(connection, record, "certificate.rollback", actor, detail)
            told = names.union(*(each.names for each in replaced))
            await record_all(connection, "certificate", sorted(told))
            again = tuple(await find_records(connection, certificates.c.id.in_(ids)))
        await self._bell.ring()
        return again

    async def delete(self, certificate_id: str, *, actor: str, even_the_last: bool) -> CertificateRecord:
        """Delete a certificate with its key, for good.

        Raises ``NotFound("no_such_certificate")``, and ``Conflict("last_certificate")`` where hostnames that
        answer would be without any, unless that is meant (``even_the_last``).
        """
        async with self._writing() as connection:
            record = await self._the(connection, certificate_id)
            bare = await self._left_bare(connection, record)
            if bare and not even_the_last:
                raise _last(record, bare)
            await connection.execute(delete(certificates).where(certificates.c.id == record.id))
            deleted = certificate_event(EventKind.CERTIFICATE_DELETED, record)
            await emit(connection, [deleted], self._clock())
            await self._note(connection, record, "certificate.delete", actor, {"bare": bare[:_SHOWN]})
            await record_all(connection, "certificate", record.names)
        await self._bell.ring()
        return record

    async def get(self, certificate_id: str) -> SealedCertificate:
        """Find a certificate by its id, in whatever state. Raises ``NotFound("no_such_certificate")``."""
        async with self._database.read() as connection:
            found = await find_sealed(connection, certificates.c.id == certificate_id)
        if not found:
            raise _unknown(certificate_id)
        return found[0]

    async def find(self, hostname: str) -> StoredCertificate | None:
        """Find the certificate that serves a hostname, uploads alone considered."""
        found = (await self.candidates(hostname)).certificates
        chosen = choose((each.record for each in found), hostname, self._clock())
        return next((self.unseal(each) for each in found if chosen and each.record == chosen[0]), None)

    async def candidates(self, hostname: str) -> Candidates:
        """Find who holds ``hostname`` and which active certificates may serve it, by name or by wildcard."""
        names = [name for name in (hostname, wildcard_over(hostname)) if name]
        serves = claims.c.state.in_(SERVED_CLAIMS)
        holding = select(claims.c.tenant_id, claims.c.behind_cdn)
        async with self._database.read() as connection:
            held = (await connection.execute(holding.where(claims.c.hostname == hostname, serves))).first()
            holder, behind_cdn = (held.tenant_id, held.behind_cdn) if held else (None, False)
            found = await find_active(connection, names, holder)
        return Candidates(holder, found, behind_cdn)

    async def platform(self, name: str) -> tuple[SealedCertificate, ...]:
        """Find the platform's active certificates that carry exactly ``name``, which may be a wildcard."""
        async with self._database.read() as connection:
            return await find_active(connection, [name], None)

    async def list(self) -> list[CertificateRecord]:
        """Every certificate, superseded ones included, the newest first."""
        async with self._database.read() as connection:
            return await find_records(connection)

    async def of(self, tenant_id: str | None) -> Sequence[CertificateRecord]:
        """A tenant's certificates or the platform's own, superseded ones included, the newest first."""
        async with self._database.read() as connection:
            return await find_records(connection, certificates.c.tenant_id == tenant_id)

    def unseal(self, sealed: SealedCertificate) -> StoredCertificate:
        """Open the key. Raises what ``Sealer.open`` raises when the encryption key is not the right one."""
        key = self._sealer.open(sealed.sealed_key, identity=identity_of(sealed.record.id))
        return StoredCertificate(sealed.record, sealed.chain_pem, key)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction in which nobody else changes what is stored: what is the last stays the last."""
        async with self._database.write() as connection:
            if connection.dialect.name == "postgresql":  # SQLite has one writer at a time anyway
                await connection.execute(select(func.pg_advisory_xact_lock(_VAULT_LOCK)))
            yield connection

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

    async def _the(self, connection: AsyncConnection, certificate_id: str) -> CertificateRecord:
        found = await find_records(connection, certificates.c.id == certificate_id)
        if not found:
            raise _unknown(certificate_id)
        return found[0]

    async def _rivals(
        self, connection: AsyncConnection, record: CertificateRecord
    ) -> Sequence[SealedCertificate]:
        """Find the owner's active certificates with the same kind of key."""
        return await find_sealed(
            connection,
            certificates.c.tenant_id == record.tenant_id,  # IS NULL for the platform's
            certificates.c.key_type == record.key_type,
            certificates.c.state == "active",
        )

    async def _former(
        self, connection: AsyncConnection, record: CertificateRecord
    ) -> tuple[CertificateRecord, ...]:
        """Find what is to serve again: the named one itself, or what it last took the place of."""
        if record.state == "superseded":
            found = [record]
        else:
            found = await find_records(connection, certificates.c.superseded_by == record.id)
            latest = max((each.superseded_at or 0 for each in found), default=0)
            found = [each for each in found if each.superseded_at == latest]
        if not found:
            raise _nothing_before(record)
        good = tuple(each for each in found if each.not_after >= self._clock())
        if not good:
            raise Conflict("former_expired", "The former certificate has expired: upload a new one instead.")
        return good

    async def _supersede(
        self, connection: AsyncConnection, replaced: Iterable[CertificateRecord], by: str
    ) -> None:
        ids = [each.id for each in replaced]
        theirs = select(func.max(certificates.c.superseded_at)).where(certificates.c.superseded_by == by)
        latest = await connection.scalar(theirs) or 0
        # Later than what it took the place of before, within one second too: a rollback goes by the latest.
        at = max(int(self._clock()), latest + 1)
        values = {"state": "superseded", "superseded_at": at, "superseded_by": by}
        await connection.execute(update(certificates).where(certificates.c.id.in_(ids)).values(values))

    async def _left_bare(self, connection: AsyncConnection, record: CertificateRecord) -> tuple[str, ...]:
        if record.state != "active":
            return ()
        others = await find_records(
            connection, certificates.c.state == "active", certificates.c.id != record.id
        )
        return tuple(left_bare(record, others, await find_held(connection, record.tenant_id)))

    async def _insert(self, connection: AsyncConnection, record: CertificateRecord, bundle: Bundle) -> None:
        sealed = self._sealer.seal(bundle.key_der, identity=identity_of(record.id))
        row = columns_of(record) | {"chain": bundle.chain_pem, "sealed_key": sealed}
        await connection.execute(insert(certificates).values(row))
        names = [{"certificate_id": record.id, "name": name} for name in record.names]
        await connection.execute(insert(certificate_names), names)

    async def _note(
        self,
        connection: AsyncConnection,
        record: CertificateRecord,
        action: str,
        actor: str,
        detail: Mapping[str, Any],
    ) -> None:
        """Write the audit; never a word of the key."""
        about = {"names": list(record.names), **detail}
        await note(connection, actor, action, record.id, about, self._clock(), tenant_id=record.tenant_id)


def _is_same(stored: SealedCertificate, bundle: Bundle) -> bool:
    return stored.chain_pem == bundle.chain_pem


def _unknown(certificate_id: str) -> NotFound:
    hint = "See: tenant-router certificate list"
    return NotFound("no_such_certificate", f"There is no certificate “{certificate_id[:40]}”. {hint}")


def _nothing_before(record: CertificateRecord) -> Conflict:
    return Conflict(
        "nothing_to_roll_back",
        f"{record.id} took the place of none that is still here: upload the one that is to serve.",
    )


def _gives_way(serving: CertificateRecord, names: Collection[str], asked: CertificateRecord) -> bool:
    """Whether what serves would stand in the way of the names that are to be served again."""
    fewer, more = set(serving.names) <= set(names), set(serving.names) >= set(names)
    return fewer or (more and asked.state == "superseded")  # the one that was asked for is to be seen


def _last(record: CertificateRecord, bare: Sequence[str]) -> Conflict:
    shown = [*bare[:_SHOWN], *(["…"] if len(bare) > _SHOWN else [])]
    return Conflict(
        "last_certificate",
        f"{record.id} is the last certificate of {', '.join(shown)}: upload another first, or say "
        "--even-the-last to leave them without one.",
    )
