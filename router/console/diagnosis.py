"""What is known about a hostname, and the first thing that is wrong with it.

inquiry.py gathers the facts; the rules are here alone, in the order of a request's way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from router.tenants.claims import SERVED, Claim, ClaimState
from router.tenants.story import ends_at, tell

if TYPE_CHECKING:
    from router.certificates.life import Standing
    from router.certificates.record import CertificateRecord
    from router.certificates.served import Served
    from router.hostname import Hostname
    from router.observe.upstreams import Knocked
    from router.tenants.rows import TenantRecord


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that keeps the hostname from working, and what to do about it."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Shown:
    """The certificate that a client is shown. ``why`` says how it came to be this one.

    ``beside`` are those for clients that understand another kind of key.
    """

    id: str
    names: tuple[str, ...]
    not_after: int
    covers: bool
    why: str
    key_type: str = "ecdsa"
    beside: tuple[CertificateRecord, ...] = ()
    standing: Standing | None = None
    """Where an upload stands; none for a file."""

    @property
    def first_to_end(self) -> int:
        """When the first of them expires."""
        return min([self.not_after, *(each.not_after for each in self.beside)])


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known about a hostname.

    ``claim`` is the one that holds it, or the only one there is; ``record`` its tenant. ``file_faults`` are
    files in certs/ that were not taken, or that the folder cannot be read. ``is_admin`` says that the API
    answers there, whoever claims it. ``waiting`` is an upload that serves once the hostname is active.
    ``presented`` is what a handshake is given.
    """

    hostname: Hostname
    platform_domain: Hostname
    claims: tuple[Claim, ...] = ()
    claim: Claim | None = None
    record: TenantRecord | None = None
    shown: Shown | Fault | None = None
    probes: tuple[Knocked, ...] = ()
    file_faults: tuple[str, ...] = ()
    is_admin: bool = False
    waiting: CertificateRecord | None = None
    presented: Served | None = None


def first_wrong(facts: Facts, now: float) -> Fault | None:
    """Find the first fault on the way that a request takes: tenant, certificate, upstream."""
    if facts.is_admin:
        return _with_certificate(facts, now)
    return _with_claim(facts) or _with_certificate(facts, now) or _with_upstreams(facts)


def _with_claim(facts: Facts) -> Fault | None:
    claim = facts.claim
    if claim is None:
        return _with_nobody(facts)
    if (fault := _with_proof(facts, claim)) is not None:
        return fault
    if facts.record is not None and facts.record.tenant.status == "suspended":
        hint = f"tenant-router tenant resume {claim.slug}"
        return Fault("tenant_suspended", f"Tenant {claim.slug} is suspended. See: {hint}")
    if facts.record is not None and facts.record.tenant.forwarding.maintenance:
        hint = f"tenant-router tenant set {claim.slug} --no-maintenance"
        return Fault("tenant_in_maintenance", f"Tenant {claim.slug} is in maintenance. See: {hint}")
    return None


def _with_proof(facts: Facts, claim: Claim) -> Fault | None:
    """Tell what the claim lacks, in the words of ``domain status``."""
    story = tell(claim, facts.record.cname_target) if facts.record else ""
    if claim.state not in SERVED:
        hint = f"tenant-router domain activate {claim.hostname} --reason …"
        stands = f"The claim of tenant {claim.slug} is {claim.state.value}, not active."
        return Fault("claim_not_active", f"{stands} {story} To vouch for it: {hint}")
    if claim.state is ClaimState.MOVED:
        until = f"{claim.hostname} answers until {_date(ends_at(claim) or 0)}, and is released then."
        return Fault("proof_missing", f"{until} {story}")
    if claim.code == "not_here_yet":
        return Fault("not_here_yet", str(story))
    return None


def _with_nobody(facts: Facts) -> Fault:
    name = facts.hostname
    if facts.claims:
        slugs = ", ".join(claim.slug for claim in facts.claims)
        return Fault("claimed_by_several", f"{name} is claimed by {slugs}, and none of them holds it.")
    below = name.is_under(facts.platform_domain)
    hint = "tenant list" if below else f"domain add SLUG {name}"
    return Fault("no_tenant", f"No tenant has {name}. See: tenant-router {hint}")


def _with_certificate(facts: Facts, now: float) -> Fault | None:
    shown = facts.shown
    if isinstance(shown, Fault):
        return shown
    if shown is None or not shown.covers:
        external = facts.claim is not None and facts.claim.kind == "external"
        owner = f"--tenant {facts.claim.slug}" if facts.claim and external else "--platform"
        hint = f"tenant-router certificate upload CHAIN.pem KEY.pem {owner}"
        sentence = f"No certificate covers {facts.hostname}. See: {hint}"
        return Fault("no_certificate", sentence + _or_a_file(facts))
    if shown.first_to_end < now:
        sentence = f"The certificate expired on {_date(shown.first_to_end)}: upload its successor."
        return Fault("certificate_expired", sentence)
    return None


def _or_a_file(facts: Facts) -> str:
    """Name the files that may be meant; the running router may know more than was just read."""
    if not facts.file_faults:
        return ""
    refused = " ".join(facts.file_faults)
    kept = "A running router serves what it took in of them before, until it is restarted."
    return f". Or mend what was not taken from the certificate folder. {refused} {kept}"


def _with_upstreams(facts: Facts) -> Fault | None:
    if facts.claim is None:
        return None
    if not facts.probes:
        hint = f"tenant-router tenant set {facts.claim.slug} --upstream http://HOST:PORT"
        return Fault("upstream_missing", f"Tenant {facts.claim.slug} has no upstream. See: {hint}")
    faults = [f"{probe.url}: {probe.fault}" for probe in facts.probes if probe.fault]
    if len(faults) < len(facts.probes) or not faults:
        return None  # one of them answers, and the edge uses that one
    remedy = f"Start it, or: tenant-router tenant set {facts.claim.slug} --upstream http://HOST:PORT"
    return Fault("upstream_unreachable", f"The backend does not answer. {'; '.join(faults)}. {remedy}")


def _date(at: int) -> str:
    """Write unix seconds as a date and time in UTC (RFC 3339)."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
