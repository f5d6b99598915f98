"""Claims, written: made, moved from state to state, and wished for."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import insert, update

from router.storage.schema import claims, new_id
from router.tenants.claims import SERVED, Claim, ClaimEvent, ClaimKind, ClaimState, next_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.hostname import Hostname


async def make_claim(
    connection: AsyncConnection,
    tenant_id: str,
    hostname: Hostname,
    kind: ClaimKind,
    now: int,
) -> Hostname:
    """Make a tenant's first claim to a hostname: active below the platform's domain, else pending."""
    state = ClaimState.ACTIVE if kind == "platform" else ClaimState.PENDING
    row = {
        "id": new_id("clm"),
        "tenant_id": tenant_id,
        "hostname": hostname,
        "kind": kind,
        "state": state.value,
        "txt_token": secrets.token_urlsafe(24),
        "created_at": now,
        "updated_at": now,
    }
    await connection.execute(insert(claims).values(row))
    return hostname


async def move_claim(
    connection: AsyncConnection,
    claim: Claim,
    event: ClaimEvent,
    now: int,
    reason: str | None = None,
) -> Hostname:
    """Move a claim as the table of states says. Raises ``Conflict("claim_state")``."""
    values = {"state": next_state(claim.state, event).value, "reason": reason, "updated_at": now}
    await connection.execute(update(claims).where(claims.c.id == claim.id).values(values))
    return claim.hostname


async def release_others(
    connection: AsyncConnection,
    held: Sequence[Claim],
    kept: Claim,
    now: int,
) -> list[Hostname]:
    """Release the external hostnames that served until ``kept`` did."""
    former = [claim for claim in held if claim.kind == "external" and claim.id != kept.id]
    return [
        await move_claim(connection, claim, ClaimEvent.RELEASE, now)
        for claim in former
        if claim.state in SERVED
    ]


async def wish_external(
    connection: AsyncConnection,
    tenant_id: str,
    held: Sequence[Claim],
    wanted: Hostname | None,
    now: int,
) -> list[Hostname]:
    """Claim ``wanted`` (None gives all up) and release the rest; name those whose claim moved.

    One that serves goes on serving until the wanted one is active, so that a change of address has no gap.
    """
    moved: list[Hostname] = []
    claimed = [claim for claim in held if claim.kind == "external"]
    for claim in claimed:
        event = ClaimEvent.CLAIM if claim.hostname == wanted else ClaimEvent.RELEASE
        waits = event is ClaimEvent.RELEASE and wanted is not None and claim.state in SERVED
        if not waits and next_state(claim.state, event) is not claim.state:
            moved.append(await move_claim(connection, claim, event, now))
    if wanted is not None and all(claim.hostname != wanted for claim in claimed):
        moved.append(await make_claim(connection, tenant_id, wanted, "external", now))
    return moved
