"""A tenant's end: nothing of it is left but its tombstone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, insert, select

from router.errors import Conflict, NotFound
from router.storage.schema import changes, claims, evidence, metadata, sessions, tenants, users
from router.tenants.claims import ClaimState
from router.tenants.form import TenantForm
from tests.tenants.claiming import HOST, START

if TYPE_CHECKING:
    from tests.tenants.claiming import Platform

FORM = TenantForm("Acme", "#0B6E4F", ["http://1.1.1.1:80"])
KEPT = {"tombstones", "changes", "audit"}


async def _sign_in(platform: Platform, tenant_id: str) -> None:
    times = dict.fromkeys(("created_at", "updated_at"), START)
    user = {"id": "usr_1", "tenant_id": tenant_id, "email": "ada@acme.test", "password_hash": "x"}
    session = dict.fromkeys(("signed_in_at", "seen_at", "expires_at", "idle_life"), START)
    texts = {"key": "k1", "id": "ses_1", "address": "", "user_agent": "", "user_id": "usr_1"}
    async with platform.database.write() as connection:
        await connection.execute(insert(users).values(**user, **times, disabled=False))
        await connection.execute(insert(sessions).values(**session, **texts, tenant_id=tenant_id))


async def test_all_that_was_its_own_is_gone(platform: Platform) -> None:
    """No row is left but audit, changes and tombstone, and every worker is told."""
    claim = await platform.add("acme")
    await platform.publish_cname("acme")
    await platform.check("acme")
    await _sign_in(platform, claim.tenant_id)
    await platform.registry.delete("acme", actor="ada")
    async with platform.database.read() as connection:
        for table in metadata.sorted_tables:
            rows = await connection.scalar(select(func.count()).select_from(table))
            assert bool(rows) is (table.name in KEPT), table.name
        told = {(kind, key) for kind, key in await connection.execute(select(changes.c.kind, changes.c.key))}
    assert told >= {("session", "k1"), ("hostname", HOST), ("hostname", "acme.portal.test")}
    with pytest.raises(NotFound):
        await platform.registry.get("acme")


async def test_its_short_name_is_nobodys_by_itself(platform: Platform) -> None:
    """Another tenant gets it by an operator's express word only, and never its target or its hostname."""
    await platform.add("acme")
    target = await platform.target("acme")
    await platform.registry.delete("acme", actor="ada")
    with pytest.raises(Conflict) as fault:
        await platform.registry.add("acme", FORM, actor="ada")
    assert fault.value.code == "slug_given_up"
    record = await platform.registry.add("acme", FORM, actor="ada", take_over_slug=True)
    assert record.cname_target != target
    assert [each.kind for each in record.claims] == ["platform"]
    await platform.registry.delete("acme", actor="ada")
    with pytest.raises(Conflict):
        await platform.registry.add("acme", FORM, actor="ada")


async def test_a_record_that_still_points_at_it_proves_nothing(platform: Platform) -> None:
    """Whoever claims the hostname next needs a record of its own (THREATS 27)."""
    await platform.add_proved("acme", by="cname")
    await platform.registry.delete("acme", actor="ada")
    await platform.add("mallory")
    claim = await platform.check("mallory")
    assert (claim.state, claim.code) == (ClaimState.VERIFYING, "cname_other_target")


async def test_who_waited_for_its_hostname_is_checked_at_once(platform: Platform) -> None:
    """A tenant in conflict need not wait for the next round."""
    await platform.add_proved("acme", by="txt")
    await platform.add("globex")
    await platform.publish_txt("globex")
    assert (await platform.check("globex")).state is ClaimState.CONFLICT
    platform.now += 5
    await platform.registry.delete("acme", actor="ada")
    assert (await platform.claim("globex")).next_check_at == platform.now
    async with platform.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(tenants)) == 1
        assert await connection.scalar(select(func.count()).select_from(claims)) == 2
        assert await connection.scalar(select(func.count()).select_from(evidence)) == 3
