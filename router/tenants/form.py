"""The form that an operator fills in for a tenant, and how it is judged before anything is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from router.errors import BadInput, Faults, read_each
from router.tenants.branding import BrandingForm, judge_branding, parse_url, stored_branding
from router.tenants.claims import check_external_hostname
from router.tenants.forwarding import ForwardingForm, judge_forwarding, stored_forwarding
from router.tenants.tenant import parse_colour, parse_name, parse_public_path
from router.tenants.upstream_address import check_distinct, check_upstream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.hostname import Hostname
    from router.tenants.pictures import Picture, PictureKind
    from router.tenants.tenant import Branding, Forwarding

MAX_UPSTREAMS: Final = 16
MAX_PUBLIC_PATHS: Final = 50

_NEEDED: Final = {
    "name": "A new tenant needs a name, which customers see.",
    "theme_colour": "A new tenant needs a theme colour, such as #0B6E4F.",
    "upstreams": "Say where the tenant's traffic goes (an upstream, http://HOST:PORT), or give the platform "
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
class Offered:
    """What there is to choose from: the themes without a fault, and the languages that any of them speaks."""

    themes: frozenset[str]
    languages: frozenset[str]

    def check(self, branding: Mapping[str, Any]) -> None:
        """Raise ``BadInput`` with ``unknown_theme`` or ``unknown_language`` for what there is not."""
        theme, language = branding.get("theme"), branding.get("language")
        if theme is not None and theme not in self.themes:
            known = ", ".join(sorted(self.themes))
            raise BadInput(
                "unknown_theme", f"There is no sound theme “{theme}”; there are {known}.", field="theme"
            )
        if language and language not in self.languages:
            known = ", ".join(sorted(self.languages))
            raise BadInput(
                "unknown_language", f"No theme speaks “{language}”; there are {known}.", field="language"
            )


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


async def judge(
    form: TenantForm,
    faults: Faults,
    *,
    platform_domain: Hostname,
    allow_private_upstreams: bool,
    needs_upstreams: bool,
    offered: Offered | None = None,
    is_new: bool = False,
) -> Judged:
    """Read what is filled in; ``is_new`` says that it is to be enough for a new tenant.

    Raises ``BadInput`` for the first fault, with the field that it is in and all the others.
    """
    columns = _read_columns(form, faults)
    if form.registration_check is not None:
        with faults.at("registration_check"):
            url = form.registration_check.strip()
            columns["registration_check"] = await _check_url(url, allow_private_upstreams) if url else None
    forwarding: dict[str, Any] = {}
    with faults.at("forwarding"):
        forwarding = judge_forwarding(form.forwarding)
    branding: dict[str, Any] = {}
    pictures: dict[PictureKind, Picture] = {}
    with faults.at("branding"):
        branding, pictures = await judge_branding(form.branding)
        if offered is not None:
            offered.check(branding)
    external: Hostname | None = None
    with faults.at("external_domain"):
        if form.external_domain:
            external = check_external_hostname(form.external_domain, platform_domain)
    if form.upstreams is not None:
        least = 1 if needs_upstreams else 0
        columns["upstreams"] = await _upstreams(form.upstreams, faults, least, allow_private_upstreams)
    if is_new:
        _check_complete(form, faults, needs_upstreams=needs_upstreams)
    faults.check()
    wishes = form.external_domain is not None
    return Judged(columns, forwarding, branding, pictures, wishes, external, form.behind_cdn)


def _read_columns(form: TenantForm, faults: Faults) -> dict[str, Any]:
    """Read what no name has to be asked for."""
    columns: dict[str, Any] = {}
    if form.name is not None:
        with faults.at("name"):
            columns["name"] = parse_name(form.name)
    if form.theme_colour is not None:
        with faults.at("theme_colour"):
            columns["theme_colour"] = parse_colour(form.theme_colour)
    if form.allow_registration is not None:
        columns["allow_registration"] = form.allow_registration
    if form.public_paths is not None:
        with faults.at("public_paths"):
            _count(form.public_paths, "public paths", 0, MAX_PUBLIC_PATHS)
            read = read_each(parse_public_path, form.public_paths)
            columns["public_paths"] = list(dict.fromkeys(read))
    return columns


async def _upstreams(
    given: Sequence[str],
    faults: Faults,
    least: int,
    allow_private: bool,  # noqa: FBT001 - as it is handed in
) -> list[dict[str, Any]]:
    with faults.at("upstreams"):
        _count(given, "upstreams", least, MAX_UPSTREAMS)
        each, found = Faults(), []
        for index, url in enumerate(given):
            with each.at(str(index)):
                found.append(await check_upstream(url, allow_private=allow_private))
        each.check()
        return [asdict(upstream) for upstream in check_distinct(found)]
    return []


def _check_complete(form: TenantForm, faults: Faults, *, needs_upstreams: bool) -> None:
    """Note ``missing_field`` for what a new tenant cannot do without."""
    for name, sentence in _NEEDED.items():
        if getattr(form, name) is None and (needs_upstreams or name != "upstreams"):
            with faults.at(name):
                raise BadInput("missing_field", sentence)


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
