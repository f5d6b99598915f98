"""Attention: what a platform's operators should look at, the gravest first.

Told is what matters to visitors: a certificate that ends while another goes on is no news. Each kind is
bounded, for a platform may have a hundred thousand tenants and one cause for all of their troubles.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import or_, select

from router.certificates.expiry import endings
from router.certificates.life import DAY, NOTICES
from router.certificates.rows import find_records
from router.mail.queue import Queue
from router.storage.schema import SERVED_CLAIMS, certificates, claims, tenants
from router.storage.workers import Workers
from router.tenants.claims import ClaimState
from router.tenants.rows import cname_target, find_claims
from router.tenants.story import tell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.certificates.folder import CertificateFolder
    from router.certificates.record import CertificateRecord
    from router.hostname import Hostname
    from router.storage.database import Database
    from router.tenants.claims import Claim

Trouble = Literal[
    "worker_fault",
    "certificate_expired",
    "certificate_expiring",
    "domain_moved",
    "domain_conflict",
    "domain_lost",
    "mail_failed",
]

MOST: Final = 100
"""Of each kind that are told at once."""

_LOOKED_AT: Final = 500
_LOST_OF_LATE: Final = 7 * DAY
_SHOWN: Final = 3
_GRAVITY: Final[tuple[Trouble, ...]] = (
    "worker_fault",
    "certificate_expired",
    "domain_moved",
    "certificate_expiring",
    "domain_conflict",
    "domain_lost",
    "mail_failed",
)


@dataclass(frozen=True, slots=True)
class Matter:
    """Something to look at: whose (the tenant's short name), about what, and when it began or ends."""

    kind: Trouble
    tenant: str | None
    subject: str
    at: int
    sentence: str


class Attention:
    """Gathers what needs it. ``clock`` tells unix seconds."""

    def __init__(
        self,
        database: Database,
        folder: CertificateFolder,
        *,
        platform_domain: Hostname,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._folder = folder
        self._platform_domain = platform_domain
        self._workers = Workers(database)
        self._mails = Queue(database)
        self._clock = clock

    async def look(self) -> tuple[Matter, ...]:
        """Tell what there is, the gravest first. Raises ``Unavailable`` (the database)."""
        now = self._clock()
        found = [
            *await self._of_workers(now),
            *await self._of_certificates(now),
            *await self._of_domains(now),
            *await self._of_mails(),
        ]
        return tuple(sorted(found, key=lambda each: (_GRAVITY.index(each.kind), each.at)))

    async def _of_workers(self, now: float) -> list[Matter]:
        return [
            Matter("worker_fault", None, f"{each.node}, process {each.pid}", each.seen_at, each.fault)
            for each in await self._workers.alive(now)
            if each.fault
        ]

    async def _of_certificates(self, now: float) -> list[Matter]:
        """Find those that end without a successor; the first to end of them where there are very many."""
        active = certificates.c.state == "active"
        soon = certificates.c.not_after <= int(now) + NOTICES[0] * DAY
        ids = select(certificates.c.id).where(active, soon).order_by(certificates.c.not_after)
        async with self._database.read() as connection:
            which = list(await connection.scalars(ids.limit(_LOOKED_AT)))
            ending = await find_records(connection, certificates.c.id.in_(which))
            owners = list({each.tenant_id for each in ending if each.tenant_id is not None})
            theirs = or_(certificates.c.tenant_id.is_(None), certificates.c.tenant_id.in_(owners))
            others = await find_records(connection, active, theirs)
            held = await _held(connection, owners)
            slugs = await _slugs(connection, owners)
        every = [*others, *self._folder.list()]
        told = [_certificate(each.record, each.names, slugs, now) for each in endings(every, held, now)]
        return sorted(told, key=lambda each: each.at)[:MOST]

    async def _of_domains(self, now: float) -> list[Matter]:
        lost = (
            (claims.c.state == ClaimState.RELEASED.value)
            & claims.c.code.in_(["proof_lost", "displaced"])
            & (claims.c.updated_at > int(now) - _LOST_OF_LATE)
        )
        troubled = claims.c.state.in_([ClaimState.MOVED.value, ClaimState.CONFLICT.value])
        ids = select(claims.c.id).where(claims.c.kind == "external", or_(troubled, lost))
        async with self._database.read() as connection:
            which = list(await connection.scalars(ids.order_by(claims.c.updated_at.desc()).limit(MOST)))
            found = await find_claims(connection, claims.c.id.in_(which))
            owners = list({each.tenant_id for each in found})
            rows = await connection.execute(
                select(tenants.c.id, tenants.c.cname_label).where(tenants.c.id.in_(owners))
            )
            labels = {row.id: row.cname_label for row in rows}
        return [self._domain(each, labels[each.tenant_id]) for each in found]

    async def _of_mails(self) -> list[Matter]:
        failed = await self._mails.list(state="failed", most=MOST)
        async with self._database.read() as connection:
            slugs = await _slugs(connection, {each.tenant_id for each in failed if each.tenant_id})
        return [
            Matter(
                "mail_failed",
                slugs.get(each.tenant_id or ""),
                each.recipient,
                each.created_at,
                f"The mail “{each.kind}” to {each.recipient} could not be sent: {each.error or 'no reason'}",
            )
            for each in failed
        ]

    def _domain(self, claim: Claim, label: str) -> Matter:
        kind: Trouble = "domain_lost"
        if claim.state is ClaimState.MOVED:
            kind = "domain_moved"
        elif claim.state is ClaimState.CONFLICT:
            kind = "domain_conflict"
        story = tell(claim, cname_target(label, self._platform_domain))
        at = claim.lost_at if kind == "domain_moved" and claim.lost_at is not None else claim.updated_at
        return Matter(kind, claim.slug, str(claim.hostname), at, str(story))


def _certificate(
    record: CertificateRecord, names: Sequence[str], slugs: dict[str, str], now: float
) -> Matter:
    some = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    tenant = slugs.get(record.tenant_id or "")
    if record.not_after < now:
        sentence = f"The certificate for {some} has expired: upload its successor."
        return Matter("certificate_expired", tenant, record.id, record.not_after, sentence)
    days = int((record.not_after - now) // DAY)
    sentence = f"The certificate for {some} ends in {days} days: upload its successor."
    return Matter("certificate_expiring", tenant, record.id, record.not_after, sentence)


async def _held(connection: AsyncConnection, owners: Sequence[str]) -> list[tuple[str, str]]:
    """List the hostnames of some tenants that answer, each with the id of its tenant."""
    serves = claims.c.state.in_(SERVED_CLAIMS)
    rows = select(claims.c.hostname, claims.c.tenant_id).where(serves, claims.c.tenant_id.in_(owners))
    return [(row[0], row[1]) for row in await connection.execute(rows)]


async def _slugs(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, str]:
    rows = await connection.execute(select(tenants.c.id, tenants.c.slug).where(tenants.c.id.in_(list(ids))))
    return {row.id: row.slug for row in rows}
