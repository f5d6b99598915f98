"""Entries of a file and plans: what a tenant is written as, and what leads from one to another."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.hostname import Hostname
from router.tenants.claims import Claim, ClaimKind, ClaimState
from router.tenants.entry import BrandingEntry, ForwardingEntry, TenantEntry, entry_of, wanted_claim
from router.tenants.plan import Difference, Step, counted, step_to
from router.tenants.tenant import Branding, Forwarding, Tenant, Upstream

TENANT = Tenant(
    "tnt_1",
    "acme",
    Hostname("acme.portal.example"),
    Branding("Acme", "#0b6e4f"),
    (Upstream("http://1.1.1.1:80", 3),),
)


def claim(hostname: str, state: ClaimState, *, at: int = 0, kind: ClaimKind = "external") -> Claim:
    """A claim made at ``at``."""
    return Claim(hostname, "tnt_1", "acme", Hostname(hostname), kind, state, "token", None, at, at)


def test_what_is_as_by_default_is_not_written() -> None:
    """An entry of a file holds what differs, in the order of the fields."""
    assert entry_of(TENANT, ()).written() == {
        "slug": "acme",
        "name": "Acme",
        "theme_colour": "#0b6e4f",
        "upstreams": ["http://1.1.1.1:80 weight=3"],
    }


def test_the_defaults_of_an_entry_are_those_of_a_tenant() -> None:
    """Leaving a field out of a file is what leaving it out of a form is, and no field is forgotten."""
    fresh = entry_of(Tenant("", "acme", Hostname(""), Branding("Acme", "#0b6e4f"), ()), ())
    assert fresh == TenantEntry(slug="acme", name="Acme", theme_colour="#0b6e4f")
    own = {"name", "theme_colour", "logo", "favicon"}
    assert set(BrandingEntry.model_fields) == {each.name for each in fields(Branding)} - own
    assert set(ForwardingEntry.model_fields) == {each.name for each in fields(Forwarding)}


@pytest.mark.parametrize(
    ("held", "wanted"),
    [
        ([], None),
        ([("a.example", ClaimState.RELEASED), ("b.example", ClaimState.BLOCKED)], None),
        ([("a.example", ClaimState.ACTIVE)], "a.example"),
        ([("a.example", ClaimState.ACTIVE), ("b.example", ClaimState.PENDING)], "b.example"),
        ([("a.example", ClaimState.CONFLICT), ("b.example", ClaimState.MOVED)], "a.example"),
        ([("a.example", ClaimState.SUSPENDED)], "a.example"),
        ([("a.example", ClaimState.SUSPENDED), ("b.example", ClaimState.ACTIVE)], "b.example"),
    ],
)
def test_the_hostname_that_is_wanted_is_the_one_that_waits_else_the_one_held(
    held: list[tuple[str, ClaimState]], wanted: str | None
) -> None:
    """What was given up or refused is wanted no more, and the platform's address is nobody's wish."""
    claimed = [claim("acme.portal.example", ClaimState.ACTIVE, kind="platform")]
    claimed += [claim(hostname, state, at=at) for at, (hostname, state) in enumerate(held)]
    found = wanted_claim(claimed)
    assert (found.hostname if found else None) == wanted


def test_a_plan_names_each_field_with_what_it_was_and_is_to_be() -> None:
    """Sections are named with their fields; what is as it is wished is no difference."""
    looks = replace(TENANT.branding, greeting="Hi")
    present = entry_of(TENANT, ())
    wished = entry_of(replace(TENANT, branding=looks, status="suspended"), ())
    changes = (Difference("suspended", False, True), Difference("branding.greeting", "", "Hi"))  # noqa: FBT003 - values
    assert step_to(wished, present) == Step("acme", "change", changes)
    assert step_to(present, present) == Step("acme", "unchanged")
    added = step_to(present, None)
    assert (added.act, [each.field for each in added.differences]) == (
        "add",
        ["name", "theme_colour", "upstreams"],
    )
    assert counted([added, added, step_to(wished, present)]) == {"add": 2, "change": 1, "unchanged": 0}


@given(
    st.builds(
        ForwardingEntry,
        max_body=st.integers(0, 2**50),
        keep_host=st.booleans(),
        answer_fields=st.lists(st.just("X-A: b"), max_size=2),
    ),
    st.builds(BrandingEntry, greeting=st.text(max_size=20), theme=st.text(min_size=1, max_size=20)),
    st.booleans(),
)
def test_an_entry_is_read_as_it_was_written(
    forwarding: ForwardingEntry,
    branding: BrandingEntry,
    suspended: bool,  # noqa: FBT001 - drawn
) -> None:
    """What leaves the defaults out and is read again is the same entry: nothing is to be done about it."""
    entry = TenantEntry(
        slug="acme",
        name="A",
        theme_colour="#000000",
        forwarding=forwarding,
        branding=branding,
        suspended=suspended,
    )
    assert TenantEntry.model_validate(entry.written()) == entry
