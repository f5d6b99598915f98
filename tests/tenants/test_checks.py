"""Checks of claims, on both databases, against a real name server: from claimed to released."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update

from router.errors import NotFound
from router.storage.schema import changes, claims, evidence, tenants
from router.tenants.claims import SERVED, ClaimState
from router.tenants.evidence_rows import KEPT
from router.tenants.form import TenantForm
from router.tenants.rows import holder_of
from tests.tenants.claiming import DAY, HOST, OPERATORS, START
from tests.waiting import until

if TYPE_CHECKING:
    from tests.tenants.claiming import Platform


async def holder(platform: Platform, host: str = HOST) -> str | None:
    """Who serves a hostname, as the directory asks."""
    async with platform.database.read() as connection:
        found = await holder_of(connection, host)
    return found.slug if found else None


async def sequence(platform: Platform) -> int:
    """The number of the latest change."""
    async with platform.database.read() as connection:
        return await connection.scalar(select(func.max(changes.c.sequence))) or 0


async def named(platform: Platform, since: int) -> set[tuple[str, str]]:
    """Which changes every worker was told of since then, but for mails."""
    async with platform.database.read() as connection:
        rows = await connection.execute(
            select(changes.c.kind, changes.c.key).where(changes.c.sequence > since, changes.c.kind != "mail")
        )
        return {(kind, key) for kind, key in rows}


async def test_a_claim_becomes_active_by_its_cname(platform: Platform) -> None:
    """It is looked for, found, told, audited, and every worker hears of it."""
    claim = await platform.add("acme")
    assert (claim.state, claim.next_check_at) == (ClaimState.PENDING, START)
    claim = await platform.check("acme")
    assert (claim.state, claim.code, claim.checks) == (ClaimState.VERIFYING, "no_such_name", 1)
    assert claim.next_check_at == START + 60
    assert await holder(platform) is None
    await platform.publish_cname("acme")
    platform.now += 60
    before = await sequence(platform)
    claim = await platform.check("acme")
    assert (claim.state, claim.proof, claim.proved_at) == (ClaimState.ACTIVE, "cname", START + 60)
    assert claim.next_check_at == START + 60 + 4 * 3600
    assert await holder(platform) == "acme"
    record = await platform.registry.get("acme")
    assert (record.tenant.hostname, record.tenant.version) == (HOST, 2)
    assert await named(platform, before) == {
        ("tenant", record.tenant.id),
        ("hostname", HOST),
        ("hostname", "acme.portal.test"),
    }
    assert await platform.news() == [("domain-active", "help@acme.test")]
    assert await platform.audited() == ["domain.verify", "domain.prove"]


async def test_a_check_that_finds_nothing_new_tells_nobody(platform: Platform) -> None:
    """No worker forgets anything, and the audit is not filled, while all is as it was."""
    await platform.add_proved("acme", by="cname")
    before = await sequence(platform)
    for _ in range(3):
        platform.now += 4 * 3600
        await platform.check("acme")
    assert (await platform.claim("acme")).proved_at == platform.now
    assert await named(platform, before) == set()
    assert len(await platform.audited()) == 1
    assert len(await platform.mails()) == 1


async def test_lost_proof_serves_seven_days_with_notices_and_is_released(platform: Platform) -> None:
    """By the clock alone: told at once, with four days and with one day left, and at the end."""
    await platform.add_proved("acme", by="cname")
    platform.dns.records.clear()
    platform.now = lost = START + 4 * 3600
    while (claim := await platform.claim("acme")).next_check_at is not None:
        platform.now = max(platform.now, claim.next_check_at)
        claim = await platform.check("acme")
        assert (await holder(platform) == "acme") is (platform.now < lost + 7 * DAY)
    assert (claim.state, claim.code) == (ClaimState.RELEASED, "proof_lost")
    assert platform.now == lost + 7 * DAY
    told = [mail for mail in await platform.mails() if mail.recipient == "help@acme.test"]
    assert [mail.kind for mail in told] == ["domain-active", *["domain-lost"] * 3, "domain-released"]
    assert [mail.facts["until"] for mail in told[1:4]] == [lost + 7 * DAY] * 3
    assert {mail.language for mail in told} == {"de"}
    operators = [mail.kind for mail in await platform.mails() if mail.recipient == OPERATORS]
    assert operators == ["domain-lost"] * 3 + ["domain-released"]
    assert (await platform.registry.get("acme")).tenant.hostname == "acme.portal.test"


async def test_proof_that_comes_back_is_kept(platform: Platform) -> None:
    """A record that was deleted by mistake costs nothing but a mail."""
    await platform.add_proved("acme", by="cname")
    platform.dns.records.clear()
    assert (await platform.check("acme")).state is ClaimState.MOVED
    platform.now += 3 * DAY
    await platform.publish_txt("acme")
    claim = await platform.check("acme")
    assert (claim.state, claim.proof, claim.lost_at) == (ClaimState.ACTIVE, "txt", None)
    assert await holder(platform) == "acme"


async def test_failing_name_servers_take_nothing_away(platform: Platform) -> None:
    """A month of SERVFAIL leaves an active hostname active; a lost one is not released in it."""
    await platform.add_proved("acme", by="cname")
    platform.dns.failing.update({f"{HOST}.", f"_portal-challenge.{HOST}."})
    platform.now += 30 * DAY
    claim = await platform.check("acme")
    assert (claim.state, claim.code) == (ClaimState.ACTIVE, "dns_servfail")
    assert claim.next_check_at == platform.now + 3600
    platform.dns.failing.clear()
    platform.dns.records.clear()
    await platform.check("acme")
    platform.dns.failing.update({f"{HOST}.", f"_portal-challenge.{HOST}."})
    platform.now += 30 * DAY
    assert (await platform.check("acme")).state is ClaimState.MOVED


async def test_a_newcomer_with_proof_displaces_a_holder_without(platform: Platform) -> None:
    """The CNAME was changed to the newcomer's target: both are told, and the hostname is the newcomer's."""
    await platform.add_proved("acme", by="cname")
    await platform.add("globex")
    assert (await platform.check("globex")).code == "cname_other_target"
    await platform.publish_cname("globex")
    before = await sequence(platform)
    claim = await platform.check("globex")
    assert claim.state is ClaimState.ACTIVE
    former = await platform.claim("acme")
    assert (former.state, former.code, former.next_check_at) == (ClaimState.RELEASED, "displaced", None)
    assert await holder(platform) == "globex"
    assert (await platform.registry.get("acme")).tenant.hostname == "acme.portal.test"
    tenant_ids = {key for kind, key in await named(platform, before) if kind == "tenant"}
    assert tenant_ids == {claim.tenant_id, former.tenant_id}
    news = await platform.news()
    assert ("domain-active", "help@globex.test") in news
    assert ("domain-displaced", "help@acme.test") in news
    assert ("domain-displaced", OPERATORS) in news
    assert (await platform.audited())[-2:] == ["domain.prove", "domain.displace"]


async def test_a_lost_holder_is_displaced_at_once(platform: Platform) -> None:
    """The seven days are for its own tenant's mistakes, and end when another one proves the hostname."""
    await platform.add_proved("acme", by="txt")
    platform.dns.records.clear()
    await platform.check("acme")
    await platform.add_proved("globex", by="txt")
    assert await holder(platform) == "globex"


async def test_a_holder_with_proof_stays(platform: Platform) -> None:
    """Both have a TXT record: the newcomer waits, and gets the hostname when the other record is gone."""
    await platform.add_proved("acme", by="txt")
    await platform.add("globex")
    await platform.publish_txt("globex")
    claim = await platform.check("globex")
    assert (claim.state, claim.code) == (ClaimState.CONFLICT, "held_by_another")
    assert await holder(platform) == "acme"
    await platform.check("globex")
    conflicts = [who for kind, who in await platform.news() if kind == "domain-conflict"]
    assert sorted(conflicts) == ["help@globex.test", OPERATORS]  # once
    platform.dns.records.clear()
    await platform.publish_txt("globex")
    assert (await platform.check("globex")).state is ClaimState.ACTIVE
    assert await holder(platform) == "globex"


async def test_an_operators_word_stands_against_a_newcomers_proof(platform: Platform) -> None:
    """Who was vouched for is displaced by nobody; when it gives up, the newcomer is checked at once."""
    await platform.add("acme")
    await platform.registry.activate_domain(HOST, reason="by phone", actor="ada")
    await platform.add("globex")
    await platform.publish_cname("globex")
    claim = await platform.check("globex")
    assert claim.state is ClaimState.CONFLICT
    assert await holder(platform) == "acme"
    platform.now += 5
    await platform.domains.release(HOST, slug="acme", actor="ada")
    assert await holder(platform) is None
    assert (await platform.claim("globex")).next_check_at == platform.now
    assert (await platform.check("globex")).state is ClaimState.ACTIVE


async def test_while_the_holders_proof_cannot_be_read_it_stays(platform: Platform) -> None:
    """A newcomer's CNAME takes nothing from a holder whose TXT record could not be asked for."""
    await platform.add_proved("acme", by="txt")
    await platform.add("globex")
    await platform.publish_cname("globex")
    platform.dns.failing.add(f"_portal-challenge.{HOST}.")
    assert (await platform.check("globex")).state is ClaimState.CONFLICT
    assert await holder(platform) == "acme"


async def test_the_former_hostname_serves_until_the_new_one_is_proved(platform: Platform) -> None:
    """A change of address has no gap, and leaves nothing behind."""
    await platform.add_proved("acme", by="cname")
    new = "konto.acme.example"
    await platform.registry.change("acme", TenantForm(external_domain=new), actor="ada")
    await platform.check("acme", new)
    assert [await holder(platform, each) for each in (HOST, new)] == ["acme", None]
    await platform.publish_cname("acme", new)
    await platform.check("acme", new)
    assert [await holder(platform, each) for each in (HOST, new)] == [None, "acme"]
    assert (await platform.claim("acme")).state is ClaimState.RELEASED


async def test_two_tenants_that_prove_at_once_do_not_both_win(platform: Platform) -> None:
    """Eight checks of two claims with proof at the same moment: one holder, and one that waits."""
    await platform.add("acme")
    await platform.add("globex")
    await platform.publish_txt("acme")
    await platform.publish_txt("globex")
    ids = [(await platform.claim(slug)).id for slug in ("acme", "globex")] * 4
    await asyncio.gather(*(platform.checks.check(claim_id) for claim_id in ids))
    states = {(await platform.claim(slug)).state for slug in ("acme", "globex")}
    assert states == {ClaimState.ACTIVE, ClaimState.CONFLICT}


async def test_evidence_is_kept_and_bounded(platform: Platform) -> None:
    """What was asked of whom, what came and what was expected; the last fifty lines of each claim."""
    await platform.add("acme")
    await platform.add("globex", "billing.globex.example")
    await platform.check("globex", "billing.globex.example")
    for _ in range(KEPT // 3 + 5):
        platform.now += 60
        await platform.check("acme")
    async with platform.database.read() as connection:
        counted = await connection.execute(
            select(evidence.c.claim_id, func.count()).group_by(evidence.c.claim_id)
        )
        assert sorted(count for _, count in counted) == [3, KEPT]
    standing = await platform.domains.status(HOST)
    newest = standing.evidence[0]
    assert newest.at == platform.now
    assert newest.line.asked == f"CNAME {HOST}"
    assert newest.line.resolver == platform.dns.address
    assert newest.line.expected == await platform.target("acme")
    assert (newest.line.answer, newest.line.verdict, newest.line.code) == (
        "no such name",
        "missing",
        "no_such_name",
    )


async def test_a_strangers_dns_is_kept_as_text(platform: Platform) -> None:
    """Control characters in it fail no check, not on PostgreSQL either, and reach nobody's terminal."""
    await platform.add("acme")
    name = (await platform.claim("acme")).txt_name
    platform.dns.records[f"{name}."] = ["TXT a\x00\x1b[2J\u202eb\xe9 60"]
    await platform.check("acme")
    [answer] = [
        each.line.answer
        for each in (await platform.domains.status(HOST)).evidence
        if "TXT" in each.line.asked
    ]
    assert answer == "a??[2J?b\xe9"


async def test_an_ask_in_the_middle_of_a_check_is_not_lost(platform: Platform) -> None:
    """Whoever asks while the DNS is being asked is looked for again afterwards."""
    platform.patience = 2.0
    platform.__post_init__()
    claim = await platform.add("acme")
    platform.dns.silent.add(f"A {HOST}.")
    checking = asyncio.gather(platform.checks.check(claim.id))
    await until(lambda: f"A {HOST}." in platform.dns.asked)
    asked_at = START + 7
    async with platform.database.write() as connection:
        await connection.execute(update(claims).values(next_check_at=asked_at))
    await checking
    assert (await platform.claim("acme")).next_check_at == asked_at


async def test_a_tenant_that_is_gone_is_checked_no_more(platform: Platform) -> None:
    """Its claims go with it."""
    claim = await platform.add("acme")
    async with platform.database.write() as connection:
        await connection.execute(tenants.delete())
    with pytest.raises(NotFound):
        await platform.checks.check(claim.id)


async def test_who_names_nobody_is_told_by_the_operators_alone(platform: Platform) -> None:
    """A tenant without a contact gets no mail; what is grave reaches the operators."""
    platform.operators = None
    platform.__post_init__()
    await platform.add("acme")
    await platform.publish_cname("acme")
    async with platform.database.write() as connection:
        await connection.execute(update(tenants).values(branding={}))
    await platform.check("acme")
    assert await platform.news() == []
    platform.operators = OPERATORS
    platform.__post_init__()
    platform.dns.records.clear()
    await platform.check("acme")
    assert await platform.news() == [("domain-lost", OPERATORS)]
    assert (await platform.claim("acme")).state in SERVED
