"""``tenant-router token``: add, list, revoke."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from router.cli.output import AsJson, Record, answer, show_list, when
from router.console.scopes import Scope

if TYPE_CHECKING:
    from router.console.tokens import Token

app = App(name="token", help="Tokens for the API: add, list, revoke.")

_A_YEAR: Final = 365
_SCOPES: Final = ", ".join(Scope)


@app.command
async def add(
    name: Annotated[str, Parameter(help="What the token is for, such as 'Billing system'.")],
    /,
    *,
    tenant: Annotated[
        str | None,
        Parameter(help="The short name of the tenant it speaks for; without it, it speaks for all."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        Parameter(
            negative=(),
            help=f"What it may be used for: {_SCOPES}; repeatable, {Scope.INVOICE_LINE} by default.",
        ),
    ] = None,
    expires: Annotated[int, Parameter(help="Days until it expires, 1 to 3650.")] = _A_YEAR,
    as_json: AsJson = False,
) -> None:
    """Make a token with which a billing system may call the API. It is shown this once.

    For example:
        tenant-router token add 'Billing system' --tenant acme --scope invoice-line
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - --help does without the database
    from router.console.tokens import Tokens  # noqa: PLC0415 - the same

    async with opened() as stores:
        owner = await stores.owner(tenant)
        secret, token = await Tokens(stores.database, stores.bell).add(
            name, scope or [Scope.INVOICE_LINE], days=expires, tenant_id=owner, actor=actor()
        )
    whose = f"tenant {token.slug}" if token.slug else "all tenants"
    said = f"For {whose}, until {_moment(token.expires_at)}. Keep it safe: it is shown this once."
    answer({"token": secret, **described(token, time.time())}, secret, said, as_json=as_json)


@app.command(name="list")
async def list_(
    *,
    tenant: Annotated[str | None, Parameter(help="Only those of one tenant.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the tokens, expired and revoked ones too; never the secrets themselves.

    For example:
        tenant-router token list --tenant acme
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see add
    from router.console.tokens import Tokens  # noqa: PLC0415 - see add

    async with opened() as stores:
        owner = await stores.owner(tenant)
        found = await Tokens(stores.database, stores.bell).list(owner)
    now = time.time()
    columns = ("id", "name", "tenant", "scopes", "state", "expires_at", "last_used_at")
    rows = [described(token, now) for token in found]
    show_list(rows, columns, as_json=as_json, none="There are none yet: tenant-router token add --help")


@app.command
async def revoke(
    token_id: Annotated[str, Parameter(name="ID", help="The token's id, from `token list`.")],
    /,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a token worthless, within a second. Saying it twice is no fault.

    For example:
        tenant-router token revoke tok_5f0c4e2b9a7d4c1e8b3a6f90
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add
    from router.console.tokens import Tokens  # noqa: PLC0415 - see add

    async with opened() as stores:
        token = await Tokens(stores.database, stores.bell).revoke(token_id, actor=actor())
    said = f"{token.name} ({token.id}) opens nothing any more."
    answer(described(token, time.time()), said, as_json=as_json)


def described(token: Token, now: float) -> Record:
    """Describe a token; the secret is in no description."""
    return {
        "id": token.id,
        "name": token.name,
        "tenant": token.slug or "(all)",
        "scopes": list(token.scopes),
        "state": token.state(now),
        "created_by": token.created_by,
        "created_at": _moment(token.created_at),
        "expires_at": _moment(token.expires_at),
        "last_used_at": _moment(token.last_used_at),
        "revoked_at": _moment(token.revoked_at),
    }


def _moment(at: int | None) -> str | None:
    return when(at) if at is not None else None
