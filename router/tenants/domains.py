"""Domains: what people ask of a claim to a hostname: how it stands, look now, give it up, refuse it.

Each use case is one transaction, as in registry.py, which has the two others: claiming (a field of the
tenant's form) and vouching.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from router.storage.schema import claims, tenants
from router.tenants.claim_rows import save_claim
from router.tenants.claims import (
    SERVED,
    ClaimEvent,
    ClaimState,
    check_external_hostname,
    check_reason,
    chosen,
    next_state,
)
from router.tenants.course import ordered
from router.tenants.evidence_rows import find_evidence
from router.tenants.notes import count_up, note
from router.tenants.rows import cname_target, find_claims
from router.tenants.story import Story, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.hostname import Hostname
    from router.storage.changes import Bell
    from router.storage.database import Database
    from router.tenants.checks import Checks
    from router.tenants.claims import Claim
    from router.tenants.evidence_rows import Recorded


@dataclass(frozen=True, slots=True)
class Standing:
    """How a claim stands: itself, its tenant's target, and the latest evidence, the newest check first."""

    claim: Claim
    target: Hostname
    evidence: tuple[Recorded, ...] = ()

    @property
    def story(self) -> Story:
        """What to tell of it."""
        return tell(self.claim, self.target)


class Domains:
    """The claims to external hostnames. ``actor`` is who to name in the audit, ``slug`` whose claim is meant.

    All methods that take a hostname raise ``BadInput`` for one that cannot be claimed,
    ``NotFound("claim_not_found")``, and ``Conflict("claimed_by_several")`` where ``slug`` is needed.
    """

    def __init__(
        self,
        database: Database,
        bell: Bell,
        checks: Checks,
        *,
        platform_domain: Hostname,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._bell = bell
        self._checks = checks
        self._platform_domain = platform_domain
        self._clock = clock

    async def list(self, slug: str | None = None) -> Sequence[Standing]:
        """All claims to external hostnames that are not given up, of one tenant or of all, by hostname."""
        wanted = [claims.c.kind == "external", claims.c.state != ClaimState.RELEASED.value]
        if slug is not None:
            wanted.append(tenants.c.slug == slug)
        async with self._database.read() as connection:
            found = await find_claims(connection, *wanted)
            labelled = select(tenants.c.id, tenants.c.cname_label)
            if slug is not None:
                labelled = labelled.where(tenants.c.slug == slug)
            rows = await connection.execute(labelled)
            labels = {row.id: row.cname_label for row in rows}
        platform = self._platform_domain
        found.sort(key=lambda claim: (claim.hostname, claim.slug))
        return [Standing(claim, cname_target(labels[claim.tenant_id], platform)) for claim in found]

    async def status(self, raw: str, *, slug: str | None = None) -> Standing:
        """How a claim stands, from what is stored: nobody is asked. One that was given up is told of, too."""
        hostname = check_external_hostname(raw, self._platform_domain)
        async with self._database.read() as connection:
            found = await find_claims(connection, claims.c.hostname == hostname)
            former = [claim for claim in found if slug in (None, claim.slug)]
            if former and all(claim.state is ClaimState.RELEASED for claim in former):
                latest = max(former, key=lambda claim: claim.updated_at)
                return await self._standing(connection, latest)
            return await self._standing(connection, chosen(found, hostname, slug))

    async def again(self, standing: Standing) -> Standing:
        """How the same claim stands now. Raises ``NotFound`` when the tenant is gone."""
        return await self.status(standing.claim.hostname, slug=standing.claim.slug)

    async def verify(self, raw: str, *, actor: str, slug: str | None = None) -> Standing:
        """Look for the proof now, and begin the schedule of checks anew.

        Raises ``Conflict("claim_state")`` for a claim that is blocked or suspended, besides what the check
        raises.
        """
        hostname = check_external_hostname(raw, self._platform_domain)
        async with self._database.write() as connection:
            claim = chosen(await find_claims(connection, claims.c.hostname == hostname), hostname, slug)
            next_state(claim.state, ClaimEvent.VERIFY)
            due = claim.next_check_at if claim.proof == "operator" else int(self._clock())
            anew = replace(claim, checks=0, next_check_at=due)
            await save_claim(connection, claim, anew, int(self._clock()))
        await self._checks.check(claim.id, actor=actor)
        return await self.status(hostname, slug=claim.slug)

    async def release(self, raw: str, *, actor: str, slug: str | None = None) -> Standing:
        """Give a hostname up: it answers no more. One that is suspended is blocked then."""
        return await self._order(raw, slug, ClaimEvent.RELEASE, actor)

    async def block(self, raw: str, *, reason: str, actor: str, slug: str | None = None) -> Standing:
        """Refuse a claim, until somebody takes that back. Raises ``BadInput("bad_reason")`` too."""
        return await self._order(raw, slug, ClaimEvent.BLOCK, actor, check_reason(reason))

    async def unblock(self, raw: str, *, actor: str, slug: str | None = None) -> Standing:
        """Take a refusal back: the proof is looked for again."""
        return await self._order(raw, slug, ClaimEvent.UNBLOCK, actor)

    async def suspend(self, raw: str, *, reason: str, actor: str, slug: str | None = None) -> Standing:
        """Switch a hostname off that stays the tenant's. Raises ``BadInput("bad_reason")`` too."""
        return await self._order(raw, slug, ClaimEvent.SUSPEND, actor, check_reason(reason))

    async def resume(self, raw: str, *, actor: str, slug: str | None = None) -> Standing:
        """Switch a suspended hostname on again."""
        return await self._order(raw, slug, ClaimEvent.RESUME, actor)

    async def _order(
        self, raw: str, slug: str | None, event: ClaimEvent, actor: str, reason: str | None = None
    ) -> Standing:
        """Do what somebody decided. Raises ``Conflict("claim_state")`` where it cannot be."""
        hostname = check_external_hostname(raw, self._platform_domain)
        now = int(self._clock())
        async with self._database.write() as connection:
            mine = claims.c.hostname == hostname
            claim = chosen(await find_claims(connection, mine), hostname, slug)
            theirs = await self._lock(connection, claim.tenant_id)
            claim = next(each for each in theirs if each.id == claim.id)
            after = ordered(claim, event, now, reason)
            if await save_claim(connection, claim, after, now):
                if (after.state in SERVED) is not (claim.state in SERVED):
                    await count_up(connection, claim.tenant_id, now)
                await self._note(connection, claim, theirs, event, actor, reason, now)
            standing = await self._standing(connection, after)
        await self._bell.ring()
        return standing

    async def _note(
        self,
        connection: AsyncConnection,
        claim: Claim,
        theirs: Sequence[Claim],
        event: ClaimEvent,
        actor: str,
        reason: str | None,
        now: int,
    ) -> None:
        detail = {"hostname": claim.hostname, "was": claim.state.value, "reason": reason}
        hostnames = [each.hostname for each in theirs]
        await note(connection, claim.tenant_id, hostnames, actor, f"domain.{event.value}", detail, now)

    async def _lock(self, connection: AsyncConnection, tenant_id: str) -> Sequence[Claim]:
        """Lock a tenant as the registry does, and read its claims."""
        await connection.execute(select(tenants.c.id).where(tenants.c.id == tenant_id).with_for_update())
        return await find_claims(connection, claims.c.tenant_id == tenant_id)

    async def _standing(self, connection: AsyncConnection, claim: Claim) -> Standing:
        found = await find_evidence(connection, claim.id)
        return Standing(claim, await self._target(connection, claim), found)

    async def _target(self, connection: AsyncConnection, claim: Claim) -> Hostname:
        label = await connection.scalar(select(tenants.c.cname_label).where(tenants.c.id == claim.tenant_id))
        return cname_target(str(label), self._platform_domain)
