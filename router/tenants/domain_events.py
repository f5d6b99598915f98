"""What webhooks are told of a claim that went from one state to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.storage.events import Event, EventKind, moment
from router.tenants.claims import Claim, ClaimState
from router.tenants.story import ends_at

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS: Final[Mapping[ClaimState, EventKind]] = {
    ClaimState.ACTIVE: EventKind.DOMAIN_ACTIVE,
    ClaimState.MOVED: EventKind.DOMAIN_MOVED,
    ClaimState.RELEASED: EventKind.DOMAIN_RELEASED,
    ClaimState.CONFLICT: EventKind.DOMAIN_CONFLICT,
    ClaimState.BLOCKED: EventKind.DOMAIN_BLOCKED,
    ClaimState.SUSPENDED: EventKind.DOMAIN_SUSPENDED,
}


def domain_events(before: Claim, after: Claim) -> tuple[Event, ...]:
    """Say what happened, if it is anything to be told of; looking for proof is not, but in vain."""
    if before.state is after.state:
        return ()
    kind = _KINDS.get(after.state)
    if before.state is ClaimState.VERIFYING and after.state is ClaimState.PENDING:
        kind = EventKind.DOMAIN_UNPROVED
    if kind is None:
        return ()
    until = moment(ends_at(after)) if after.state is ClaimState.MOVED else None
    facts = {
        "hostname": after.hostname,
        "state": after.state.value,
        "was": before.state.value,
        "code": after.code,
        "serves_until": until,
    }
    return (Event(kind, after.tenant_id, facts),)
