"""A tenant as an entry of a file: every field in the product's words, and what is left out is as by default.

PURE. What is not in a file: pictures, users, certificates, tokens, secrets of any kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from router.tenants.claims import SERVED, Claim, ClaimState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.tenants.tenant import Branding, Forwarding, Tenant


class _Section(BaseModel):
    """Fields of which each is known, and of its own type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class BrandingEntry(_Section):
    """How the portal looks and speaks."""

    theme: str = "default"
    portal_name: str = ""
    greeting: str = ""
    language: str = ""
    support_email: str = ""
    support_phone: str = ""
    support_url: str = ""
    imprint_url: str = ""
    privacy_url: str = ""
    reply_to: str = ""


class ForwardingEntry(_Section):
    """How the traffic goes to the upstreams and back; a size may be written as in ``10MiB``."""

    balance: str = "round_robin"
    health_path: str = ""
    health_interval: int = 30
    health_status: int = 200
    keep_host: bool = True
    rewrite_location: bool = False
    maintenance: bool = False
    max_body: int | str = 0
    requests_per_second: int = 0
    answer_timeout: int = 0
    websocket_origins: list[str] = Field(default_factory=list)
    answer_fields: list[str] = Field(default_factory=list)
    upstream_ca: str = ""


class TenantEntry(_Section):
    """A tenant. ``external_domain`` is the hostname of its own that it wants, whether it is proved or not."""

    slug: str
    name: str
    theme_colour: str
    upstreams: list[str] = Field(default_factory=list)
    external_domain: str = ""
    behind_cdn: bool = False
    allow_registration: bool = False
    registration_check: str = ""
    public_paths: list[str] = Field(default_factory=list)
    suspended: bool = False
    branding: BrandingEntry = BrandingEntry()
    forwarding: ForwardingEntry = ForwardingEntry()

    def written(self) -> dict[str, Any]:
        """Spell it as a file holds it: what differs from the defaults, always in the same order."""
        return self.model_dump(exclude_defaults=True)

    def flat(self) -> dict[str, Any]:
        """Name every field, those of the sections as in ``branding.greeting``."""
        every = self.model_dump()
        for section in ("branding", "forwarding"):
            every |= {f"{section}.{name}": value for name, value in every.pop(section).items()}
        return every


def entry_of(tenant: Tenant, claimed: Sequence[Claim]) -> TenantEntry:
    """Describe a tenant that there is; ``claimed`` are its claims."""
    wanted = wanted_claim(claimed)
    return TenantEntry(
        slug=tenant.slug,
        name=tenant.branding.name,
        theme_colour=tenant.branding.theme_colour,
        upstreams=[upstream.spelled for upstream in tenant.upstreams],
        external_domain=str(wanted.hostname) if wanted is not None else "",
        behind_cdn=wanted is not None and wanted.behind_cdn,
        allow_registration=tenant.allow_registration,
        registration_check=tenant.registration_check,
        public_paths=list(tenant.public_paths),
        suspended=tenant.status == "suspended",
        branding=_branding(tenant.branding),
        forwarding=_forwarding(tenant.forwarding),
    )


def wanted_claim(claimed: Sequence[Claim]) -> Claim | None:
    """Find the claim to the hostname that a tenant wants as its own: the one that waits, else the one held.

    One that was given up or refused is wanted no more.
    """
    gone = (ClaimState.RELEASED, ClaimState.BLOCKED)
    wished = [claim for claim in claimed if claim.kind == "external" and claim.state not in gone]
    held = SERVED | {ClaimState.SUSPENDED}
    return max(
        wished,
        key=lambda claim: (claim.state not in held, claim.state in SERVED, claim.created_at),
        default=None,
    )


def _branding(branding: Branding) -> BrandingEntry:
    return BrandingEntry(**{name: getattr(branding, name) for name in BrandingEntry.model_fields})


def _forwarding(forwarding: Forwarding) -> ForwardingEntry:
    values = {name: getattr(forwarding, name) for name in ForwardingEntry.model_fields}
    values["websocket_origins"] = list(forwarding.websocket_origins)
    values["answer_fields"] = [f"{name}: {value}" for name, value in forwarding.answer_fields]
    return ForwardingEntry(**values)
