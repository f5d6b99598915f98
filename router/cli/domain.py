"""``tenant-router domain``: activate."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from router.cli.output import AsJson, answer
from router.cli.tenant import described_claim

app = App(name="domain", help="Domains of tenants: activate.")


@app.command
async def activate(
    host: Annotated[str, Parameter(help="The external hostname that a tenant claims.")],
    /,
    *,
    reason: Annotated[str, Parameter(help="How you know that it is the tenant's; the audit keeps it.")],
    tenant: Annotated[
        str | None, Parameter(help="Whose claim, where several tenants claim the hostname.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a tenant's claim to a hostname active by a platform operator's word, without proof.

    The tenant's former external hostname is released.

    For example:
        tenant-router domain activate billing.acme.example --reason 'Contract 4711'
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - --help does without the database

    async with opened() as stores:
        claim = await stores.registry.activate_domain(host, reason=reason, actor=actor(), slug=tenant)
    said = f"{claim.hostname} is active for tenant {claim.slug}. See: tenant-router explain {claim.hostname}"
    answer({"tenant": claim.slug, **described_claim(claim)}, said, as_json=as_json)
