"""What webhooks are told of claims: each way from state to state once, in the transaction that goes it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import pytest

from router.hostname import Hostname
from router.storage.events import EventKind
from router.tenants.claims import Claim, ClaimState
from router.tenants.domain_events import domain_events
from router.tenants.form import TenantForm
from tests.listener import heard, listen
from tests.tenants.claiming import DAY, HOST

if TYPE_CHECKING:
    from tests.tenants.claiming import Platform

CLAIM = Claim(
    id="clm_1",
    tenant_id="tnt_1",
    slug="acme",
    hostname=Hostname.parse("billing.acme.test"),
    kind="external",
    state=ClaimState.PENDING,
    txt_token="x",
    reason=None,
    created_at=0,
    updated_at=0,
)


@pytest.mark.parametrize(("was", "state"), list(product(ClaimState, ClaimState)), ids=str)
def test_each_change_of_state_has_its_event(was: ClaimState, state: ClaimState) -> None:
    """None where nothing changed or only the look for proof goes on; else the one of the state it came to."""
    events = domain_events(replace(CLAIM, state=was), replace(CLAIM, state=state, lost_at=1000))
    kinds = [event.kind for event in events]
    if was is state or state is ClaimState.VERIFYING:
        assert kinds == []
    elif state is ClaimState.PENDING:
        assert kinds == ([EventKind.DOMAIN_UNPROVED] if was is ClaimState.VERIFYING else [])
    else:
        assert kinds == [EventKind(f"domain.{state.value}")]
        assert (events[0].facts["was"], events[0].facts["state"]) == (was.value, state.value)
        assert (events[0].facts["serves_until"] is not None) is (state is ClaimState.MOVED)


async def _told(platform: Platform) -> list[tuple[str, str, str | None]]:
    return [
        (kind, data["tenant"], data["code"])
        for kind, data in await heard(platform.database)
        if data["hostname"] == HOST
    ]


async def test_a_domains_life_is_told(platform: Platform) -> None:
    """Proved, lost, released after its time; once each, however often it is looked at."""
    await listen(platform.database)
    await platform.add("acme")
    await platform.check("acme")
    await platform.publish_cname("acme")
    for _ in range(2):
        platform.now += 60
        await platform.check("acme")
    platform.dns.records.clear()
    for days in (1, 1, 7):
        platform.now += days * DAY
        await platform.check("acme")
    kinds = [kind for kind, _, _ in await _told(platform)]
    assert kinds == ["domain.active", "domain.moved", "domain.released"]
    [moved] = [data for kind, data in await heard(platform.database) if kind == "domain.moved"]
    assert moved["serves_until"].endswith("Z")


async def test_operators_words_are_told(platform: Platform) -> None:
    """Vouched for, suspended, resumed, refused; a tenant's own webhook hears it too, another's does not."""
    claim = await platform.add("acme")
    other = (await platform.add("globex", "billing.globex.example")).tenant_id
    for tenant_id in (None, claim.tenant_id, other):
        await listen(platform.database, tenant_id)
    await platform.registry.activate_domain(HOST, reason="by phone", actor="ada")
    platform.now += 1
    await platform.domains.suspend(HOST, reason="a complaint", actor="ada")
    platform.now += 1
    await platform.domains.resume(HOST, actor="ada")
    platform.now += 1
    await platform.domains.block(HOST, reason="a court", actor="ada")
    told = await heard(platform.database, claim.tenant_id)
    assert [kind for kind, _ in told] == [
        "domain.active",
        "domain.suspended",
        "domain.active",
        "domain.blocked",
    ]
    assert await heard(platform.database) == told
    assert await heard(platform.database, other) == []
    assert "complaint" not in str(told)


async def test_giving_up_and_deleting_are_told(platform: Platform) -> None:
    """Whether the form names another hostname, none, or the tenant goes with all it has."""
    await listen(platform.database)
    await platform.add("acme")
    await platform.registry.activate_domain(HOST, reason="by phone", actor="ada")
    platform.now += 1
    await platform.registry.change("acme", TenantForm(external_domain=""), actor="ada")
    platform.now += 1
    await platform.add("globex")
    await platform.registry.activate_domain(HOST, reason="by phone", actor="ada", slug="globex")
    platform.now += 1
    await platform.registry.delete("globex", actor="ada")
    assert await _told(platform) == [
        ("domain.active", "acme", "vouched"),
        ("domain.released", "acme", None),
        ("domain.active", "globex", "vouched"),
        ("domain.released", "globex", "tenant_deleted"),
    ]


async def test_who_proves_it_takes_it_and_both_are_told(platform: Platform) -> None:
    """The one whose proof is gone loses it to the one who has proof; that one may have been in conflict."""
    await listen(platform.database)
    await platform.add_proved("acme", by="cname")
    await platform.add("globex")
    platform.now += 60
    await platform.publish_txt("globex")
    await platform.check("globex")
    assert (await _told(platform))[-1][:2] == ("domain.conflict", "globex")
    platform.now += DAY
    await platform.publish_cname("globex")
    await platform.check("globex")
    assert {told[:2] for told in (await _told(platform))[-2:]} == {
        ("domain.released", "acme"),
        ("domain.active", "globex"),
    }
