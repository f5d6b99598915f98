"""Tenants in the API's words: as they are told, and as their fields are filled in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, Field

from router.console.api.bodies import Body
from router.hostname import port_suffix
from router.tenants.branding import BrandingForm
from router.tenants.entry import BrandingEntry, ForwardingEntry, entry_of
from router.tenants.form import TenantForm
from router.tenants.forwarding import ForwardingForm

if TYPE_CHECKING:
    from router.tenants.rows import TenantRecord
    from router.tenants.tenant import Image

_PORTAL_ADDRESS: Final = "The portal's name under the platform's domain: 1 to 40 of a-z, 0-9, inner hyphens."
_EXTERNAL: Final = "A hostname of the tenant's own that its portal is to answer at, or is; empty for none."
_COLOUR: Final = "The portal's primary colour, such as #0B6E4F."
_UPSTREAMS: Final = (
    "Where signed-in traffic goes: http(s)://HOST:PORT, perhaps with a path, or unix:/PATH; with a weight "
    "as in “http://HOST:PORT weight=3”."
)
_PATHS: Final = "Paths that need no sign-in, with all below them."


class BrandingWish(Body):
    """How the portal is to look and speak; what is left out stays, what is empty is taken away."""

    theme: str | None = None
    portal_name: str | None = None
    greeting: str | None = None
    language: str | None = None
    support_email: str | None = None
    support_phone: str | None = None
    support_url: str | None = None
    imprint_url: str | None = None
    privacy_url: str | None = None
    reply_to: str | None = None


class ForwardingWish(Body):
    """How the traffic is to go; what is left out stays, what is empty or 0 is the platform's way."""

    balance: str | None = Field(None, description="`round_robin`, `least_connections`, `session_affinity`.")
    health_path: str | None = None
    health_interval: int | None = None
    health_status: int | None = None
    keep_host: bool | None = None
    rewrite_location: bool | None = None
    maintenance: bool | None = None
    max_body: int | str | None = Field(None, description="In octets, or as in `10MiB`; 0 is no limit.")
    requests_per_second: int | None = Field(
        None, description="A limit that the platform sets: who is bound to a tenant cannot change it."
    )
    answer_timeout: int | None = None
    websocket_origins: list[str] | None = None
    answer_fields: list[str] | None = Field(None, description="`Name: value` each.")
    upstream_ca: str | None = Field(None, description="PEM; who may have issued the upstreams' certificates.")


class TenantChange(Body):
    """What is to change about a tenant: what is left out stays as it is. Lists are replaced as a whole."""

    name: str | None = Field(None, description="What customers see.")
    theme_colour: str | None = Field(None, description=_COLOUR)
    external_domain: str | None = Field(None, description=_EXTERNAL)
    behind_cdn: bool | None = Field(None, description="Whether a CDN stands before the external domain.")
    allow_registration: bool | None = None
    registration_check: str | None = None
    upstreams: list[str] | None = Field(None, description=_UPSTREAMS)
    public_paths: list[str] | None = Field(None, description=_PATHS)
    forwarding: ForwardingWish = ForwardingWish.model_construct()
    branding: BrandingWish = BrandingWish.model_construct()

    def form(self) -> TenantForm:
        """Fill in the form."""
        own = {name: getattr(self, name) for name in TenantChange.model_fields}
        own["forwarding"] = ForwardingForm(**self.forwarding.model_dump())
        own["branding"] = BrandingForm(**self.branding.model_dump())
        return TenantForm(**own)


class TenantWish(TenantChange):
    """A new tenant."""

    portal_address: str = Field(description=_PORTAL_ADDRESS)
    take_over_portal_address: bool = Field(
        default=False, description="Even if that was the address of a tenant that was deleted."
    )


class ImageTold(BaseModel):
    """A picture as it is served, at ``url``."""

    url: str
    content_type: str
    width: int
    height: int


class BrandingTold(BrandingEntry):
    """How the portal looks and speaks."""

    logo: ImageTold | None
    favicon: ImageTold | None


class TenantSummary(BaseModel):
    """A tenant in a list."""

    id: str
    portal_address: str
    name: str
    status: str
    hostname: str = Field(description="Where the portal is: the external domain once it is active.")
    portal_url: str
    theme_colour: str
    external_domain: str = Field(description=_EXTERNAL)
    version: int
    updated_at: datetime


class TenantTold(TenantSummary):
    """A tenant, with everything that can be set."""

    behind_cdn: bool
    allow_registration: bool
    registration_check: str
    upstreams: list[str]
    public_paths: list[str]
    cname_target: str = Field(description="What the external domain is to be a CNAME for.")
    forwarding: ForwardingEntry
    branding: BrandingTold
    created_at: datetime


def summary_of(record: TenantRecord, public_port: int) -> TenantSummary:
    """Tell of a tenant in a list."""
    told = _told(record, public_port)
    return TenantSummary(**{name: told[name] for name in TenantSummary.model_fields})


def told_of(record: TenantRecord, public_port: int) -> TenantTold:
    """Tell all of a tenant."""
    return TenantTold(**_told(record, public_port))


def portal_url(hostname: str, public_port: int) -> str:
    """Write the address that customers are given."""
    return f"https://{hostname}{port_suffix(public_port)}/"


def moment(at: int) -> datetime:
    """Write unix seconds."""
    return datetime.fromtimestamp(at, UTC)


def _told(record: TenantRecord, public_port: int) -> dict[str, Any]:
    tenant, entry = record.tenant, entry_of(record.tenant, record.claims)
    url = portal_url(tenant.hostname, public_port)
    fields = {name: getattr(entry, name) for name in TenantTold.model_fields.keys() & entry.model_fields_set}
    looks: dict[str, Any] = entry.branding.model_dump()
    looks |= {kind: _image(getattr(tenant.branding, kind), url) for kind in ("logo", "favicon")}
    return fields | {
        "id": tenant.id,
        "portal_address": tenant.slug,
        "status": tenant.status,
        "hostname": str(tenant.hostname),
        "portal_url": url,
        "cname_target": str(record.cname_target),
        "branding": BrandingTold(**looks),
        "version": tenant.version,
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
    }


def _image(image: Image | None, url: str) -> ImageTold | None:
    if image is None:
        return None
    return ImageTold(
        url=f"{url}-/image/{image.fingerprint}",
        content_type=image.content_type,
        width=image.width,
        height=image.height,
    )
