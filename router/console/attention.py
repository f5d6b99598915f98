"""Attention: what a platform's operators should look at, the gravest first.

Told is what matters to visitors: a certificate that ends while another goes on is no news. Each kind is
bounded, for a platform may have a hundred thousand tenants and one cause for all of their troubles; that
there are more is said.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import or_, select

from router.certificates.expiry import endings
from router.certificates.life import DAY, NOTICES
from router.certificates.rows import find_records
from router.mail.queue import Queue
from router.storage.schema import SERVED_CLAIMS, certificates, claims, tenants, webhooks
from router.storage.traffic import TrafficLog
from router.storage.workers import Workers
from router.tenants.claims import ClaimState
from router.tenants.rows import cname_target, find_claims
from router.tenants.story import tell
from router.webhooks.rows import read_webhook, selected_webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.certificates.folder import CertificateFolder
    from router.certificates.record import CertificateRecord
    from router.hostname import Hostname
    from router.storage.database import Database
    from router.storage.traffic import Failing
    from router.tenants.claims import Claim
    from router.webhooks.webhook import Webhook

Trouble = Literal[
    "worker_fault",
    "certificate_expired",
    "upstream_failing",
    "certificate_expiring",
    "domain_moved",
    "domain_conflict",
    "domain_lost",
    "mail_failed",
    "webhook_failing",
]

MOST: Final = 100
"""Of each kind that are told at once."""

_LOOKED_AT: Final = 500
_LOST_OF_LATE: Final = 7 * DAY
_SHOWN: Final = 3
_OF_LATE: Final = 900
"""Seconds that visits are looked back at, and for which a webhook may fail without being told of."""

_FEW: Final = 20
"""Visits: fewer say nothing of an upstream."""

_GRAVITY: Final[tuple[Trouble, ...]] = (
    "worker_fault",
    "certificate_expired",
    "upstream_failing",
    "domain_moved",
    "certificate_expiring",
    "domain_conflict",
    "domain_lost",
    "mail_failed",
    "webhook_failing",
)


@dataclass(frozen=True, slots=True)
class Matter:
    """Something to look at: whose (the tenant's short name), about what, and when it began or ends."""

    kind: Trouble
    tenant: str | None
    subject: str
    at: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Look:
    """What there is, the gravest first, and the kinds of which there is more than is told."""

    matters: tuple[Matter, ...]
    more: tuple[Trouble, ...] = ()


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
        self._traffic = TrafficLog(database)
        self._clock = clock

    async def look(self) -> Look:
        """Tell what there is, the gravest first. Raises ``Unavailable`` (the database)."""
        now = self._clock()
        found = [
            *await self._of_workers(now),
            *await self._of_certificates(now),
            *await self._of_domains(now),
            *await self._of_mails(),
            *await self._of_webhooks(now),
            *await self._of_upstreams(now),
        ]
        return _bounded(found)

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
        return sorted(told, key=lambda each: each.at)

    async def _of_domains(self, now: float) -> list[Matter]:
        lost = (
            (claims.c.state == ClaimState.RELEASED.value)
            & claims.c.code.in_(["proof_lost", "displaced"])
            & (claims.c.updated_at > int(now) - _LOST_OF_LATE)
        )
        troubled = claims.c.state.in_([ClaimState.MOVED.value, ClaimState.CONFLICT.value])
        ids = select(claims.c.id).where(claims.c.kind == "external", or_(troubled, lost))
        async with self._database.read() as connection:
            which = list(await connection.scalars(ids.order_by(claims.c.updated_at.desc()).limit(_LOOKED_AT)))
            found = await find_claims(connection, claims.c.id.in_(which))
            owners = list({each.tenant_id for each in found})
            rows = await connection.execute(
                select(tenants.c.id, tenants.c.cname_label).where(tenants.c.id.in_(owners))
            )
            labels = {row.id: row.cname_label for row in rows}
        newest = sorted(found, key=lambda each: each.updated_at, reverse=True)
        return [self._domain(each, labels[each.tenant_id]) for each in newest]

    async def _of_mails(self) -> list[Matter]:
        failed = await self._mails.list(state="failed", most=MOST + 1)
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

    async def _of_webhooks(self, now: float) -> list[Matter]:
        """Find those that were given up, and those of which nothing arrived for a while."""
        for_long = webhooks.c.failing_since <= int(now) - _OF_LATE
        given_up = webhooks.c.disabled & webhooks.c.failing_since.is_not(None)
        failing = selected_webhooks(or_(for_long, given_up)).order_by(webhooks.c.failing_since.desc())
        async with self._database.read() as connection:
            rows = (await connection.execute(failing.limit(MOST + 1))).mappings()
            return [_webhook(read_webhook(row)) for row in rows]

    async def _of_upstreams(self, now: float) -> list[Matter]:
        """Find those of whose visits half failed; a portal that is being worked on does so by intent."""
        failing = await self._traffic.failing(now - _OF_LATE, now, least=_FEW, most=_LOOKED_AT)
        columns = (tenants.c.id, tenants.c.slug, tenants.c.upstreams, tenants.c.forwarding)
        active = select(*columns).where(tenants.c.status == "active")
        ids = [each.tenant_id for each in failing]
        async with self._database.read() as connection:
            rows = list(await connection.execute(active.where(tenants.c.id.in_(ids))))
        serving = {row.id: row for row in rows if not row.forwarding.get("maintenance")}
        return [
            _upstream(each, row.slug, [upstream["url"] for upstream in row.upstreams])
            for each in failing
            if (row := serving.get(each.tenant_id)) is not None
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
    some = _some(names)
    tenant = slugs.get(record.tenant_id or "")
    if record.not_after < now:
        sentence = f"The certificate for {some} has expired: upload its successor."
        return Matter("certificate_expired", tenant, record.id, record.not_after, sentence)
    days = int((record.not_after - now) // DAY)
    sentence = f"The certificate for {some} ends in {days} days: upload its successor."
    return Matter("certificate_expiring", tenant, record.id, record.not_after, sentence)


def _webhook(webhook: Webhook) -> Matter:
    """Of its URL the origin is told, for the rest may be a secret."""
    kept = "is disabled, and its last deliveries failed: enable it once they are received, or remove it"
    said = kept if webhook.disabled else "fails: nothing that was sent there since then has arrived"
    sentence = f"The webhook {webhook.origin} {said}."
    return Matter("webhook_failing", webhook.slug, webhook.id, webhook.failing_since or 0, sentence)


def _upstream(failing: Failing, slug: str, urls: Sequence[str]) -> Matter:
    numbers = f"{failing.failed} of {failing.requests} visits of the last {_OF_LATE // 60} minutes"
    sentence = f"{numbers} failed (5xx): look at the upstreams of {slug}."
    return Matter("upstream_failing", slug, _some(urls) or slug, failing.since, sentence)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _bounded(found: Iterable[Matter]) -> Look:
    """Keep of each kind what was found first, and say of which there is more."""
    kinds, kept = Counter[Trouble](), []
    for each in found:
        kinds[each.kind] += 1
        if kinds[each.kind] <= MOST:
            kept.append(each)
    kept.sort(key=lambda each: (_GRAVITY.index(each.kind), each.at))
    return Look(tuple(kept), tuple(kind for kind in _GRAVITY if kinds[kind] > MOST))


async def _held(connection: AsyncConnection, owners: Sequence[str]) -> list[tuple[str, str]]:
    """List the hostnames of some tenants that answer, each with the id of its tenant."""
    serves = claims.c.state.in_(SERVED_CLAIMS)
    rows = select(claims.c.hostname, claims.c.tenant_id).where(serves, claims.c.tenant_id.in_(owners))
    return [(row[0], row[1]) for row in await connection.execute(rows)]


async def _slugs(connection: AsyncConnection, ids: Iterable[str]) -> dict[str, str]:
    rows = await connection.execute(select(tenants.c.id, tenants.c.slug).where(tenants.c.id.in_(list(ids))))
    return {row.id: row.slug for row in rows}
