"""``tenant-router operator``: add, list, role, disable, enable, remove, link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from router.cli.output import AsJson, Record, answer, show_list, when
from router.errors import NotFound

if TYPE_CHECKING:
    from router.cli.stores import Stores
    from router.console.operator_rows import Operator
    from router.console.operators import Operators

app = App(
    name="operator", help="Who signs in to the console: add, list, role, disable, enable, remove, link."
)

Email = Annotated[str, Parameter(name="EMAIL", help="The operator's e-mail address.")]

COLUMNS: Final = ("email", "role", "tenant", "state", "created_at")
NONE_YET: Final = "There are none yet: tenant-router operator add --help"


@app.command
async def add(
    email: Email,
    /,
    *,
    tenant: Annotated[
        str | None,
        Parameter(help="The short name of the tenant they operate; without it, they operate the platform."),
    ] = None,
    read_only: Annotated[
        bool, Parameter(negative=(), help="They see everything and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add an operator, and show the link with which they choose a password: once, good for a day.

    For example:
        tenant-router operator add ada@example.com --tenant acme
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - --help does without the database

    async with opened() as stores:
        owner = await stores.owner(tenant)
        token, made = await _operators(stores).add(email, tenant_id=owner, read_only=read_only, actor=actor())
        _show_link(stores, token, made, 0, as_json=as_json)


@app.command(name="list")
async def list_(
    *,
    tenant: Annotated[str | None, Parameter(help="Only those of one tenant.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the operators, by e-mail address.

    For example:
        tenant-router operator list --tenant acme
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see add
    from router.console.operators import MAX_LISTED  # noqa: PLC0415 - see add

    found: list[Operator] = []
    async with opened() as stores:
        within = await stores.owner(tenant)
        operators = _operators(stores)
        while piece := await operators.list(within=within, after=found[-1].email if found else ""):
            found += piece
            if len(piece) < MAX_LISTED:
                break
        made = await operators.tokens_of([each.id for each in found])
    rows = [described(each, made.get(each.id, 0)) for each in found]
    show_list(rows, COLUMNS, as_json=as_json, none=NONE_YET)


@app.command
async def role(
    email: Email,
    /,
    *,
    read_only: Annotated[
        bool, Parameter(negative="--read-write", help="Whether they change nothing, or what is theirs.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say whether an operator only reads, or changes things too. Their sessions end.

    For example:
        tenant-router operator role ada@example.com --read-only
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        operators = _operators(stores)
        found = await _find(operators, email)
        changed = await operators.change(found.id, read_only=read_only, actor=actor())
        made = await _tokens(operators, found)
    answer(described(changed, made), f"{changed.email} is a {changed.role} now.", as_json=as_json)


@app.command
async def disable(email: Email, /, *, as_json: AsJson = False) -> None:
    """Keep an operator out; their sessions end at once, and the API tokens that they made stop.

    For example:
        tenant-router operator disable ada@example.com
    """
    await _set_disabled(email, disabled=True, said="cannot sign in any more.", as_json=as_json)


@app.command
async def enable(email: Email, /, *, as_json: AsJson = False) -> None:
    """Let a disabled operator sign in again; the API tokens that they made go on.

    For example:
        tenant-router operator enable ada@example.com
    """
    await _set_disabled(email, disabled=False, said="can sign in again.", as_json=as_json)


@app.command
async def remove(email: Email, /, *, as_json: AsJson = False) -> None:
    """Remove an operator; their sessions end at once, and the API tokens that they made are revoked.

    What they did stays in the audit.

    For example:
        tenant-router operator remove ada@example.com
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        operators = _operators(stores)
        found = await _find(operators, email)
        made = await _tokens(operators, found)
        removed = await operators.remove(found.id, actor=actor())
    said = with_tokens(f"{removed.email} is no operator any more.", made, "revoked")
    answer(described(removed, made), said, as_json=as_json)


@app.command
async def link(email: Email, /, *, as_json: AsJson = False) -> None:
    """Make another link with which an operator chooses a password; earlier ones count no longer.

    For example:
        tenant-router operator link ada@example.com
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        operators = _operators(stores)
        found = await _find(operators, email)
        token, operator = await operators.new_link(found.id, actor=actor())
        _show_link(stores, token, operator, await _tokens(operators, found), as_json=as_json)


def described(operator: Operator, tokens: int) -> Record:
    """Describe an operator, and say how many API tokens they made."""
    return {
        "id": operator.id,
        "email": operator.email,
        "role": operator.role.value,
        "tenant": operator.slug or "(all)",
        "state": operator.state,
        "tokens": tokens,
        "created_at": when(operator.created_at),
    }


def with_tokens(said: str, tokens: int, become: str) -> str:
    """Add to what was done to an operator what became of the API tokens that they made."""
    if not tokens:
        return said
    return f"{said} {'An API token' if tokens == 1 else f'{tokens} API tokens'} of theirs: {become}."


def no_such_operator() -> NotFound:
    """Say that nobody has that address, and where all are."""
    return NotFound("no_such_operator", "There is no such operator. See: tenant-router operator list")


async def _set_disabled(email: str, *, disabled: bool, said: str, as_json: bool) -> None:
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        operators = _operators(stores)
        found = await _find(operators, email)
        changed = await operators.change(found.id, disabled=disabled, actor=actor())
        made = await _tokens(operators, found)
    told = with_tokens(f"{changed.email} {said}", made, "stopped" if disabled else "going on")
    answer(described(changed, made), told, as_json=as_json)


def _operators(stores: Stores) -> Operators:
    from router.console.operators import Operators  # noqa: PLC0415 - see add

    return Operators(stores.database, stores.bell)


async def _tokens(operators: Operators, operator: Operator) -> int:
    return (await operators.tokens_of([operator.id])).get(operator.id, 0)


async def _find(operators: Operators, email: str) -> Operator:
    from router.identity.users import normalise_email  # noqa: PLC0415 - see add

    found = await operators.find_by_email(normalise_email(email))
    if found is None:
        raise no_such_operator()
    return found


def _show_link(stores: Stores, token: str, operator: Operator, tokens: int, *, as_json: bool) -> None:
    from router.console.operator_links import link_address  # noqa: PLC0415 - see add

    settings = stores.settings
    address = link_address(token, admin_hostname=settings.admin_hostname, port=settings.console_port)
    said = f"For {operator.email}, a {operator.role}: it works once, within a day. It is shown this once."
    answer({"link": address, **described(operator, tokens)}, address, said, as_json=as_json)
