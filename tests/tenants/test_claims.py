"""Claims: the table of states, and which names may be claimed."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.errors import BadInput, Conflict
from router.hostname import Hostname
from router.storage.schema import SERVED_CLAIMS, claims
from router.tenants.claims import (
    HOLDING,
    RESERVED_SLUGS,
    SERVED,
    TRANSITIONS,
    ClaimEvent,
    ClaimState,
    check_external_hostname,
    check_slug,
    next_state,
)

PLATFORM = Hostname.parse("portal.example.com")

TABLE = """
          claim     verify    prove  vouch  meet_holder lose_proof run_out  displace release  block   unblock suspend   resume
pending   pending   verifying -      active -           -          -        -        released blocked -       -         -
verifying verifying verifying active active conflict    -          pending  -        released blocked -       -         -
active    active    active    active active -           moved      -        released released blocked -       suspended -
moved     moved     moved     active active -           moved      released released released blocked -       suspended -
released  pending   -         -      -      -           -          -        -        released blocked -       -         -
blocked   -         -         -      -      -           -          -        -        blocked  blocked pending -         -
conflict  conflict  conflict  active active conflict    verifying  -        -        released blocked -       -         -
suspended suspended -         -      -      -           -          -        -        blocked  blocked -       suspended active
"""  # noqa: E501 - a table


def rows() -> list[tuple[ClaimState, ClaimEvent, ClaimState | None]]:
    """Read the table above."""
    head, *lines = TABLE.strip("\n").splitlines()
    events = [ClaimEvent(word) for word in head.split()]
    return [
        (ClaimState(state), event, None if cell == "-" else ClaimState(cell))
        for state, *cells in map(str.split, lines)
        for event, cell in zip(events, cells, strict=True)
    ]


@pytest.mark.parametrize(("state", "event", "after"), rows())
def test_the_table_of_states(state: ClaimState, event: ClaimEvent, after: ClaimState | None) -> None:
    """Every event in every state leads where the table says, or is refused."""
    if after is not None:
        assert next_state(state, event) is after
        return
    with pytest.raises(Conflict) as fault:
        next_state(state, event)
    assert fault.value.code == "claim_state"
    assert state.value in fault.value.sentence


def test_the_table_is_whole() -> None:
    """There is a cell for each state and event, and a row of the code for each state."""
    assert {(state, event) for state, event, _ in rows()} == set(itertools.product(ClaimState, ClaimEvent))
    assert set(TRANSITIONS) == set(ClaimState)


@given(st.lists(st.sampled_from(ClaimEvent), max_size=12))
def test_only_proof_or_an_operators_word_makes_a_claim_active(events: list[ClaimEvent]) -> None:
    """From pending, no sequence of events serves a hostname without proof or somebody's word."""
    state = ClaimState.PENDING
    vouched = False
    for event in events:
        try:
            state = next_state(state, event)
        except Conflict:
            continue
        vouched = vouched or event in (ClaimEvent.PROVE, ClaimEvent.VOUCH)
        assert vouched or state not in SERVED


def test_no_more_than_one_tenant_holds_a_hostname() -> None:
    """What serves is held, and the database's index is over the same states."""
    assert SERVED < HOLDING
    assert {state.value for state in SERVED} == set(SERVED_CLAIMS)
    (holder,) = [index for index in claims.indexes if index.name == "uq_claims_holder"]
    where = str(holder.dialect_options["sqlite"]["where"])
    assert set(re.findall(r"'(\w+)'", where)) == {state.value for state in HOLDING}


@given(st.lists(st.sampled_from(sorted(set(ClaimEvent) - {ClaimEvent.RESUME, ClaimEvent.UNBLOCK}))))
def test_a_suspended_claim_serves_again_by_an_operator_alone(events: list[ClaimEvent]) -> None:
    """Giving it up and claiming it again is no way around a suspension either."""
    state = ClaimState.SUSPENDED
    for event in events:
        try:
            state = next_state(state, event)
        except Conflict:
            continue
        assert state not in SERVED


@given(st.lists(st.sampled_from(sorted(set(ClaimEvent) - {ClaimEvent.UNBLOCK})), max_size=12))
def test_a_blocked_claim_stays_blocked_until_it_is_unblocked(events: list[ClaimEvent]) -> None:
    """Giving a claim up and making it again is no way around a platform operator's no."""
    state = ClaimState.BLOCKED
    for event in events:
        try:
            state = next_state(state, event)
        except Conflict:
            continue
    assert state is ClaimState.BLOCKED


@pytest.mark.parametrize(
    ("raw", "hostname"),
    [
        ("billing.acme.com", "billing.acme.com"),
        (" Billing.ACME.com. ", "billing.acme.com"),
        ("acme.com", "acme.com"),
        ("kunden.bücher.de", "kunden.xn--bcher-kva.de"),
        ("billing.acme.co.uk", "billing.acme.co.uk"),
        ("billing.globex.test", "billing.globex.test"),
        ("other.example.com", "other.example.com"),
        ("evilportal.example.com", "evilportal.example.com"),
    ],
)
def test_a_name_of_ones_own_can_be_claimed(raw: str, hostname: str) -> None:
    """A hostname below a registrable domain is fine, in whatever spelling it is typed."""
    assert check_external_hostname(raw, PLATFORM) == hostname


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("192.0.2.1", "ip_address"),
        ("[2001:db8::1]", "ip_address"),
        ("2001:db8::1", "ip_address"),
        ("::ffff:127.0.0.1", "ip_address"),
        ("127.1", "ip_address"),
        ("0x7f.1", "ip_address"),
        ("2130706433", "ip_address"),
        ("*.acme.com", "wildcard"),
        ("*", "wildcard"),
        ("bill*.acme.com", "wildcard"),
        ("", "bad_hostname"),
        ("acme", "public_suffix"),
        ("billing_1.acme.com", "bad_hostname"),
        ("https://billing.acme.com", "bad_hostname"),
        ("billing.acme.com:443", "bad_hostname"),
        ("billing.acme.com/", "bad_hostname"),
        ("a.com b.com", "bad_hostname"),
        ("portal.example.com", "under_platform"),
        ("PORTAL.example.com.", "under_platform"),
        ("globex.portal.example.com", "under_platform"),
        ("x.customers.portal.example.com", "under_platform"),
        ("example.com", "under_platform"),
        ("com", "under_platform"),
        ("localhost", "reserved_name"),
        ("acme.localhost", "reserved_name"),
        ("printer.local", "reserved_name"),
        ("acme.internal", "reserved_name"),
        ("acme.invalid", "reserved_name"),
        ("acme.onion", "reserved_name"),
        ("1.168.192.in-addr.arpa", "reserved_name"),
        ("de", "public_suffix"),
        ("co.uk", "public_suffix"),
        ("github.io", "public_suffix"),
        ("公司.cn", "public_suffix"),
        ("test", "public_suffix"),
    ],
)
def test_what_nobody_can_own_is_refused_by_its_own_code(raw: str, code: str) -> None:
    """Addresses, wildcards, suffixes, special names and the platform's own are refused (THREATS 28)."""
    with pytest.raises(BadInput) as fault:
        check_external_hostname(raw, PLATFORM)
    assert fault.value.code == code


@given(st.text(max_size=40))
@example("acme\u3002portal.example.com")
def test_no_spelling_reaches_under_the_platform(raw: str) -> None:
    """Whatever Unicode is typed, a name that is accepted is not the platform's."""
    for text in (raw, f"{raw}.portal.example.com", f"{raw}\uff0eportal\u3002example.com"):
        try:
            hostname = check_external_hostname(text, PLATFORM)
        except BadInput:
            continue
        assert not hostname.is_under(PLATFORM)


@pytest.mark.parametrize("slug", sorted(RESERVED_SLUGS))
def test_the_platforms_own_names_are_no_slugs(slug: str) -> None:
    """A tenant cannot be called admin, mail or customers (THREATS 28)."""
    with pytest.raises(BadInput) as fault:
        check_slug(slug)
    assert fault.value.code == "reserved_name"


@pytest.mark.parametrize("slug", ["xn--bcher-kva", "ab--c", "Acme", "acme.x", "-acme"])
def test_a_slug_that_reads_as_another_name_is_refused(slug: str) -> None:
    """An A-label would be shown as a name that was never typed (RFC 5891 section 4.2.3.1)."""
    with pytest.raises(BadInput) as fault:
        check_slug(slug)
    assert fault.value.code == "bad_slug"


@pytest.mark.parametrize("slug", ["acme", "a", "4711", "acme-tools", "a" * 40, "adminton"])
def test_a_plain_slug_is_taken(slug: str) -> None:
    """Only whole reserved names are reserved."""
    assert check_slug(slug) == slug
