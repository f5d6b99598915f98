"""``tenant-router tenant``: add, list, show, set, suspend, resume, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from router.cli import branding, forwarding
from router.cli.branding import BrandingOptions
from router.cli.forwarding import ForwardingOptions, emptied
from router.cli.output import AsJson, Usage, answer, show_list, show_record, when
from router.hostname import port_suffix
from router.settings import Settings, load_settings
from router.tenants.claims import Claim, ClaimState
from router.tenants.form import TenantForm
from router.tenants.story import tell
from router.tenants.upstream_address import spelled

if TYPE_CHECKING:
    from router.tenants.rows import TenantRecord

app = App(name="tenant", help="Tenants: add, list, show, set, suspend, resume, delete.")

Slug = Annotated[str, Parameter(help="The tenant's short name: its sub-domain of the platform.")]
Name = Annotated[str, Parameter(help="The name that customers see.")]
Colour = Annotated[str, Parameter(help="The portal's primary colour, such as '#0B6E4F'.")]
Upstreams = Annotated[
    list[str],
    Parameter(
        negative=(),
        help="Where signed-in traffic goes: http(s)://HOST:PORT, perhaps with a path, or unix:/PATH; "
        "'http://HOST:PORT weight=3' for a share of three. May be repeated.",
    ),
]
Domain = Annotated[str, Parameter(help="A hostname of the tenant's own, such as billing.example.com.")]
Registration = Annotated[bool, Parameter(help="Whether customers may register themselves.")]
Check = Annotated[
    str,
    Parameter(help="The URL that is asked whether an e-mail address belongs to a customer; '' for none."),
]
Paths = Annotated[
    list[str],
    Parameter(negative=(), help="A path that needs no sign-in, with all below it. May be repeated."),
]


@app.command
async def add(  # noqa: PLR0913 - an option for each field of the form
    slug: Slug,
    /,
    *,
    name: Name,
    theme_colour: Colour,
    upstream: Upstreams | None = None,
    external_domain: Domain | None = None,
    allow_registration: Registration = False,
    registration_check: Check | None = None,
    public_path: Paths | None = None,
    take_over_slug: Annotated[
        bool, Parameter(negative=(), help="Take a short name that was a tenant's which was deleted.")
    ] = False,
    looks: BrandingOptions | None = None,
    options: ForwardingOptions | None = None,
    as_json: AsJson = False,
) -> None:
    r"""Add a tenant. Its platform address answers at once, its external one when its claim is active.

    Without --upstream, its traffic goes where the setting ROUTER_DEFAULT_UPSTREAMS says.

    For example:
        tenant-router tenant add acme --name 'Acme Inc.' \
            --theme-colour '#0B6E4F' --upstream https://erp.example.com:8443
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - --help does without the database

    settings = load_settings()
    form = TenantForm(
        name=name,
        theme_colour=theme_colour,
        upstreams=upstream,
        external_domain=external_domain,
        allow_registration=allow_registration,
        registration_check=registration_check,
        public_paths=public_path,
        forwarding=(options or ForwardingOptions()).form(),
        branding=(looks or BrandingOptions()).form(settings.themes_dir, settings.languages_dir),
    )
    async with opened(settings) as stores:
        record = await stores.registry.add(slug, form, actor=actor(), take_over_slug=take_over_slug)
        _answer(record, stores.settings, f"Tenant {slug} was added.", as_json=as_json)


@app.command(name="list")
async def list_(*, as_json: AsJson = False) -> None:
    """List all tenants.

    For example:
        tenant-router tenant list --json
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        rows = [described(record, stores.settings) for record in await stores.registry.list()]
    columns = ("slug", "name", "address", "status", "upstreams")
    show_list(
        rows, columns, as_json=as_json, none="There are no tenants yet: tenant-router tenant add --help"
    )


@app.command
async def show(slug: Slug, /, *, as_json: AsJson = False) -> None:
    """Show a tenant with its claims to hostnames.

    For example:
        tenant-router tenant show acme
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        record = await stores.registry.get(slug)
        told = _told(record, stores.settings)
        show_record(described(record, stores.settings), as_json=as_json, told=told)


@app.command(name="set")
async def set_(  # noqa: PLR0913 - an option for each field of the form
    slug: Slug,
    /,
    *,
    name: Name | None = None,
    theme_colour: Colour | None = None,
    upstream: Upstreams | None = None,
    no_upstream: Annotated[
        bool, Parameter(negative=(), help="Go where the setting ROUTER_DEFAULT_UPSTREAMS says.")
    ] = False,
    external_domain: Domain | None = None,
    no_external_domain: Annotated[
        bool, Parameter(negative=(), help="Give the external hostname up.")
    ] = False,
    allow_registration: Registration | None = None,
    registration_check: Check | None = None,
    public_path: Paths | None = None,
    no_public_path: Annotated[bool, Parameter(negative=(), help="Have every path need sign-in.")] = False,
    looks: BrandingOptions | None = None,
    options: ForwardingOptions | None = None,
    as_json: AsJson = False,
) -> None:
    """Change a tenant: what is not named stays. What may be repeated is replaced as a whole.

    A former external hostname goes on serving until the new one is active.

    For example:
        tenant-router tenant set acme --theme-colour '#8A1C7C' --logo acme.svg
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    settings = load_settings()
    form = TenantForm(
        name=name,
        theme_colour=theme_colour,
        upstreams=emptied(upstream, [], empty=no_upstream),
        external_domain=emptied(external_domain, "", empty=no_external_domain),
        allow_registration=allow_registration,
        registration_check=registration_check,
        public_paths=emptied(public_path, [], empty=no_public_path),
        forwarding=(options or ForwardingOptions()).form(),
        branding=(looks or BrandingOptions()).form(settings.themes_dir, settings.languages_dir),
    )
    async with opened(settings) as stores:
        before = await stores.registry.get(slug)
        record = await stores.registry.change(slug, form, actor=actor())
        changed = record.tenant.version != before.tenant.version
        said = f"Tenant {slug} was changed." if changed else f"Nothing to change: tenant {slug} is like that."
        _answer(record, stores.settings, said, before=before, as_json=as_json)


@app.command
async def suspend(slug: Slug, /, *, as_json: AsJson = False) -> None:
    """Switch a tenant's portal off: its hostnames answer 503, with a page in the tenant's look.

    For example:
        tenant-router tenant suspend acme
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        before = await stores.registry.get(slug)
        record = await stores.registry.suspend(slug, actor=actor())
        said = f"Tenant {slug} is suspended."
        _answer(record, stores.settings, said, before=before, as_json=as_json)


@app.command
async def resume(slug: Slug, /, *, as_json: AsJson = False) -> None:
    """Switch a suspended tenant's portal on again.

    For example:
        tenant-router tenant resume acme
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        before = await stores.registry.get(slug)
        record = await stores.registry.resume(slug, actor=actor())
        _answer(record, stores.settings, f"Tenant {slug} is active.", before=before, as_json=as_json)


@app.command
async def end_sessions(slug: Slug, /, *, as_json: AsJson = False) -> None:
    """Sign everybody out of a tenant's portal, within a second; they may sign in again.

    For example:
        tenant-router tenant end-sessions acme
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        record = await stores.registry.get(slug)
        ended = await stores.sessions.revoke_tenant(record.tenant.id, actor=actor())
    answer({"slug": slug, "ended": ended}, f"Everybody is signed out of {slug}.", as_json=as_json)


@app.command
async def delete(
    slug: Slug,
    /,
    *,
    yes_delete: Annotated[str, Parameter(help="The short name once more: nothing of it can be had back.")],
    as_json: AsJson = False,
) -> None:
    """Delete a tenant with its users, sessions, certificates and hostnames.

    Its short name is not given to another tenant by itself.

    For example:
        tenant-router tenant delete acme --yes-delete acme
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    if yes_delete != slug:
        raise Usage("usage", f"To delete {slug} with all that is its own, say: --yes-delete {slug}")
    async with opened() as stores:
        record = await stores.registry.delete(slug, actor=actor())
        told = described(record, stores.settings)
    answer(told, f"Tenant {slug} was deleted.", as_json=as_json)


def described(record: TenantRecord, settings: Settings) -> dict[str, object]:
    """Describe a tenant by the product's words; each field can be typed as it is shown."""
    tenant = record.tenant
    return {
        "slug": tenant.slug,
        "id": tenant.id,
        "name": tenant.branding.name,
        "status": tenant.status,
        "address": portal_url(tenant.hostname, settings.public_port),
        "theme": tenant.branding.theme,
        "theme_colour": tenant.branding.theme_colour,
        "branding": branding.described(tenant.branding),
        "allow_registration": tenant.allow_registration,
        "registration_check": tenant.registration_check,
        "upstreams": [spelled(upstream) for upstream in tenant.upstreams],
        "public_paths": list(tenant.public_paths),
        "forwarding": forwarding.described(tenant.forwarding),
        "claims": [described_claim(claim) for claim in record.claims],
        "cname_target": record.cname_target,
        "version": tenant.version,
        "created_at": when(record.created_at),
        "updated_at": when(record.updated_at),
    }


def _told(record: TenantRecord, settings: Settings) -> dict[str, object]:
    """Tell people of a tenant: the same, in one list, and with the upstreams that serve it."""
    columns = ("forwarding", "branding")
    told = {name: value for name, value in described(record, settings).items() if name not in columns}
    told["upstreams"] = told["upstreams"] or [f"{url} (the platform's)" for url in settings.default_upstreams]
    return told | branding.told(record.tenant.branding) | forwarding.told(record.tenant.forwarding)


def described_claim(claim: Claim) -> dict[str, object]:
    """Describe a claim; its proof token is nobody's secret, but of use only to the tenant."""
    return {
        "hostname": claim.hostname,
        "kind": claim.kind,
        "state": claim.state.value,
        "reason": claim.reason,
    }


def portal_url(hostname: str, public_port: int) -> str:
    """Write the address that customers are given."""
    return f"https://{hostname}{port_suffix(public_port)}"


def given_up(before: TenantRecord, after: TenantRecord) -> list[str]:
    """Name the hostnames that a change of the tenant's own one gave up."""
    were = {claim.id for claim in before.claims if claim.state is not ClaimState.RELEASED}
    gone = [claim for claim in after.claims if claim.id in were and claim.state is ClaimState.RELEASED]
    return [str(claim.hostname) for claim in gone]


def tell_given_up(hostnames: Sequence[str]) -> list[str]:
    """Tell people of it, hostname by hostname."""
    return [f"{hostname} was given up." for hostname in hostnames]


def _answer(
    record: TenantRecord, settings: Settings, said: str, *, before: TenantRecord | None = None, as_json: bool
) -> None:
    """Tell what was done and, of hostnames that this has to do with, what is to be done next."""
    waits = (ClaimState.PENDING, ClaimState.VERIFYING, ClaimState.CONFLICT)
    known = {} if before is None else {claim.id: claim.state for claim in before.claims}
    steps: list[str] = []
    for claim in record.claims:
        if claim.state in waits and known.get(claim.id) not in waits:
            steps.append(f"{claim.hostname} is {claim.state.value}. {tell(claim, record.cname_target)}")
            steps.append(f"Or vouch for it: tenant-router domain activate {claim.hostname} --reason …")
    gone = [] if before is None else given_up(before, record)
    address = portal_url(record.tenant.hostname, settings.public_port)
    sentences = (said, f"Portal address: {address}", *tell_given_up(gone), *steps)
    answer(described(record, settings), *sentences, as_json=as_json)
