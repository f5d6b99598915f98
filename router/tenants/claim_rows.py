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
) -> None:
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


async def move_claim(
    connection: AsyncConnection,
    claim: Claim,
    event: ClaimEvent,
    now: int,
    reason: str | None = None,
) -> bool:
    """Move a claim as the table of states says, and say whether it moved.

    Raises ``Conflict("claim_state")``.
    """
    state = next_state(claim.state, event)
    if state is claim.state:
        return False
    values = {"state": state.value, "reason": reason, "updated_at": now}
    await connection.execute(update(claims).where(claims.c.id == claim.id).values(values))
    return True


async def release_others(connection: AsyncConnection, held: Sequence[Claim], kept: Claim, now: int) -> None:
    """Release the external hostnames that served until ``kept`` did."""
    for claim in held:
        if claim.kind == "external" and claim.id != kept.id and claim.state in SERVED:
            await move_claim(connection, claim, ClaimEvent.RELEASE, now)


async def wish_external(
    connection: AsyncConnection,
    tenant_id: str,
    held: Sequence[Claim],
    wanted: Hostname | None,
    now: int,
) -> bool:
    """Claim ``wanted`` (None gives all up), release the rest, and say whether any claim moved.

    One that serves goes on serving until the wanted one is active, so that a change of address has no gap.
    """
    moved = False
    claimed = [claim for claim in held if claim.kind == "external"]
    serves = any(claim.hostname == wanted and claim.state in SERVED for claim in claimed)
    for claim in claimed:
        event = ClaimEvent.CLAIM if claim.hostname == wanted else ClaimEvent.RELEASE
        waits = event is ClaimEvent.RELEASE and wanted and not serves and claim.state in SERVED
        moved |= not waits and await move_claim(connection, claim, event, now)
    if wanted is not None and all(claim.hostname != wanted for claim in claimed):
        await make_claim(connection, tenant_id, wanted, "external", now)
        moved = True
    return moved
