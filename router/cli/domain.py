"""``tenant-router domain``: add, verify, status, wait, release, list; activate, block, suspend and back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from router.cli.output import AsJson, Exit, Record, answer, show_list, show_record, when
from router.cli.tenant import described_claim, given_up, tell_given_up
from router.errors import Conflict
from router.tenants.claims import ClaimState
from router.tenants.form import TenantForm
from router.tenants.story import ends_at

if TYPE_CHECKING:
    from router.tenants.domains import Domains, Standing
    from router.tenants.evidence_rows import Recorded

app = App(
    name="domain",
    help="Hostnames of tenants' own: add, verify, status, wait, release, list; activate, block, suspend.",
)

Host = Annotated[str, Parameter(help="The external hostname that a tenant claims.")]
Tenant = Annotated[
    str | None, Parameter(help="Whose claim, where several tenants claim the hostname: a short name.")
]
Reason = Annotated[str, Parameter(help="Why; the audit keeps it.")]

_LOOKED_EVERY: Final = 0.5
_HOPELESS: Final = frozenset({ClaimState.RELEASED, ClaimState.BLOCKED, ClaimState.SUSPENDED})


@app.command
async def add(
    slug: Annotated[str, Parameter(help="The tenant's short name.")],
    host: Annotated[str, Parameter(help="A hostname of the tenant's own, such as billing.example.com.")],
    /,
    *,
    behind_cdn: Annotated[
        bool | None, Parameter(help="Whether a CDN stands before it: then the proof is a TXT record.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Claim a hostname for a tenant, and say which DNS record proves that it is the tenant's.

    A running router looks for the record by itself. The tenant's former
    external hostname serves until this one is active; one that was not
    active yet is given up.

    For example:
        tenant-router domain add acme billing.acme.example
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - --help does without the database

    async with opened() as stores:
        form = TenantForm(external_domain=host, behind_cdn=behind_cdn)
        before = await stores.registry.get(slug)
        gone = given_up(before, await stores.registry.change(slug, form, actor=actor()))
        standing = await stores.domains.status(host, slug=slug)
    _show(standing, as_json=as_json, gone=gone)


@app.command
async def verify(host: Host, /, *, tenant: Tenant = None, as_json: AsJson = False) -> int:
    """Look for the proof now, and tell what was found.

    The schedule of checks begins anew. Exits with 1 when there is no proof.

    For example:
        tenant-router domain verify billing.acme.example
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        standing = await stores.domains.verify(host, actor=actor(), slug=tenant)
    _show(standing, as_json=as_json, with_evidence=True)
    return Exit.OK if standing.claim.state is ClaimState.ACTIVE else Exit.WRONG


@app.command
async def status(host: Host, /, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Tell how a claim stands, what is missing, and what the latest checks heard.

    For example:
        tenant-router domain status billing.acme.example
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        standing = await stores.domains.status(host, slug=tenant)
    _show(standing, as_json=as_json, with_evidence=True)


@app.command
async def wait(
    host: Host,
    /,
    *,
    timeout: Annotated[float, Parameter(help="Seconds to wait at most.")] = 600.0,  # noqa: ASYNC109 - an option
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> int:
    """Wait until a hostname is active, for scripts.

    A running router has to look for the proof meanwhile. Exits with 0 when
    the hostname is active, with 7 when the time is over, and with 5 when it
    cannot become active by itself: it was given up, blocked or suspended.

    For example:
        tenant-router domain wait billing.acme.example --timeout 900
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        standing = await stores.domains.status(host, slug=tenant)
        try:
            async with asyncio.timeout(timeout):
                standing = await _active(stores.domains, standing)
        except TimeoutError:
            standing = await stores.domains.status(host, slug=standing.claim.slug)
    _show(standing, as_json=as_json)
    return Exit.OK if standing.claim.state is ClaimState.ACTIVE else Exit.TIMED_OUT


@app.command
async def release(host: Host, /, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Give a hostname up: it stops answering as the tenant's at once.

    For example:
        tenant-router domain release billing.acme.example
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        standing = await stores.domains.release(host, actor=actor(), slug=tenant)
    _show(standing, as_json=as_json)


@app.command(name="list")
async def list_(
    *,
    tenant: Annotated[str | None, Parameter(help="Those of one tenant: its short name.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the claims to external hostnames, and what each waits for.

    For example:
        tenant-router domain list --tenant acme
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        if tenant is not None:
            await stores.registry.get(tenant)
        rows = [described(standing) for standing in await stores.domains.list(tenant)]
    columns = ("hostname", "tenant", "state", "code", "next_check_at")
    hint = "tenant-router domain add SLUG billing.example.com"
    show_list(rows, columns, as_json=as_json, none=f"There are no claims to external hostnames: {hint}")


@app.command
async def activate(
    host: Host,
    /,
    *,
    reason: Annotated[str, Parameter(help="How you know that it is the tenant's; the audit keeps it.")],
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Make a tenant's claim to a hostname active by a platform operator's word, without proof.

    It stays so until somebody takes it back: the DNS is not asked any more.
    The tenant's former external hostname is released.

    For example:
        tenant-router domain activate billing.acme.example --reason 'Contract 4711'
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        claim = await stores.registry.activate_domain(host, reason=reason, actor=actor(), slug=tenant)
    said = f"{claim.hostname} is active for tenant {claim.slug}. See: tenant-router explain {claim.hostname}"
    answer({"tenant": claim.slug, **described_claim(claim)}, said, as_json=as_json)


@app.command
async def block(host: Host, /, *, reason: Reason, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Refuse a tenant's claim to a hostname, until that is taken back.

    For example:
        tenant-router domain block billing.acme.example --reason 'Not theirs'
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        standing = await stores.domains.block(host, reason=reason, actor=actor(), slug=tenant)
    _show(standing, as_json=as_json)


@app.command
async def unblock(host: Host, /, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Take the refusal of a claim back: its proof is looked for again.

    For example:
        tenant-router domain unblock billing.acme.example
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        standing = await stores.domains.unblock(host, actor=actor(), slug=tenant)
    _show(standing, as_json=as_json)


@app.command
async def suspend(host: Host, /, *, reason: Reason, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Switch a hostname off; it stays the tenant's, and nobody else can have it.

    For example:
        tenant-router domain suspend billing.acme.example --reason 'Phishing report'
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        standing = await stores.domains.suspend(host, reason=reason, actor=actor(), slug=tenant)
    _show(standing, as_json=as_json)


@app.command
async def resume(host: Host, /, *, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Switch a suspended hostname on again.

    For example:
        tenant-router domain resume billing.acme.example
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        standing = await stores.domains.resume(host, actor=actor(), slug=tenant)
    _show(standing, as_json=as_json)


async def _active(domains: Domains, standing: Standing) -> Standing:
    """Wait until a claim is active. Raises ``Conflict("claim_state")`` when it cannot become so by itself."""
    claim = standing.claim
    while claim.state is not ClaimState.ACTIVE:
        if claim.state in _HOPELESS:
            raise Conflict("claim_state", f"{claim.hostname} is {claim.state.value}. {standing.story}")
        await asyncio.sleep(_LOOKED_EVERY)  # another process's work, which rings no bell of ours
        standing = await domains.again(standing)
        claim = standing.claim
    return standing


def described(standing: Standing) -> dict[str, object]:
    """Describe a claim: how it stands, what to do next, which records would prove it."""
    claim, story = standing.claim, standing.story
    ends = ends_at(claim)
    return {
        "hostname": claim.hostname,
        "tenant": claim.slug,
        "state": claim.state.value,
        "code": story.code,
        "sentence": story.sentence,
        "next_step": story.next_step,
        "behind_cdn": claim.behind_cdn,
        "cname_target": standing.target,
        "txt_name": claim.txt_name,
        "txt_token": claim.txt_token,
        "proof": claim.proof,
        "proved_at": _when(claim.proved_at),
        "lost_at": _when(claim.lost_at),
        "serves_until": _when(ends),
        "checks": claim.checks,
        "checked_at": _when(claim.checked_at),
        "next_check_at": _when(claim.next_check_at),
        "reason": claim.reason,
    }


def _show(
    standing: Standing, *, as_json: bool, with_evidence: bool = False, gone: Sequence[str] | None = None
) -> None:
    """Show a claim; ``gone`` are the hostnames that were given up for it."""
    record: dict[str, object] = described(standing)
    if gone is not None:
        record["given_up"] = list(gone)
    if with_evidence:
        record["evidence"] = [_described_line(each) for each in standing.evidence]
    show_record(record, as_json=as_json, told=_told(record, standing))
    if not as_json:
        print(f"{standing.claim.hostname} is {standing.claim.state.value}. {standing.story}")
        print(*tell_given_up(gone or ()), sep="\n", end="\n" if gone else "")


def _told(record: Record, standing: Standing) -> Record:
    """Tell people the same without what is empty, and of the evidence the latest check's."""
    told = {name: value for name, value in record.items() if value not in (None, "", 0, False)}
    for name in ("sentence", "next_step", "evidence", "given_up"):
        told.pop(name, None)
    newest = standing.evidence[0].at if standing.evidence else 0
    lines = [each.line for each in standing.evidence if each.at == newest]
    if "evidence" in record and lines:
        told["asked"] = [f"{line.asked} of {line.resolver or 'nobody'}: {line.answer}" for line in lines]
        told["expected"] = [line.expected for line in lines]
    return told


def _described_line(recorded: Recorded) -> Record:
    line = recorded.line
    return {
        "at": when(recorded.at),
        "method": line.method,
        "asked": line.asked,
        "resolver": line.resolver,
        "answer": line.answer,
        "expected": line.expected,
        "verdict": line.verdict,
        "code": line.code,
    }


def _when(at: int | None) -> str | None:
    return None if at is None else when(at)
