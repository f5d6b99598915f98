"""*Domain*: the way to a hostname of the tenant's own, and what was seen of it in the DNS.

The sentences are those of ``tenant-router domain status`` (tenants/story.py), with what this page has for the
things that are to be done.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote

from router.certificates.names import covers
from router.console.pages.page import FormPage, version_in
from router.console.scopes import Scope
from router.errors import BadInput
from router.tenants.claims import SERVED, TRANSITIONS, ClaimEvent, ClaimState
from router.tenants.form import TenantForm
from router.tenants.story import Story, Ways, ends_at, tell

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from aiohttp import web

    from router.certificates.folder import CertificateFolder
    from router.certificates.vault import Vault
    from router.console.pages.page import Call, Desk
    from router.console.pages.uploads import Sent
    from router.tenants.claims import Claim
    from router.tenants.domains import Domains, Standing
    from router.tenants.evidence_rows import Recorded
    from router.tenants.registry import Registry

DOMAIN: Final = "/tenants/{tenant}/domain"

_WAYS: Final = Ways(
    behind_cdn="“A CDN stands before it”",
    claim="“Use another hostname” below",
    verify="“Look again now”",
    unblock="“Take the refusal back”",
    resume="“Switch it on again”",
)
_BADGES: Final = MappingProxyType(
    {
        ClaimState.PENDING: "warn",
        ClaimState.VERIFYING: "warn",
        ClaimState.ACTIVE: "good",
        ClaimState.MOVED: "bad",
        ClaimState.BLOCKED: "bad",
        ClaimState.CONFLICT: "bad",
        ClaimState.SUSPENDED: "bad",
        ClaimState.RELEASED: "plain",
    }
)
_TOLD: Final = MappingProxyType(
    {
        "claimed": "The hostname is claimed. Create the record below; it is looked for by itself.",
        "looked": "The DNS was asked just now.",
        "cdn": "That is noted; the proof is looked for again.",
        "released": "The hostname is given up: it answers as the tenant's no more.",
        "vouched": "The hostname is active, by your word.",
        "blocked": "The claim is refused.",
        "suspended": "The hostname is switched off.",
        "unblocked": "The refusal is taken back; the proof is looked for again.",
        "resumed": "The hostname is switched on again.",
    }
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A DNS record to create."""

    kind: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one check heard."""

    at: int
    lines: tuple[Recorded, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A claim as the page shows it; ``records`` prove it, the first is the usual one.

    ``certified`` says whether there is a certificate that covers the hostname, whoever's.
    """

    claim: Claim
    story: Story
    records: tuple[Wanted, ...]
    looks: tuple[Look, ...]
    path: str
    certified: bool

    @property
    def badge(self) -> str:
        """The kind of badge that its state has."""
        return _BADGES[self.claim.state]

    @property
    def serves(self) -> bool:
        """Whether the hostname answers."""
        return self.claim.state in SERVED

    @property
    def until(self) -> int | None:
        """When it is released, its proof being gone."""
        return ends_at(self.claim)

    @property
    def seen(self) -> Sequence[Recorded]:
        """What the latest look heard, without what is not needed: beside a proof, or behind a CDN."""
        lines = self.looks[0].lines if self.looks else ()
        if self.claim.behind_cdn:
            return [each for each in lines if each.line.method == "txt"]
        proof = [each for each in lines if each.line.verdict == "good" and each.line.method != "address"]
        return [*proof, *(each for each in lines if each.line.method == "address")] if proof else lines

    def can(self, event: str) -> bool:
        """Whether something may be done to it as it stands."""
        return ClaimEvent(event) in TRANSITIONS[self.claim.state]


class DomainPage(FormPage):
    """``/tenants/{tenant}/domain``: how each hostname stands; the form claims one, or another."""

    path: ClassVar = DOMAIN
    template: ClassVar = "domain.html"
    title: ClassVar = "Domain"
    section: ClassVar = "domain"
    scope: ClassVar = Scope.DOMAINS_READ
    change: ClassVar = Scope.DOMAINS_WRITE
    typed: ClassVar = ("hostname", "behind_cdn", "version")
    required: ClassVar = ("hostname",)
    said: ClassVar = MappingProxyType({"claim_state": "hostname"})
    told: ClassVar = _TOLD

    def __init__(
        self, desk: Desk, domains: Domains, registry: Registry, vault: Vault, folder: CertificateFolder
    ) -> None:
        super().__init__(desk)
        self._domains = domains
        self._registry = registry
        self._vault = vault
        self._folder = folder

    async def filled(self, call: Call) -> Mapping[str, str]:
        """Remember which version is looked at."""
        return {"version": str(call.admitted.tenant.version)}

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Tell how each hostname stands, the one that waits first."""
        slug, below = call.admitted.tenant.slug, call.address(DOMAIN)
        found = [await self._domains.status(each, slug=slug) for each in hostnames_of(call)]
        held = [*await self._vault.of(call.admitted.tenant.id), *await self._vault.of(None)]
        held += self._folder.list()
        names = {name for each in held if each.state == "active" for name in each.names}
        shown = sorted((_shown(each, below, names) for each in found), key=lambda each: each.serves)
        return {
            "domains": shown,
            "target": call.admitted.record.cname_target,
            "may_change": call.principal.may(Scope.DOMAINS_WRITE),
            "may_decide": call.principal.may(Scope.DOMAINS_VOUCH),
            "mounted": self._desk.pages.mounted,
            "tenant": call.admitted.tenant,
        }

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Claim a hostname."""
        slug, version = call.admitted.tenant.slug, version_in(sent)
        behind = sent["behind_cdn"] == "yes"
        form = TenantForm(external_domain=sent["hostname"], behind_cdn=behind)
        try:
            await self._registry.change(slug, form, actor=call.actor, version=version)
        except BadInput as fault:
            fault.field = "hostname"
            raise
        return self.done(call, "claimed")


def hostnames_of(call: Call) -> Sequence[str]:
    """Name the hostnames that the tenant claims; where it claims none, the one that it lost last."""
    claimed = [claim for claim in call.admitted.record.claims if claim.kind == "external"]
    live = [str(claim.hostname) for claim in claimed if claim.state is not ClaimState.RELEASED]
    lost = [claim for claim in claimed if claim.code in ("displaced", "proof_lost")]
    if not live and lost:
        return [str(max(lost, key=lambda claim: claim.updated_at).hostname)]
    return live


def _shown(standing: Standing, below: str, certified: Collection[str]) -> Shown:
    claim = standing.claim
    return Shown(
        claim=claim,
        story=tell(claim, standing.target, _WAYS),
        records=_records(standing),
        looks=_looks(standing.evidence),
        path=f"{below}/{quote(claim.hostname, safe='')}",
        certified=covers(certified, claim.hostname),
    )


def _looks(evidence: Sequence[Recorded]) -> tuple[Look, ...]:
    """Tell the checks apart: each begins with its question for the alias, and two may be of one second."""
    starts = [at for at, each in enumerate(evidence) if each.line.method == "cname"] or [0]
    pieces = [tuple(evidence[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True)]
    return tuple(Look(piece[0].at, piece) for piece in pieces if piece)


def _records(standing: Standing) -> tuple[Wanted, ...]:
    """Name what would prove a claim; the CNAME of a hostname behind a CDN leads to the CDN."""
    claim = standing.claim
    challenge = Wanted("TXT", claim.txt_name, claim.txt_token)
    if claim.behind_cdn:
        return (challenge,)
    return (Wanted("CNAME", str(claim.hostname), str(standing.target)), challenge)
