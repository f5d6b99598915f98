"""Where a claim stands, told: a sentence for each code, and what to do next.

PURE. The command line, ``explain`` and mails tell the same story from here; docs/domains.md has every code.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from router.tenants.claims import Claim, ClaimState
from router.tenants.schedule import TRIES, serves_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.hostname import Hostname

_CNAME: Final = "Create the record: {host} CNAME {target}"
_TXT: Final = "Create the record: {txt} TXT {token}"
_OR_CDN: Final = ". With a CDN before it: {behind_cdn}, and {txt} TXT {token}"
_SERVERS: Final = "Check them with your DNS provider; it is tried again by itself."

SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "proved_by_cname": ("{host} leads to the tenant's own target.", ""),
    "proved_by_txt": ("The TXT record with the tenant's token is there.", ""),
    "not_here_yet": (
        "The TXT record with the tenant's token is there, but {host} does not lead here yet.",
        "When visitors are to arrive: {host} CNAME {target}. With a CDN before it, say so: {behind_cdn}",
    ),
    "vouched": ("A platform operator vouched for it.", ""),
    "no_such_name": ("The DNS knows no {host}.", _CNAME),
    "no_records": ("{host} is in the DNS, but has neither a CNAME record nor an address.", _CNAME),
    "cname_elsewhere": (
        "{host} is an alias for something else than the tenant's target.",
        "Change the record to: {host} CNAME {target}" + _OR_CDN,
    ),
    "cname_other_target": (
        "{host} is an alias for a target on this platform that is not this tenant's.",
        "Change the record to: {host} CNAME {target}",
    ),
    "cname_loop": ("The CNAME records of {host} lead in a circle.", "Mend them: {host} CNAME {target}"),
    "address_elsewhere": (
        "{host} has an address that is not the platform's.",
        "Take its A and AAAA records away, and create: {host} CNAME {target}" + _OR_CDN,
    ),
    "flattened": (
        "{host} leads here, but by an address, as every tenant's would: whose it is cannot be told.",
        "Create the record beside it: {txt} TXT {token}",
    ),
    "txt_missing": ("There is no TXT record at {txt}.", _TXT),
    "txt_wrong": (
        "There is a TXT record at {txt}, but not with this tenant's token.",
        "Add or correct it, exactly, capitals and all: {txt} TXT {token}",
    ),
    "dns_timeout": ("The name servers did not answer in time.", _SERVERS),
    "dns_servfail": (
        "The name servers failed (SERVFAIL): those of the domain are away, or its DNSSEC is broken.",
        _SERVERS,
    ),
    "dns_refused": ("The name servers refused to answer.", _SERVERS),
    "dns_truncated": (
        "The answer is too long for UDP, and could not be had over TCP.",
        "Delete TXT records that nobody needs, or have the name servers answer over TCP (port 53).",
    ),
    "dns_unreachable": (
        "The name servers that the router asks cannot be reached.",
        "A platform operator checks ROUTER_DOMAIN_RESOLVERS.",
    ),
    "held_by_another": (
        "It is proved, but another tenant holds {host} and has proof too.",
        "Whoever runs the DNS of {host} removes the other tenant's record, or a platform operator decides.",
    ),
    "displaced": (
        "Another tenant proved that {host} is its own, and this one could not any more.",
        "If that is wrong, create its record again ({host} CNAME {target}) and claim it again.",
    ),
    "proof_lost": (
        "Its proof was gone for seven days.",
        "To have it back, claim it again: {claim}",
    ),
}
"""For each code what is the matter, and what to do about it."""

_STATES: Final[Mapping[ClaimState, tuple[str, str]]] = {
    ClaimState.RELEASED: ("It was given up.", "To have it, claim it: {claim}"),
    ClaimState.BLOCKED: (
        "A platform operator refused it.",
        "A platform operator can take that back: {unblock}",
    ),
    ClaimState.SUSPENDED: (
        "A platform operator switched it off.",
        "A platform operator can take that back: {resume}",
    ),
}


@dataclass(frozen=True, slots=True)
class Ways:
    """How one does what a story advises, where it is told: commands, or what a page has for it."""

    behind_cdn: str
    claim: str
    verify: str
    unblock: str
    resume: str


COMMANDS: Final = Ways(
    behind_cdn="--behind-cdn",
    claim="tenant-router domain add {slug} {host}",
    verify="tenant-router domain verify {host}",
    unblock="tenant-router domain unblock {host}",
    resume="tenant-router domain resume {host}",
)
"""What the command line has for it."""


@dataclass(frozen=True, slots=True)
class Story:
    """What to tell of a claim: a stable code, what is the matter, and what to do next (empty: nothing)."""

    code: str
    sentence: str
    next_step: str

    def __str__(self) -> str:
        return f"{self.sentence} {self.next_step}".strip()


def tell(claim: Claim, target: Hostname | str, ways: Ways = COMMANDS) -> Story:
    """Tell where a claim stands; ``target`` is its tenant's own, ``ways`` how one does what is to be done."""
    words = {
        "host": claim.hostname,
        "slug": claim.slug,
        "target": target,
        "txt": claim.txt_name,
        "token": claim.txt_token,
    }
    words |= {name: way.format_map(words) for name, way in asdict(ways).items()}
    code, sentence, step = _told(claim)
    return Story(code, sentence.format_map(words), step.format_map(words))


def _told(claim: Claim) -> tuple[str, str, str]:
    if claim.kind == "platform":
        return claim.state.value, "It is the tenant's address under the platform's domain.", ""
    if claim.state is ClaimState.RELEASED and claim.code in ("displaced", "proof_lost"):
        return (claim.code, *SENTENCES[claim.code])
    if claim.state in _STATES:
        return (claim.state.value, *_STATES[claim.state])
    if claim.state is ClaimState.ACTIVE and claim.proof == "operator":
        return ("vouched", *SENTENCES["vouched"])
    if claim.code is None or claim.code not in SENTENCES:
        step = _TXT if claim.behind_cdn else _CNAME
        return "not_checked_yet", "Its proof has not been looked for yet.", step
    sentence, step = SENTENCES[claim.code]
    return claim.code, sentence + _ending(claim), step


def _ending(claim: Claim) -> str:
    """Add what the clock has to do with it."""
    if claim.state is ClaimState.MOVED:
        return " Its proof is gone: it serves until the time that is shown, and is released then."
    if claim.state is ClaimState.PENDING and claim.checks >= TRIES:
        return f" It was looked for {TRIES} times in seven days, and is looked for no more until: {{verify}}"
    return ""


def ends_at(claim: Claim) -> int | None:
    """Answer when a hostname that lost its proof is released, in unix seconds; None for others."""
    if claim.state is not ClaimState.MOVED or claim.lost_at is None:
        return None
    return serves_until(claim.lost_at)
