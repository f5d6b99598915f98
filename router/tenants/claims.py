"""Domain claims: which names may be claimed, and the states a claim goes through, as a table.

PURE (the public suffix list is data of its package, read once). Many tenants may claim a hostname; one
holds it, by proof or by a platform operator's word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final, Literal

from publicsuffixlist import PublicSuffixList

from router.errors import BadInput, Conflict
from router.hostname import Hostname
from router.tenants.tenant import parse_slug


class ClaimState(StrEnum):
    """Where a claim stands. Only what :data:`SERVED` names answers visitors."""

    PENDING = "pending"  # claimed, nothing proved yet
    VERIFYING = "verifying"  # its proof is being looked for
    ACTIVE = "active"  # proved, or vouched for: the tenant holds the hostname
    MOVED = "moved"  # its proof was lost
    RELEASED = "released"  # given up
    BLOCKED = "blocked"  # a platform operator said no
    CONFLICT = "conflict"  # proved, but held by another tenant
    SUSPENDED = "suspended"  # held, but switched off


class ClaimEvent(StrEnum):
    """What happens to a claim."""

    CLAIM = "claim"
    VERIFY = "verify"
    PROVE = "prove"
    VOUCH = "vouch"  # a platform operator's word, audited
    MEET_HOLDER = "meet_holder"
    LOSE_PROOF = "lose_proof"
    RELEASE = "release"
    BLOCK = "block"
    UNBLOCK = "unblock"
    SUSPEND = "suspend"
    RESUME = "resume"


ClaimKind = Literal["platform", "external"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A tenant's claim to a hostname: its sub-domain of the platform, or an external one of its own.

    ``txt_token`` is what the tenant would publish as proof; ``reason`` is a platform operator's, where one
    vouched. Times are unix seconds.
    """

    id: str
    tenant_id: str
    slug: str
    hostname: Hostname
    kind: ClaimKind
    state: ClaimState
    txt_token: str
    reason: str | None
    created_at: int
    updated_at: int


SERVED: Final = frozenset({ClaimState.ACTIVE})
"""The states in which the hostname is the tenant's."""

TRANSITIONS: Final = MappingProxyType(
    {
        ClaimState.PENDING: {
            ClaimEvent.CLAIM: ClaimState.PENDING,
            ClaimEvent.VERIFY: ClaimState.VERIFYING,
            ClaimEvent.VOUCH: ClaimState.ACTIVE,
            ClaimEvent.RELEASE: ClaimState.RELEASED,
            ClaimEvent.BLOCK: ClaimState.BLOCKED,
        },
        ClaimState.VERIFYING: {
            ClaimEvent.CLAIM: ClaimState.VERIFYING,
            ClaimEvent.PROVE: ClaimState.ACTIVE,
            ClaimEvent.VOUCH: ClaimState.ACTIVE,
            ClaimEvent.MEET_HOLDER: ClaimState.CONFLICT,
            ClaimEvent.RELEASE: ClaimState.RELEASED,
            ClaimEvent.BLOCK: ClaimState.BLOCKED,
        },
        ClaimState.ACTIVE: {
            ClaimEvent.CLAIM: ClaimState.ACTIVE,
            ClaimEvent.PROVE: ClaimState.ACTIVE,
            ClaimEvent.VOUCH: ClaimState.ACTIVE,
            ClaimEvent.MEET_HOLDER: ClaimState.CONFLICT,
            ClaimEvent.LOSE_PROOF: ClaimState.MOVED,
            ClaimEvent.RELEASE: ClaimState.RELEASED,
            ClaimEvent.BLOCK: ClaimState.BLOCKED,
            ClaimEvent.SUSPEND: ClaimState.SUSPENDED,
        },
        ClaimState.MOVED: {
            ClaimEvent.CLAIM: ClaimState.MOVED,
            ClaimEvent.PROVE: ClaimState.ACTIVE,
            ClaimEvent.VOUCH: ClaimState.ACTIVE,
            ClaimEvent.MEET_HOLDER: ClaimState.CONFLICT,
            ClaimEvent.RELEASE: ClaimState.RELEASED,
            ClaimEvent.BLOCK: ClaimState.BLOCKED,
        },
        ClaimState.RELEASED: {
            ClaimEvent.CLAIM: ClaimState.PENDING,
            ClaimEvent.RELEASE: ClaimState.RELEASED,
            ClaimEvent.BLOCK: ClaimState.BLOCKED,
        },
        ClaimState.BLOCKED: {
            ClaimEvent.RELEASE: ClaimState.BLOCKED,  # giving up and claiming again is no way around a no
            ClaimEvent.UNBLOCK: ClaimState.PENDING,
        },
        ClaimState.CONFLICT: {
            ClaimEvent.CLAIM: ClaimState.CONFLICT,
            ClaimEvent.PROVE: ClaimState.ACTIVE,
            ClaimEvent.VOUCH: ClaimState.ACTIVE,
            ClaimEvent.RELEASE: ClaimState.RELEASED,
            ClaimEvent.BLOCK: ClaimState.BLOCKED,
        },
        ClaimState.SUSPENDED: {
            ClaimEvent.CLAIM: ClaimState.SUSPENDED,
            ClaimEvent.RESUME: ClaimState.ACTIVE,
            ClaimEvent.RELEASE: ClaimState.RELEASED,
            ClaimEvent.BLOCK: ClaimState.BLOCKED,
        },
    }
)
"""From a state, by an event, to a state; what is not here is refused."""


def next_state(state: ClaimState, event: ClaimEvent) -> ClaimState:
    """Where ``event`` takes a claim. Raises ``Conflict("claim_state")`` when it cannot happen now."""
    try:
        return TRANSITIONS[state][event]
    except KeyError as fault:
        done = event.value.replace("_", " ")
        raise Conflict(
            "claim_state", f"“{done}” is not possible for a claim that is {state.value}."
        ) from fault


# Special use (RFC 6761, 6762, 7686, 9476), and what never resolves in public. `.test` and `.example` stay
# allowed (RFC 6761 6.2, 6.5): they are for trials and documentation, which is what they are used for here.
_SPECIAL_USE: Final = frozenset({"localhost", "local", "invalid", "onion", "arpa", "alt", "internal"})

RESERVED_SLUGS: Final = frozenset(
    """
    abuse account accounts admin administrator api app auth autoconfig autodiscover cdn console customers dns
    docs email ftp health help hostmaster id identity imap info internal isatap localhost login logout mail
    mta-sts mx ns ns1 ns2 ns3 ns4 operator platform pop pop3 portal postmaster root router security sign-in
    sign-out smtp sso ssl static status support system tenant tenants webmaster wpad ws www
    """.split()  # noqa: SIM905 - sixty words read better as text than as sixty lines
)
"""Short names that the platform needs itself, or that mail and certificate authorities trust (RFC 2142)."""


def check_slug(raw: str, taken: frozenset[str] = frozenset()) -> str:
    """Read a tenant's short name and refuse what is the platform's own: always, or by its settings (taken).

    Raises ``BadInput`` with ``bad_slug`` or ``reserved_name``.
    """
    slug = parse_slug(raw)
    if slug in RESERVED_SLUGS | taken:
        raise BadInput("reserved_name", f"“{slug}” is reserved for the platform: choose another short name.")
    if slug[2:4] == "--":  # RFC 5891 section 4.2.3.1: it would read as an A-label, as another name
        raise BadInput(
            "bad_slug", f"“{slug}” cannot be a tenant's short name: -- may not stand third and fourth."
        )
    return slug


def check_external_hostname(raw: str, platform_domain: Hostname) -> Hostname:
    """Read a hostname that a tenant wants to use as its own.

    Raises ``BadInput`` with ``ip_address``, ``wildcard``, ``bad_hostname``, ``under_platform``,
    ``reserved_name`` or ``public_suffix``.
    """
    text = raw.strip()
    if _is_ip(text):
        raise BadInput("ip_address", f"“{text}” is an IP address: a portal needs a hostname.")
    if "*" in text:
        raise BadInput("wildcard", f"“{text[:80]}” is a wildcard: give the one hostname of the portal.")
    hostname = Hostname.parse(text)
    if hostname.is_under(platform_domain) or platform_domain.is_under(hostname):
        raise BadInput(
            "under_platform", f"{hostname} belongs to the platform: give a name in your own domain."
        )
    if hostname.rpartition(".")[2] in _SPECIAL_USE:
        raise BadInput("reserved_name", f"{hostname} is a name for special use, which nobody can own.")
    if _suffixes().is_public(hostname):
        raise BadInput(
            "public_suffix", f"{hostname} is a public suffix: give a name below a domain of your own."
        )
    return hostname


def _is_ip(text: str) -> bool:
    bare = text.removeprefix("[").removesuffix("]")
    try:
        ip_address(bare)
    except ValueError:
        # 127.1, 0x7f.1: numbers that some parsers take for an address (WHATWG URL, section 3.5)
        return (
            re.fullmatch(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\.?", bare.lower()) is not None
        )
    return True


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()
