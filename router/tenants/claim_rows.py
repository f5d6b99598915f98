"""Claims, written: made, moved from state to state, and wished for."""

from __future__ import annotations

import secrets
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, update

from router.storage.events import emit
from router.storage.schema import claims, new_id
from router.tenants.claims import HOLDING, SERVED, Claim, ClaimEvent, ClaimKind, ClaimState
from router.tenants.course import ordered
from router.tenants.domain_events import domain_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.hostname import Hostname

_NEVER_WRITTEN: Final = frozenset({"id", "tenant_id", "slug", "hostname", "kind", "created_at", "updated_at"})


async def make_claim(
    connection: AsyncConnection,
    tenant_id: str,
    hostname: Hostname,
    kind: ClaimKind,
    now: int,
    *,
    behind_cdn: bool = False,
) -> None:
    """Make a tenant's first claim to a hostname: active below the platform's domain, else to be checked."""
    row = new_claim(tenant_id, hostname, kind, now, behind_cdn=behind_cdn)
    await connection.execute(insert(claims).values(row))


def new_claim(
    tenant_id: str, hostname: Hostname, kind: ClaimKind, now: int, *, behind_cdn: bool = False
) -> dict[str, Any]:
    """Spell the row of a first claim, as :func:`make_claim` writes it."""
    external = kind == "external"
    return {
        "id": new_id("clm"),
        "tenant_id": tenant_id,
        "hostname": hostname,
        "kind": kind,
        "state": (ClaimState.PENDING if external else ClaimState.ACTIVE).value,
        "txt_token": secrets.token_urlsafe(24),
        "behind_cdn": behind_cdn,
        "next_check_at": now if external else None,
        "created_at": now,
        "updated_at": now,
    }


async def save_claim(connection: AsyncConnection, before: Claim, after: Claim, now: int) -> bool:
    """Write what changed of a claim, and say whether anything did.

    When it lets go of its hostname, those who wait for that are checked at once. Webhooks are told.
    """
    former, latter = _columns(before), _columns(after)
    values = {column: value for column, value in latter.items() if former[column] != value}
    if not values:
        return False
    if "state" in values:
        values["updated_at"] = now
    await connection.execute(update(claims).where(claims.c.id == before.id).values(values))
    await emit(connection, domain_events(before, after), now)
    if before.state in HOLDING and after.state not in HOLDING:
        waiting = (claims.c.hostname == before.hostname) & (claims.c.state == ClaimState.CONFLICT.value)
        await connection.execute(update(claims).where(waiting).values(next_check_at=now))
    return True


async def move_claim(
    connection: AsyncConnection,
    claim: Claim,
    event: ClaimEvent,
    now: int,
    reason: str | None = None,
) -> bool:
    """Move a claim as somebody decided, and say whether it moved. Raises ``Conflict("claim_state")``."""
    return await save_claim(connection, claim, ordered(claim, event, now, reason), now)


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
    *,
    behind_cdn: bool | None = None,
) -> bool:
    """Claim ``wanted`` (None gives all up), release the rest, and say whether any claim moved.

    One that serves goes on serving until the wanted one is active, so that a change of address has no gap.
    ``behind_cdn`` says whether a CDN stands before it; None leaves that as it is.
    """
    moved = False
    claimed = [claim for claim in held if claim.kind == "external"]
    serves = any(claim.hostname == wanted and claim.state in SERVED for claim in claimed)
    for claim in claimed:
        event = ClaimEvent.CLAIM if claim.hostname == wanted else ClaimEvent.RELEASE
        waits = event is ClaimEvent.RELEASE and wanted and not serves and claim.state in SERVED
        moved |= not waits and await move_claim(connection, claim, event, now)
        if claim.hostname == wanted and behind_cdn not in (None, claim.behind_cdn):
            moved |= await _put_behind(connection, claim, behind=bool(behind_cdn), now=now)
    if wanted is not None and all(claim.hostname != wanted for claim in claimed):
        await make_claim(connection, tenant_id, wanted, "external", now, behind_cdn=bool(behind_cdn))
        moved = True
    return moved


async def _put_behind(connection: AsyncConnection, claim: Claim, *, behind: bool, now: int) -> bool:
    """Note that a CDN stands before a hostname, or no more; other proof may be needed now."""
    due = claim.next_check_at if claim.proof == "operator" else now
    return await save_claim(connection, claim, replace(claim, behind_cdn=behind, next_check_at=due), now)


def _columns(claim: Claim) -> dict[str, Any]:
    values = {name: value for name, value in asdict(claim).items() if name not in _NEVER_WRITTEN}
    return values | {"state": claim.state.value}
