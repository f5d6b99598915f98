"""What a check leads to: decide(claim, verdict, holder) -> Course, one table for all states.

PURE. The states are in claims.py, the times in schedule.py; who does it is checks.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, assert_never

from router.tenants.claims import Claim, ClaimEvent, ClaimState, next_state
from router.tenants.schedule import (
    TRIES,
    notices_due,
    pause,
    pause_in_doubt,
    pause_while_proved,
    serves_until,
)

if TYPE_CHECKING:
    from router.tenants.proof import Verdict

News = Literal[
    "domain-active",
    "domain-unproved",
    "domain-lost",
    "domain-released",
    "domain-conflict",
]
"""The mails about a claim; a displaced one's tenant gets ``domain-displaced``."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has the hostname that another tenant claims, and what its own proof is worth now."""

    claim: Claim
    verdict: Verdict

    @property
    def gives_way(self) -> bool:
        """Whether proof by another displaces it.

        Its own proof is known to be gone. A platform operator's word stands until an operator takes it back,
        and so does what an operator suspended; while name servers cannot tell, nobody loses anything.
        """
        if self.claim.proof == "operator" or self.verdict.proof is not None:
            return False
        if self.claim.state is ClaimState.MOVED:
            return True
        return self.claim.state is ClaimState.ACTIVE and self.verdict.certain


@dataclass(frozen=True, slots=True)
class Course:
    """Where a check leads: the claim as it is afterwards, by which events, and who is told what."""

    after: Claim
    events: tuple[ClaimEvent, ...] = ()
    news: News | None = None
    displaces: bool = False


def decide(claim: Claim, verdict: Verdict, holder: Holder | None, now: int, luck: float) -> Course:
    """Decide what a check of ``claim`` leads to; ``holder`` is another tenant's, which has the hostname."""
    seen = replace(claim, code=verdict.code, checked_at=now)
    match claim.state:
        case ClaimState.PENDING:
            looking = _moved(Course(seen), ClaimEvent.VERIFY)
            return _waiting(looking, verdict, holder, now, luck)
        case ClaimState.VERIFYING | ClaimState.CONFLICT:
            return _waiting(Course(seen), verdict, holder, now, luck)
        case ClaimState.ACTIVE:
            return _active(seen, verdict, now, luck)
        case ClaimState.MOVED:
            return _lost(seen, verdict, now, luck)
        case ClaimState.RELEASED | ClaimState.BLOCKED | ClaimState.SUSPENDED:
            return Course(replace(claim, next_check_at=None))
        case _:
            assert_never(claim.state)


def ordered(claim: Claim, event: ClaimEvent, now: int, reason: str | None = None) -> Claim:
    """Give the claim as it is after somebody decided about it. Raises ``Conflict("claim_state")``."""
    state = next_state(claim.state, event)
    if state is claim.state and event is not ClaimEvent.VOUCH:
        return claim
    after = replace(claim, state=state, reason=reason, next_check_at=None)
    match event:
        case ClaimEvent.CLAIM | ClaimEvent.UNBLOCK:
            fresh = replace(after, code=None, proof=None, proved_at=None, checked_at=None, lost_at=None)
            after = replace(fresh, notices=0, checks=0, next_check_at=now)
        case ClaimEvent.VOUCH:
            vouched = replace(after, proof="operator", proved_at=now, code="vouched", lost_at=None)
            after = replace(vouched, notices=0, checks=0)
        case ClaimEvent.RESUME if claim.proof != "operator":
            after = replace(after, lost_at=None, notices=0, next_check_at=now)
        case ClaimEvent.DISPLACE | ClaimEvent.RELEASE:
            code = "displaced" if event is ClaimEvent.DISPLACE else None
            after = replace(after, code=code, proof=None)
    return after


def _waiting(course: Course, verdict: Verdict, holder: Holder | None, now: int, luck: float) -> Course:
    """Go on with a claim that has no hostname yet."""
    seen = course.after
    if verdict.proof is None:
        return _unproved(course, verdict, now, luck)
    if holder is None or holder.gives_way:
        proved = _proved(seen, verdict, now, luck)
        done = _moved(replace(course, after=proved), ClaimEvent.PROVE)
        return replace(done, news="domain-active", displaces=holder is not None)
    met = replace(seen, code="held_by_another", next_check_at=now + pause_in_doubt(luck), checks=0)
    news: News | None = None if seen.state is ClaimState.CONFLICT else "domain-conflict"
    return replace(_moved(replace(course, after=met), ClaimEvent.MEET_HOLDER), news=news)


def _unproved(course: Course, verdict: Verdict, now: int, luck: float) -> Course:
    seen = course.after
    if seen.state is ClaimState.CONFLICT:
        later = replace(course, after=replace(seen, next_check_at=now + pause_in_doubt(luck)))
        return _moved(later, ClaimEvent.LOSE_PROOF) if verdict.certain else later
    checks = seen.checks + 1
    if checks >= TRIES:
        ended = replace(course, after=replace(seen, checks=checks, next_check_at=None))
        return replace(_moved(ended, ClaimEvent.RUN_OUT), news="domain-unproved")
    return replace(course, after=replace(seen, checks=checks, next_check_at=now + pause(checks - 1, luck)))


def _active(seen: Claim, verdict: Verdict, now: int, luck: float) -> Course:
    if seen.proof == "operator":  # what the DNS says is told, and takes nothing away
        return Course(replace(seen, next_check_at=None))
    if verdict.proof is not None:
        return Course(_proved(seen, verdict, now, luck))
    if not verdict.certain:
        return Course(replace(seen, next_check_at=now + pause_in_doubt(luck)))
    lost = replace(seen, lost_at=now, notices=1, next_check_at=now + pause_in_doubt(luck))
    return replace(_moved(Course(lost), ClaimEvent.LOSE_PROOF), news="domain-lost")


def _lost(seen: Claim, verdict: Verdict, now: int, luck: float) -> Course:
    if verdict.proof is not None:
        found = _moved(Course(_proved(seen, verdict, now, luck)), ClaimEvent.PROVE)
        return replace(found, news="domain-active")
    lost_at = now if seen.lost_at is None else seen.lost_at
    until = serves_until(lost_at)
    if now >= until and verdict.certain:
        gone = replace(seen, code="proof_lost", next_check_at=None)
        return replace(_moved(Course(gone), ClaimEvent.RUN_OUT), news="domain-released")
    later = now + pause_in_doubt(luck)
    # Not before the end, when it is to be released, nor long after it.
    waits = replace(seen, lost_at=lost_at, next_check_at=min(later, until) if now < until else later)
    due = notices_due(lost_at, now)
    if due <= seen.notices:
        return Course(waits)
    return Course(replace(waits, notices=due), news="domain-lost")


def _proved(seen: Claim, verdict: Verdict, now: int, luck: float) -> Claim:
    return replace(
        seen,
        proof=verdict.proof,
        proved_at=now,
        lost_at=None,
        notices=0,
        checks=0,
        next_check_at=now + pause_while_proved(luck),
    )


def _moved(course: Course, event: ClaimEvent) -> Course:
    state = next_state(course.after.state, event)
    return replace(course, after=replace(course.after, state=state), events=(*course.events, event))
