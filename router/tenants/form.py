"""The form that an operator fills in for a tenant, and how it is judged before anything is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from router.errors import BadInput
from router.tenants.branding import BrandingForm, judge_branding, parse_url, stored_branding
from router.tenants.claims import check_external_hostname
from router.tenants.forwarding import ForwardingForm, judge_forwarding, stored_forwarding
from router.tenants.tenant import parse_colour, parse_name, parse_public_path
from router.tenants.upstream_address import check_distinct, check_upstream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.hostname import Hostname
    from router.tenants.pictures import Picture, PictureKind
    from router.tenants.tenant import Branding, Forwarding

MAX_UPSTREAMS: Final = 16
MAX_PUBLIC_PATHS: Final = 50

_NEEDED: Final = {
    "name": "A new tenant needs a name, which customers see.",
    "theme_colour": "A new tenant needs a theme colour, such as #0B6E4F.",
    "upstreams": "Say where the tenant's traffic goes (--upstream http://HOST:PORT), or give the platform "
    "ROUTER_DEFAULT_UPSTREAMS.",
}


@dataclass(frozen=True, slots=True)
class TenantForm:
    """What an operator fills in, as typed; None leaves a field as it is.

    An empty ``external_domain`` gives the tenant's own hostname up; ``behind_cdn`` is about the one that is
    filled in. The fields mean what the product's form
    says: Customer portal address, Use external sub-domain, Theme colour, Allow customer registration.
    ``registration_check`` is the URL of the tenant's that is asked whether an e-mail address belongs to a
    customer; empty for none.
    """

    name: str | None = None
    theme_colour: str | None = None
    upstreams: Sequence[str] | None = None
    external_domain: str | None = None
    behind_cdn: bool | None = None
    allow_registration: bool | None = None
    registration_check: str | None = None
    public_paths: Sequence[str] | None = None
    forwarding: ForwardingForm = field(default_factory=ForwardingForm)
    branding: BrandingForm = field(default_factory=BrandingForm)


@dataclass(frozen=True, slots=True)
class Judged:
    """A form found good: values for the tenant's columns, and what is wished of its external hostname.

    ``wishes_external`` with no ``external`` is the wish to give it up. ``forwarding`` and ``branding`` are
    for fields of the values of that name, which are one column each: the others stay. ``pictures`` are to be
    stored beside.
    """

    columns: dict[str, Any] = field(default_factory=dict)
    forwarding: dict[str, Any] = field(default_factory=dict)
    branding: dict[str, Any] = field(default_factory=dict)
    pictures: dict[PictureKind, Picture] = field(default_factory=dict)
    wishes_external: bool = False
    external: Hostname | None = None
    behind_cdn: bool | None = None

    def columns_after(self, forwarding: Forwarding, branding: Branding) -> dict[str, Any]:
        """Give the values for the columns of a tenant that is forwarded and looks like this so far."""
        forwarded = stored_forwarding(replace(forwarding, **self.forwarding))
        looks = stored_branding(replace(branding, **self.branding))
        return looks | self.columns | {"forwarding": forwarded}

    def check_complete(self, *, needs_upstreams: bool) -> None:
        """Raise ``BadInput("missing_field")`` when it is not enough for a new tenant."""
        for name, sentence in _NEEDED.items():
            if name not in self.columns and (needs_upstreams or name != "upstreams"):
                raise BadInput("missing_field", sentence)


async def judge(
    form: TenantForm, *, platform_domain: Hostname, allow_private_upstreams: bool, needs_upstreams: bool
) -> Judged:
    """Read what is filled in. Raises ``BadInput`` at the first fault."""
    columns: dict[str, Any] = {}
    if form.name is not None:
        columns["name"] = parse_name(form.name)
    if form.theme_colour is not None:
        columns["theme_colour"] = parse_colour(form.theme_colour)
    if form.allow_registration is not None:
        columns["allow_registration"] = form.allow_registration
    if form.public_paths is not None:
        _count(form.public_paths, "public paths", 0, MAX_PUBLIC_PATHS)
        columns["public_paths"] = [parse_public_path(path) for path in dict.fromkeys(form.public_paths)]
    if form.registration_check is not None:
        url = form.registration_check.strip()
        columns["registration_check"] = await _check_url(url, allow_private_upstreams) if url else None
    forwarding = judge_forwarding(form.forwarding)
    branding, pictures = await judge_branding(form.branding)
    external = (
        check_external_hostname(form.external_domain, platform_domain) if form.external_domain else None
    )
    if form.upstreams is not None:
        _count(form.upstreams, "upstreams", 1 if needs_upstreams else 0, MAX_UPSTREAMS)
        found = [await check_upstream(url, allow_private=allow_private_upstreams) for url in form.upstreams]
        columns["upstreams"] = [asdict(upstream) for upstream in check_distinct(found)]
    wishes = form.external_domain is not None
    return Judged(columns, forwarding, branding, pictures, wishes, external, form.behind_cdn)


async def _check_url(raw: str, allow_private: bool) -> str:  # noqa: FBT001 - as it is handed in
    """Read the URL of the registration check; it may not be where an upstream may not be."""
    url = parse_url(raw, allow_http=True)
    try:
        await check_upstream("/".join(url.split("/")[:3]), allow_private=allow_private)
    except BadInput as fault:
        raise BadInput(
            "bad_registration_check", f"The registration check cannot be there: {fault.sentence}"
        ) from fault
    return url


def _count(given: Sequence[str], what: str, least: int, most: int) -> None:
    if not least <= len(given) <= most:
        raise BadInput("bad_count", f"A tenant has {least} to {most} {what}, not {len(given)}.")
