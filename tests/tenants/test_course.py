"""What a check leads to, and what people decide: every state, every verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import Conflict
from router.hostname import Hostname
from router.tenants.claims import HOLDING, SERVED, Claim, ClaimEvent, ClaimState, Proof
from router.tenants.course import Holder, decide, ordered
from router.tenants.proof import Verdict
from router.tenants.schedule import LOST_LIFE, TRIES

if TYPE_CHECKING:
    from router.tenants.course import Course

NOW = 1_795_372_560
DAY = 86_400
EVEN = 0.5
HOST = Hostname.parse("billing.acme.example")

CLAIM = Claim("clm_1", "tnt_1", "acme", HOST, "external", ClaimState.PENDING, "token", None, NOW, NOW)
OTHERS = replace(CLAIM, id="clm_2", tenant_id="tnt_2", slug="globex", state=ClaimState.ACTIVE, proof="cname")

BY_CNAME = Verdict("cname", certain=True, code="proved_by_cname")
BY_TXT = Verdict("txt", certain=True, code="proved_by_txt")
NONE = Verdict(None, certain=True, code="no_such_name")
UNKNOWN = Verdict(None, certain=False, code="dns_servfail")


def at(state: ClaimState, **changes: Any) -> Claim:  # noqa: ANN401 - the fields of a claim
    """Give the claim in another state; one that is held was proved by its CNAME."""
    proof: Proof | None = "cname" if state in HOLDING else None
    lost = NOW - DAY if state is ClaimState.MOVED else None
    return replace(CLAIM, state=state, proof=proof, lost_at=lost, notices=1 if lost else 0, **changes)


def course(claim: Claim, verdict: Verdict, holder: Holder | None = None, now: int = NOW) -> Course:
    """Decide without luck."""
    return decide(claim, verdict, holder, now, EVEN)


HELD = Holder(OTHERS, BY_TXT)
MOVING = Holder(OTHERS, NONE)
UNCLEAR = Holder(OTHERS, UNKNOWN)
LOST = Holder(replace(OTHERS, state=ClaimState.MOVED, lost_at=NOW - 1), UNKNOWN)
FOUND_AGAIN = Holder(replace(OTHERS, state=ClaimState.MOVED, lost_at=NOW - 1), BY_TXT)
VOUCHED = Holder(replace(OTHERS, proof="operator"), NONE)
SWITCHED_OFF = Holder(replace(OTHERS, state=ClaimState.SUSPENDED), NONE)


@pytest.mark.parametrize(
    ("state", "verdict", "holder", "after", "news"),
    [
        ("pending", BY_CNAME, None, "active", "domain-active"),
        ("pending", NONE, None, "verifying", None),
        ("pending", UNKNOWN, None, "verifying", None),
        ("verifying", BY_TXT, None, "active", "domain-active"),
        ("verifying", NONE, None, "verifying", None),
        ("verifying", UNKNOWN, None, "verifying", None),
        ("verifying", NONE, MOVING, "verifying", None),
        ("verifying", BY_CNAME, HELD, "conflict", "domain-conflict"),
        ("verifying", BY_CNAME, UNCLEAR, "conflict", "domain-conflict"),
        ("verifying", BY_CNAME, FOUND_AGAIN, "conflict", "domain-conflict"),
        ("verifying", BY_CNAME, VOUCHED, "conflict", "domain-conflict"),
        ("verifying", BY_CNAME, SWITCHED_OFF, "conflict", "domain-conflict"),
        ("verifying", BY_CNAME, MOVING, "active", "domain-active"),
        ("verifying", BY_CNAME, LOST, "active", "domain-active"),
        ("pending", BY_CNAME, LOST, "active", "domain-active"),
        ("conflict", BY_CNAME, HELD, "conflict", None),
        ("conflict", BY_CNAME, None, "active", "domain-active"),
        ("conflict", BY_CNAME, LOST, "active", "domain-active"),
        ("conflict", NONE, HELD, "verifying", None),
        ("conflict", UNKNOWN, HELD, "conflict", None),
        ("active", BY_CNAME, None, "active", None),
        ("active", BY_TXT, None, "active", None),
        ("active", UNKNOWN, None, "active", None),
        ("active", NONE, None, "moved", "domain-lost"),
        ("moved", BY_TXT, None, "active", "domain-active"),
        ("moved", NONE, None, "moved", None),
        ("moved", UNKNOWN, None, "moved", None),
        ("suspended", NONE, None, "suspended", None),
        ("blocked", BY_CNAME, None, "blocked", None),
        ("released", BY_CNAME, None, "released", None),
    ],
    ids=str,
)
def test_where_each_verdict_leads(
    state: str, verdict: Verdict, holder: Holder | None, after: str, news: str | None
) -> None:
    """Proof makes active, its certain loss moves, and a holder gives way only when its own is gone."""
    found = course(at(ClaimState(state)), verdict, holder)
    assert (found.after.state.value, found.news) == (after, news)
    assert found.displaces is (after == "active" and holder is not None)


def test_a_lost_proof_serves_seven_days_and_is_told_thrice() -> None:
    """It is told at once, on the fourth day and on the seventh; looked for each hour; and then released."""
    claim, news, when = at(ClaimState.ACTIVE), [], NOW
    while claim.next_check_at is not None or when == NOW:
        found = course(claim, NONE, now=when)
        claim = found.after
        if found.news:
            news.append((round((when - NOW) / DAY, 1), found.news))
        assert claim.state in SERVED or when == NOW + LOST_LIFE
        when = claim.next_check_at or when
    assert claim.state is ClaimState.RELEASED
    assert claim.code == "proof_lost"
    assert news == [(0, "domain-lost"), (3, "domain-lost"), (6, "domain-lost"), (7, "domain-released")]


def test_nothing_is_released_while_the_dns_cannot_tell() -> None:
    """At the end of the seven days too, it takes an answer."""
    claim = at(ClaimState.MOVED, next_check_at=NOW)
    late = (claim.lost_at or 0) + LOST_LIFE + 5
    waits = course(claim, UNKNOWN, now=late).after
    assert (waits.state, waits.next_check_at) == (ClaimState.MOVED, late + 3600)
    assert course(waits, NONE, now=late + 3600).after.state is ClaimState.RELEASED


def test_proof_that_is_back_makes_all_good() -> None:
    """A later loss begins its seven days anew."""
    back = course(at(ClaimState.MOVED), BY_TXT).after
    assert (back.proof, back.proved_at, back.lost_at, back.notices) == ("txt", NOW, None, 0)
    again = course(back, NONE, now=NOW + 9).after
    assert (again.lost_at, again.notices) == (NOW + 9, 1)


def test_an_operators_word_is_not_taken_away_by_the_dns() -> None:
    """What the DNS says of it is remembered, and that is all."""
    vouched = replace(at(ClaimState.ACTIVE), proof="operator")
    for verdict in (NONE, UNKNOWN, BY_CNAME):
        found = course(vouched, verdict)
        assert found.after == replace(vouched, code=verdict.code, checked_at=NOW)
        assert not found.events


def test_a_claim_is_looked_for_seventy_five_times() -> None:
    """Then it waits until somebody asks, and its tenant is told once."""
    claim, when, news = CLAIM, NOW, []
    for _ in range(TRIES):
        found = course(claim, NONE, now=when)
        claim, when = found.after, found.after.next_check_at or when
        news.append(found.news)
    assert (claim.state, claim.next_check_at, claim.checks) == (ClaimState.PENDING, None, TRIES)
    assert news == [None] * (TRIES - 1) + ["domain-unproved"]
    assert claim.code == "no_such_name"
    anew = course(replace(claim, checks=0), NONE).after
    assert (anew.state, anew.checks, anew.next_check_at) == (ClaimState.VERIFYING, 1, NOW + 60)


def test_the_first_pause_is_the_shortest() -> None:
    """Whoever publishes the record at once waits a minute."""
    first = course(CLAIM, NONE).after
    assert first.next_check_at == NOW + 60
    assert course(first, NONE).after.next_check_at == NOW + 63


@given(st.lists(st.sampled_from([BY_CNAME, BY_TXT, NONE, UNKNOWN]), max_size=30))
def test_nobody_serves_without_having_proved(verdicts: list[Verdict]) -> None:
    """Whatever comes in whatever order: served is who proved it, and a released one comes to rest."""
    claim, when, proved = CLAIM, NOW, False
    for verdict in verdicts:
        claim = course(claim, verdict, now=when).after
        proved = proved or verdict.proof is not None
        assert proved or claim.state not in SERVED
        assert (claim.next_check_at is None) is (claim.state is ClaimState.RELEASED)
        when = claim.next_check_at or when


@pytest.mark.parametrize(
    ("state", "event", "after", "looks"),
    [
        ("released", "claim", "pending", True),
        ("blocked", "unblock", "pending", True),
        ("suspended", "resume", "active", True),
        ("active", "suspend", "suspended", False),
        ("active", "release", "released", False),
        ("moved", "displace", "released", False),
        ("verifying", "block", "blocked", False),
        ("suspended", "release", "blocked", False),
    ],
)
def test_what_people_decide(state: str, event: str, after: str, looks: bool) -> None:  # noqa: FBT001 - a table
    """What is to be proved is looked for at once; nothing else is checked."""
    claim = ordered(at(ClaimState(state), next_check_at=NOW + 5), ClaimEvent(event), NOW, "why")
    assert (claim.state.value, claim.reason) == (after, "why")
    assert claim.next_check_at == (NOW if looks else None)


def test_a_word_replaces_proof_and_is_replaced_by_none() -> None:
    """Vouching for what was proved keeps it when the record goes; it is not looked for any more."""
    vouched = ordered(at(ClaimState.MOVED, next_check_at=NOW), ClaimEvent.VOUCH, NOW, "Contract 4711")
    assert (vouched.state, vouched.proof, vouched.lost_at) == (ClaimState.ACTIVE, "operator", None)
    assert vouched.next_check_at is None
    resumed = ordered(replace(vouched, state=ClaimState.SUSPENDED), ClaimEvent.RESUME, NOW)
    assert (resumed.proof, resumed.next_check_at) == ("operator", None)


def test_claiming_again_begins_anew() -> None:
    """Nothing of a former life is left but the token, which is published already."""
    former = at(ClaimState.RELEASED, code="proof_lost", checks=9, checked_at=NOW - 1)
    anew = ordered(former, ClaimEvent.CLAIM, NOW)
    assert anew == replace(CLAIM, next_check_at=NOW)
    same = at(ClaimState.VERIFYING, checks=9, next_check_at=NOW + 5)
    assert ordered(same, ClaimEvent.CLAIM, NOW) == same


def test_what_cannot_be_is_refused() -> None:
    """The table of states is asked first."""
    with pytest.raises(Conflict):
        ordered(at(ClaimState.BLOCKED), ClaimEvent.VOUCH, NOW)
