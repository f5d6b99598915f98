"""What people ask of a claim: status, a look now, giving up, refusing, switching off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.errors import BadInput, Conflict, NotFound
from router.tenants.claims import ClaimState
from router.tenants.form import TenantForm
from router.tenants.rows import holder_of
from router.tenants.schedule import TRIES
from tests.tenants.claiming import HOST, START

if TYPE_CHECKING:
    from tests.tenants.claiming import Platform


async def serves(platform: Platform) -> bool:
    """Whether anybody answers at the hostname."""
    async with platform.database.read() as connection:
        return await holder_of(connection, HOST) is not None


async def test_status_asks_nobody(platform: Platform) -> None:
    """It tells what is known: the claim, what to create, and the evidence."""
    claim = await platform.add("acme")
    standing = await platform.domains.status(" Billing.Acme.example. ")
    assert standing.claim == claim
    assert standing.target == await platform.target("acme")
    assert standing.story.code == "not_checked_yet"
    assert (standing.evidence, platform.dns.asked) == ((), [])


async def test_verify_looks_now_and_begins_anew(platform: Platform) -> None:
    """A claim that was given up as hopeless is looked for again from the shortest pause on."""
    await platform.add("acme")
    for _ in range(TRIES):
        await platform.check("acme")
    assert (await platform.claim("acme")).next_check_at is None
    standing = await platform.domains.verify(HOST, actor="ada")
    assert (standing.claim.state, standing.claim.checks) == (ClaimState.VERIFYING, 1)
    assert standing.claim.next_check_at == START + 60
    await platform.publish_cname("acme")
    standing = await platform.domains.verify(HOST, actor="ada")
    assert standing.claim.state is ClaimState.ACTIVE
    assert standing.evidence[0].line.verdict == "good"


async def test_what_was_vouched_for_may_be_looked_at_too(platform: Platform) -> None:
    """An operator sees what the DNS says of it; nothing comes of it."""
    await platform.add("acme")
    await platform.registry.activate_domain(HOST, reason="by phone", actor="ada")
    standing = await platform.domains.verify(HOST, actor="ada")
    assert (standing.claim.state, standing.claim.next_check_at) == (ClaimState.ACTIVE, None)
    assert standing.story.code == "vouched"
    assert standing.evidence[0].line.code == "no_such_name"


async def test_vouching_for_what_was_proved_keeps_it(platform: Platform) -> None:
    """The record may go afterwards."""
    await platform.add_proved("acme", by="cname")
    claim = await platform.registry.activate_domain(HOST, reason="by phone", actor="ada")
    assert (claim.proof, claim.next_check_at) == ("operator", None)
    platform.dns.records.clear()
    assert (await platform.check("acme")).state is ClaimState.ACTIVE


async def test_what_is_given_up_answers_no_more(platform: Platform) -> None:
    """At once, audited, and told of afterwards; the customers' address is the platform's again."""
    await platform.add_proved("acme", by="cname")
    assert await serves(platform)
    standing = await platform.domains.release(HOST, actor="ada")
    assert standing.claim.state is ClaimState.RELEASED
    assert not await serves(platform)
    record = await platform.registry.get("acme")
    assert (record.tenant.hostname, record.tenant.version) == ("acme.portal.test", 3)
    assert (await platform.audited())[-1] == "domain.release"
    assert (await platform.domains.status(HOST)).claim.state is ClaimState.RELEASED
    assert await platform.domains.list() == []
    await platform.registry.change("acme", TenantForm(external_domain=HOST), actor="ada")
    assert (await platform.check("acme")).state is ClaimState.ACTIVE  # the record is still there


async def test_blocked_is_blocked_until_it_is_not(platform: Platform) -> None:
    """Neither a look nor claiming it again changes an operator's no."""
    await platform.add("acme")
    await platform.publish_cname("acme")
    standing = await platform.domains.block(HOST, reason="Not  theirs", actor="ada")
    assert (standing.claim.state, standing.claim.reason) == (ClaimState.BLOCKED, "Not theirs")
    for refused in (
        platform.domains.verify(HOST, actor="ada"),
        platform.registry.change("acme", TenantForm(external_domain=HOST), actor="ada"),
        platform.registry.activate_domain(HOST, reason="x", actor="ada"),
    ):
        with pytest.raises(Conflict) as fault:
            await refused
        assert fault.value.code == "claim_state"
    await platform.domains.release(HOST, actor="ada")
    assert (await platform.claim("acme")).state is ClaimState.BLOCKED
    await platform.domains.unblock(HOST, actor="ada")
    assert (await platform.check("acme")).state is ClaimState.ACTIVE


async def test_suspended_is_held_and_silent(platform: Platform) -> None:
    """Nobody is served there, and nobody else gets it, proof or not; resumed, it is looked at at once."""
    await platform.add_proved("acme", by="cname")
    await platform.domains.suspend(HOST, reason="A report", actor="ada")
    assert not await serves(platform)
    await platform.add("globex")
    await platform.publish_cname("globex")
    assert (await platform.check("globex")).state is ClaimState.CONFLICT
    with pytest.raises(Conflict) as fault:
        await platform.registry.activate_domain(HOST, reason="x", actor="ada", slug="globex")
    assert fault.value.code == "hostname_taken"
    platform.now += 9
    standing = await platform.domains.resume(HOST, slug="acme", actor="ada")
    assert (standing.claim.state, standing.claim.next_check_at) == (ClaimState.ACTIVE, platform.now)
    assert await serves(platform)


async def test_a_cdn_in_front_is_said_at_any_time(platform: Platform) -> None:
    """It changes what is asked for, and has the claim looked at at once."""
    await platform.add("acme")
    platform.dns.records[f"{HOST}."] = ["A 192.0.2.9 60"]
    assert (await platform.check("acme")).code == "address_elsewhere"
    platform.now += 5
    form = TenantForm(external_domain=HOST, behind_cdn=True)
    await platform.registry.change("acme", form, actor="ada")
    assert (await platform.claim("acme")).next_check_at == platform.now
    assert (await platform.check("acme")).code == "txt_missing"
    await platform.publish_txt("acme")
    claim = await platform.check("acme")
    assert (claim.state, claim.code, claim.behind_cdn) == (ClaimState.ACTIVE, "proved_by_txt", True)


async def test_whose_claim_has_to_be_said(platform: Platform) -> None:
    """Where several tenants claim a hostname, nobody guesses."""
    await platform.add("acme")
    await platform.add("globex")
    with pytest.raises(Conflict) as fault:
        await platform.domains.release(HOST, actor="ada")
    assert fault.value.code == "claimed_by_several"
    assert (await platform.domains.release(HOST, slug="globex", actor="ada")).claim.slug == "globex"
    assert (await platform.domains.status(HOST)).claim.slug == "acme"
    assert [each.claim.slug for each in await platform.domains.list()] == ["acme"]
    assert await platform.domains.list("globex") == []


async def test_what_is_not_claimed_is_not_found(platform: Platform) -> None:
    """And the platform's own names are no external hostnames."""
    await platform.add("acme", "konto.acme.example")
    with pytest.raises(NotFound) as fault:
        await platform.domains.status(HOST)
    assert "tenant-router domain add SLUG billing.acme.example" in fault.value.sentence
    with pytest.raises(BadInput):
        await platform.domains.release("acme.portal.test", actor="ada")
    with pytest.raises(BadInput) as wrong:
        await platform.domains.block("konto.acme.example", reason=" ", actor="ada")
    assert wrong.value.code == "bad_reason"


async def test_saying_it_twice_is_no_change(platform: Platform) -> None:
    """A second time nothing is audited and no worker told."""
    await platform.add("acme")
    await platform.domains.block(HOST, reason="x", actor="ada")
    await platform.domains.block(HOST, reason="y", actor="ada")
    assert await platform.audited() == ["domain.block"]
