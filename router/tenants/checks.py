"""One check of one claim: ask the DNS, decide, write it down, tell those who have to know.

1. The claim is read, and the DNS is asked: outside of any transaction, for it takes seconds.
2. In one transaction, with all claims to the hostname locked, the same answers are judged for the claim and
   for whoever holds the hostname; course.py decides; claim, evidence, audit, changes and mails are written.
3. The bell is rung.

So two checks at once do no harm: each decides by what the other has written.
"""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from router.errors import Conflict, NotFound
from router.storage.schema import claims, tenants
from router.tenants.claim_rows import release_others, save_claim
from router.tenants.claims import HOLDING, SERVED, Claim, ClaimEvent, ClaimState
from router.tenants.course import Course, Holder, decide, ordered
from router.tenants.evidence_rows import keep_evidence
from router.tenants.notes import count_up, note
from router.tenants.proof import Wanted, judge
from router.tenants.rows import cname_target, find_claims
from router.tenants.story import ends_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.hostname import Hostname
    from router.storage.changes import Bell
    from router.storage.database import Database
    from router.storage.notices import Notices
    from router.tenants.proof import Facts
    from router.tenants.verify import Verifier

CHECKER: Final = "checker"
"""Who the audit names when nobody asked."""

_FOR_OPERATORS: Final = frozenset({"domain-lost", "domain-released", "domain-conflict"})
"""What the platform's operators are told too, for nobody else may act."""

_log = structlog.get_logger(__name__)


class Checks:
    """Checks claims. ``luck`` spreads their times: a number from 0 to 1, another one each time."""

    def __init__(
        self,
        database: Database,
        bell: Bell,
        verifier: Verifier,
        notices: Notices,
        *,
        platform_domain: Hostname,
        clock: Callable[[], float] = time.time,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._bell = bell
        self._verifier = verifier
        self._notices = notices
        self._platform_domain = platform_domain
        self._clock = clock
        self._luck = luck

    async def check(self, claim_id: str, *, actor: str = CHECKER) -> Claim:
        """Check a claim now, and answer how it is afterwards.

        Raises ``NotFound("claim_not_found")``, ``Conflict("changed_meanwhile")`` and ``Unavailable``.
        """
        claim, target = await self._read(claim_id)
        facts = await self._verifier.look(claim.hostname, claim.txt_name, target)
        try:
            async with self._database.write() as connection:
                after = await self._settle(connection, claim, facts, actor)
        except IntegrityError as fault:
            raise Conflict("changed_meanwhile", f"{claim.hostname} was taken just now: try again.") from fault
        await self._bell.ring()
        return after

    async def put_off(self, claim_id: str, seconds: int) -> None:
        """Have a claim checked later, without having checked it."""
        due = int(self._clock()) + seconds
        async with self._database.write() as connection:
            later = update(claims).where(claims.c.id == claim_id, claims.c.next_check_at.is_not(None))
            await connection.execute(later.values(next_check_at=due))

    async def _read(self, claim_id: str) -> tuple[Claim, Hostname]:
        async with self._database.read() as connection:
            found = await find_claims(connection, claims.c.id == claim_id)
            if not found:
                raise _gone()
            label = await connection.scalar(
                select(tenants.c.cname_label).where(tenants.c.id == found[0].tenant_id)
            )
        return found[0], cname_target(str(label), self._platform_domain)

    async def _settle(self, connection: AsyncConnection, asked: Claim, facts: Facts, actor: str) -> Claim:
        """Decide and write what the facts mean for a claim."""
        now = int(self._clock())
        labels, rivals = await _lock(connection, asked.hostname)
        claim = next((each for each in rivals if each.id == asked.id), None)
        if claim is None:
            raise _gone()
        holder = next((each for each in rivals if each.id != claim.id and each.state in HOLDING), None)
        verdict = judge(self._wanted(claim, labels), facts)
        held = None
        if holder is not None:
            held = Holder(holder, judge(self._wanted(holder, labels), facts))
        course = decide(claim, verdict, held, now, self._luck())
        if claim.next_check_at != asked.next_check_at:  # somebody asked again while the DNS was asked
            course = replace(course, after=replace(course.after, next_check_at=claim.next_check_at))
        await keep_evidence(connection, claim.id, verdict.evidence, now)
        if held is not None and course.displaces:
            displaced = ordered(held.claim, ClaimEvent.DISPLACE, now)
            await keep_evidence(connection, held.claim.id, held.verdict.evidence, now)
            await save_claim(connection, held.claim, displaced, now)
        await save_claim(connection, claim, course.after, now)
        if course.events:
            await self._write_down(connection, claim, course, actor, now)
        if held is not None and course.displaces:
            await self._tell_displaced(connection, held.claim, labels, actor, now)
        if course.news is not None:
            told, grave = self._facts(course.after, labels, now), course.news in _FOR_OPERATORS
            await self._notices.tell(connection, claim.tenant_id, course.news, told, now, operators_too=grave)
        return course.after

    async def _write_down(
        self, connection: AsyncConnection, claim: Claim, course: Course, actor: str, now: int
    ) -> None:
        """Write the audit, have every worker forget what it knew, and give up what this one replaces."""
        after, event = course.after, course.events[-1]
        theirs = await find_claims(connection, claims.c.tenant_id == claim.tenant_id)
        if after.state is ClaimState.ACTIVE and claim.state not in SERVED:
            await release_others(connection, theirs, after, now)
        if (after.state in SERVED) is not (claim.state in SERVED):
            await count_up(connection, claim.tenant_id, now)
        _log.info(
            "domain", hostname=claim.hostname, tenant=claim.slug, state=after.state.value, code=after.code
        )
        detail = {"hostname": claim.hostname, "was": claim.state.value, "code": after.code}
        hostnames = [each.hostname for each in theirs]
        await note(connection, claim.tenant_id, hostnames, actor, f"domain.{event.value}", detail, now)

    async def _tell_displaced(
        self, connection: AsyncConnection, claim: Claim, labels: Mapping[str, str], actor: str, now: int
    ) -> None:
        _log.warning("domain displaced", hostname=claim.hostname, tenant=claim.slug)
        await count_up(connection, claim.tenant_id, now)
        theirs = await find_claims(connection, claims.c.tenant_id == claim.tenant_id)
        detail = {"hostname": claim.hostname, "was": claim.state.value, "code": "displaced"}
        hostnames = [each.hostname for each in theirs]
        await note(connection, claim.tenant_id, hostnames, actor, "domain.displace", detail, now)
        facts = self._facts(claim, labels, now)
        await self._notices.tell(connection, claim.tenant_id, "domain-displaced", facts, now)

    def _wanted(self, claim: Claim, labels: Mapping[str, str]) -> Wanted:
        target = cname_target(labels[claim.tenant_id], self._platform_domain)
        return Wanted(
            claim.hostname, target, claim.txt_name, claim.txt_token, claim.behind_cdn, self._platform_domain
        )

    def _facts(self, claim: Claim, labels: Mapping[str, str], now: int) -> dict[str, str | int]:
        """Say what a mail about a claim tells."""
        return {
            "hostname": claim.hostname,
            "target": cname_target(labels[claim.tenant_id], self._platform_domain),
            "txt_name": claim.txt_name,
            "txt_token": claim.txt_token,
            "behind_cdn": int(claim.behind_cdn),
            "until": ends_at(claim) or 0,
            "at": now,
        }


async def _lock(connection: AsyncConnection, hostname: Hostname) -> tuple[dict[str, str], Sequence[Claim]]:
    """Lock those who claim a hostname, tenants before claims as the registry does; tell their labels."""
    claiming = select(claims.c.tenant_id).where(claims.c.hostname == hostname)
    rows = (
        select(tenants.c.id, tenants.c.cname_label).where(tenants.c.id.in_(claiming)).order_by(tenants.c.id)
    )
    labels = {str(row.id): str(row.cname_label) for row in await connection.execute(rows.with_for_update())}
    found = await find_claims(connection, claims.c.hostname == hostname, lock=True)
    return labels, [claim for claim in found if claim.tenant_id in labels]


def _gone() -> NotFound:
    return NotFound("claim_not_found", "The claim does not exist (any more).")
