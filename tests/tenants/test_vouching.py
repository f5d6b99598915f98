"""An operator's word against what others do to the same claim at the same moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text, update

from router.errors import Conflict
from router.storage.schema import claims, tenants
from router.tenants.claims import ClaimState
from tests.tenants.claiming import HOST
from tests.waiting import until

if TYPE_CHECKING:
    from tests.tenants.claiming import Platform

_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


async def test_a_word_does_not_undo_a_no_that_came_first(platform: Platform) -> None:
    """Blocked while the one who vouches waits for the tenant: it stays blocked, and that is said."""
    if platform.database.backend == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    claim = await platform.add("acme")

    async def somebody_waits() -> bool:
        async with platform.database.read() as connection:
            return bool(await connection.scalar(_WAITING))

    async def vouch() -> str:
        with pytest.raises(Conflict) as refused:
            await platform.registry.activate_domain(HOST, reason="Contract 4711", actor="olga")
        return refused.value.code

    async with asyncio.TaskGroup() as group, platform.database.write() as connection:
        await connection.execute(select(tenants.c.id).where(tenants.c.slug == "acme").with_for_update())
        vouching = group.create_task(vouch())
        await until(somebody_waits)
        await connection.execute(update(claims).where(claims.c.id == claim.id).values(state="blocked"))
    assert vouching.result() == "claim_state"
    assert (await platform.claim("acme")).state is ClaimState.BLOCKED
