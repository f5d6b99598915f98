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
from typing import TYPE_CHECKING, Final, Literal

from publicsuffixlist import PublicSuffixList

from router.errors import BadInput, Conflict, NotFound
from router.hostname import Hostname
from router.tenants.tenant import parse_slug

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_REASON: Final = 500


class ClaimState(StrEnum):
    """Where a claim stands. Only what :data:`SERVED` names answers visitors."""

    PENDING = "pending"  # claimed; nobody has looked for its proof yet, or it was looked for in vain
    VERIFYING = "verifying"  # its proof is being looked for
    ACTIVE = "active"  # proved, or vouched for: the tenant holds the hostname
    MOVED = "moved"  # its proof was lost: it serves for a while yet
    RELEASED = "released"  # given up, by the tenant, for lack of proof, or to another tenant's proof
    BLOCKED = "blocked"  # a platform operator said no
    CONFLICT = "conflict"  # proved, but held by another tenant, which has proof too
    SUSPENDED = "suspended"  # held, but switched off


class ClaimEvent(StrEnum):
    """What happens to a claim."""

    CLAIM = "claim"
    VERIFY = "verify"
    PROVE = "prove"
    VOUCH = "vouch"  # a platform operator's word, audited
    MEET_HOLDER = "meet_holder"
    LOSE_PROOF = "lose_proof"
    RUN_OUT = "run_out"  # its time without proof is over
    DISPLACE = "displace"  # by another tenant, which has proof
    RELEASE = "release"
    BLOCK = "block"
    UNBLOCK = "unblock"
    SUSPEND = "suspend"
    RESUME = "resume"


ClaimKind = Literal["platform", "external"]
Proof = Literal["cname", "txt", "operator"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A tenant's claim to a hostname: its sub-domain of the platform, or an external one of its own.

    ``txt_token`` is what the tenant would publish as proof; ``reason`` is a platform operator's, where one
    vouched. ``behind_cdn`` says that a CDN stands before it, so that a TXT record is the only proof there can
    be. ``proof`` is what it was proved by, ``lost_at`` since when that is gone, and ``notices`` how often
    that was told. ``code`` is what the latest check came to, ``checks`` how many were in vain since somebody
    asked; without ``next_check_at`` there is none until somebody asks. Times are unix seconds.
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
    behind_cdn: bool = False
    proof: Proof | None = None
    proved_at: int | None = None
    lost_at: int | None = None
    notices: int = 0
    code: str | None = None
    checks: int = 0
    checked_at: int | None = None
    next_check_at: int | None = None

    @property
    def txt_name(self) -> str:
        """Where the token is looked for."""
        return f"{CHALLENGE}.{self.hostname}"


CHALLENGE: Final = "_portal-challenge"
"""The label below which a tenant publishes its token as a TXT record."""

SERVED: Final = frozenset({ClaimState.ACTIVE, ClaimState.MOVED})
"""The states in which the hostname answers as the tenant's."""

HOLDING: Final = SERVED | {ClaimState.SUSPENDED}
"""The states in which no other tenant can have the hostname: one claim at most is in one of them."""

_ASKED: Final = {
    ClaimEvent.VOUCH: ClaimState.ACTIVE,
    ClaimEvent.RELEASE: ClaimState.RELEASED,
    ClaimEvent.BLOCK: ClaimState.BLOCKED,
}
"""What people decide about every claim that is neither given up nor refused."""

TRANSITIONS: Final = MappingProxyType(
    {
        ClaimState.PENDING: {
            **_ASKED,
            ClaimEvent.CLAIM: ClaimState.PENDING,
            ClaimEvent.VERIFY: ClaimState.VERIFYING,
        },
        ClaimState.VERIFYING: {
            **_ASKED,
            ClaimEvent.CLAIM: ClaimState.VERIFYING,
            ClaimEvent.VERIFY: ClaimState.VERIFYING,
            ClaimEvent.PROVE: ClaimState.ACTIVE,
            ClaimEvent.MEET_HOLDER: ClaimState.CONFLICT,
            ClaimEvent.RUN_OUT: ClaimState.PENDING,
        },
        ClaimState.ACTIVE: {
            **_ASKED,
            ClaimEvent.CLAIM: ClaimState.ACTIVE,
            ClaimEvent.VERIFY: ClaimState.ACTIVE,
            ClaimEvent.PROVE: ClaimState.ACTIVE,
            ClaimEvent.LOSE_PROOF: ClaimState.MOVED,
            ClaimEvent.DISPLACE: ClaimState.RELEASED,
            ClaimEvent.SUSPEND: ClaimState.SUSPENDED,
        },
        ClaimState.MOVED: {
            **_ASKED,
            ClaimEvent.CLAIM: ClaimState.MOVED,
            ClaimEvent.VERIFY: ClaimState.MOVED,
            ClaimEvent.PROVE: ClaimState.ACTIVE,
            ClaimEvent.LOSE_PROOF: ClaimState.MOVED,
            ClaimEvent.RUN_OUT: ClaimState.RELEASED,
            ClaimEvent.DISPLACE: ClaimState.RELEASED,
            ClaimEvent.SUSPEND: ClaimState.SUSPENDED,
        },
        ClaimState.RELEASED: {
            ClaimEvent.CLAIM: ClaimState.PENDING,
            ClaimEvent.RELEASE: ClaimState.RELEASED,
            ClaimEvent.BLOCK: ClaimState.BLOCKED,
        },
        ClaimState.BLOCKED: {
            ClaimEvent.RELEASE: ClaimState.BLOCKED,  # giving up and claiming again is no way around a no
            ClaimEvent.BLOCK: ClaimState.BLOCKED,
            ClaimEvent.UNBLOCK: ClaimState.PENDING,
        },
        ClaimState.CONFLICT: {
            **_ASKED,
            ClaimEvent.CLAIM: ClaimState.CONFLICT,
            ClaimEvent.VERIFY: ClaimState.CONFLICT,
            ClaimEvent.PROVE: ClaimState.ACTIVE,
            ClaimEvent.MEET_HOLDER: ClaimState.CONFLICT,
            ClaimEvent.LOSE_PROOF: ClaimState.VERIFYING,
        },
        ClaimState.SUSPENDED: {
            ClaimEvent.CLAIM: ClaimState.SUSPENDED,
            ClaimEvent.RELEASE: ClaimState.BLOCKED,  # nor is it around a suspension
            ClaimEvent.BLOCK: ClaimState.BLOCKED,
            ClaimEvent.SUSPEND: ClaimState.SUSPENDED,
            ClaimEvent.RESUME: ClaimState.ACTIVE,
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


def check_reason(raw: str) -> str:
    """Read why a platform operator decides something. Raises ``BadInput("bad_reason")``."""
    reason = " ".join(raw.split())
    if not reason or len(reason) > MAX_REASON or not reason.isprintable():
        raise BadInput(
            "bad_reason", f"Say why, in 1 to {MAX_REASON} printable characters: the audit keeps it."
        )
    return reason


def chosen(found: Sequence[Claim], hostname: Hostname, slug: str | None) -> Claim:
    """Choose the claim that an operator means; ``slug`` says whose.

    Raises ``NotFound("claim_not_found")`` and ``Conflict("claimed_by_several")``.
    """
    held = [claim for claim in found if claim.state is not ClaimState.RELEASED]
    meant = [claim for claim in held if slug is None or claim.slug == slug]
    if not meant:
        whose = f"The tenant “{slug}” does not claim" if slug else "No tenant claims"
        hint = f"tenant-router domain add {slug or 'SLUG'} {hostname}"
        raise NotFound("claim_not_found", f"{whose} {hostname}. First: {hint}")
    if len(meant) > 1:
        slugs = ", ".join(claim.slug for claim in meant)
        raise Conflict("claimed_by_several", f"{hostname} is claimed by {slugs}: say whose with --tenant.")
    return meant[0]


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
