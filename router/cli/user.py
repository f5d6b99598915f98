"""``tenant-router user``: add, list, show, join, leave, disable, enable, sessions, end-sessions.

Those about invitations are in invitations.py.
"""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import App, Parameter

from router.cli.invitations import invitations, invite, resend, withdraw
from router.cli.output import AsJson, Usage, answer, show_list, show_record, when
from router.errors import BadInput, NotFound

if TYPE_CHECKING:
    from router.cli.stores import Stores
    from router.identity.user import User

app = App(name="user", help="Users of tenants: invite, add, list, show, disable, and their sessions.")
app.command(invite)
app.command(invitations)
app.command(resend)
app.command(withdraw)

_MOST: Final = 4096
"""Octets of standard input read for a password: more is not one."""


Slug = Annotated[str, Parameter(help="The tenant's short name.")]
Email = Annotated[str, Parameter(help="The e-mail address to sign in with.")]
Customer = Annotated[str, Parameter(help="The reference of the customer the user acts for, such as C-1001.")]


@app.command
async def add(
    slug: Slug,
    email: Email,
    /,
    *,
    customer: Customer,
    password_stdin: Annotated[
        bool,
        Parameter(negative=(), help="Read the password from standard input; without it you are asked."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    r"""Add a user who can sign in at once.

    For example:
        printf %s "$PASSWORD" | tenant-router user add acme ada@example.com \
            --customer C-1001 --password-stdin
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - --help does without the database

    password = _from_stdin() if password_stdin else _from_terminal()
    async with opened() as stores:
        record = await stores.registry.get(slug)
        user = await stores.users.add(record.tenant.id, email, customer, password, actor=actor())
    data = {"id": user.id, "tenant": slug, "email": user.email, "customers": list(user.customers)}
    answer(data, f"{user.email} can sign in to {slug} for customer {customer}.", as_json=as_json)


@app.command(name="list")
async def list_(slug: Slug, /, *, as_json: AsJson = False) -> None:
    """List a tenant's users.

    For example:
        tenant-router user list acme --json
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        record = await stores.registry.get(slug)
        rows = [_described(user) for user in await stores.users.of_tenant(record.tenant.id)]
    columns = ("email", "customers", "disabled", "id")
    show_list(rows, columns, as_json=as_json, none="There are no users yet: tenant-router user invite --help")


@app.command
async def show(slug: Slug, email: Email, /, *, as_json: AsJson = False) -> None:
    """Show a user: their customers, and how many sessions they have.

    For example:
        tenant-router user show acme ada@example.com
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        user = await _find(stores, slug, email)
        held = await stores.sessions.of_user(user.id)
    show_record(_described(user) | {"sessions": len(held)}, as_json=as_json)


@app.command
async def join(slug: Slug, email: Email, /, *, customer: Customer, as_json: AsJson = False) -> None:
    """Let a user act for one more customer.

    For example:
        tenant-router user join acme ada@example.com --customer C-1002
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        user = await _find(stores, slug, email)
        changed = await stores.users.add_customer(user.id, customer, actor=actor())
    answer(_described(changed), f"{user.email} acts for {', '.join(changed.customers)}.", as_json=as_json)


@app.command
async def leave(slug: Slug, email: Email, /, *, customer: Customer, as_json: AsJson = False) -> None:
    """Let a user act for a customer no longer; their sessions that did have to choose another one.

    For example:
        tenant-router user leave acme ada@example.com --customer C-1002
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        user = await _find(stores, slug, email)
        changed = await stores.users.remove_customer(user.id, customer, actor=actor())
    left = ", ".join(changed.customers) or "no customer"
    answer(_described(changed), f"{user.email} acts for {left}.", as_json=as_json)


@app.command
async def disable(slug: Slug, email: Email, /, *, as_json: AsJson = False) -> None:
    """Keep a user out; every session of theirs ends within a second.

    For example:
        tenant-router user disable acme ada@example.com
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        user = await _find(stores, slug, email)
        changed = await stores.users.disable(user.id, actor=actor())
    answer(_described(changed), f"{user.email} cannot sign in to {slug} any more.", as_json=as_json)


@app.command
async def enable(slug: Slug, email: Email, /, *, as_json: AsJson = False) -> None:
    """Let a disabled user sign in again.

    For example:
        tenant-router user enable acme ada@example.com
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        user = await _find(stores, slug, email)
        changed = await stores.users.enable(user.id, actor=actor())
    answer(_described(changed), f"{user.email} can sign in to {slug} again.", as_json=as_json)


@app.command
async def sessions(slug: Slug, email: Email, /, *, as_json: AsJson = False) -> None:
    """List where a user is signed in, the latest used first.

    For example:
        tenant-router user sessions acme ada@example.com
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        user = await _find(stores, slug, email)
        held = await stores.sessions.of_user(user.id)
    rows = [
        {
            "id": record.id,
            "customer": record.customer,
            "address": record.address,
            "signed_in_at": when(record.signed_in_at),
            "seen_at": when(record.seen_at),
            "remembered": record.remembered,
            "user_agent": record.user_agent,
        }
        for record in held
    ]
    columns = ("id", "customer", "address", "signed_in_at", "seen_at", "remembered")
    show_list(rows, columns, as_json=as_json, none=f"{user.email} is signed in nowhere.")


@app.command
async def end_sessions(
    slug: Slug,
    email: Email,
    /,
    *,
    session: Annotated[
        str | None, Parameter(help="Only this one, as `user sessions` names it; without it all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign a user out everywhere, or of one session, within a second.

    For example:
        tenant-router user end-sessions acme ada@example.com
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see add

    async with opened() as stores:
        user = await _find(stores, slug, email)
        before = await stores.sessions.of_user(user.id)
        ended = [record.id for record in before if session in (None, record.id)]
        if session is None:
            await stores.sessions.revoke_user(user.id, actor=actor())
        else:
            await stores.sessions.revoke_id(user.id, session, actor=actor())
    told = "1 session" if len(ended) == 1 else f"{len(ended)} sessions"
    answer({"email": user.email, "ended": ended}, f"{told} of {user.email} ended.", as_json=as_json)


async def _find(stores: Stores, slug: str, email: str) -> User:
    from router.identity.users import normalise_email  # noqa: PLC0415 - see add

    tenant = (await stores.registry.get(slug)).tenant
    user = await stores.users.find_by_email(tenant.id, normalise_email(email))
    if user is None:
        raise NotFound("no_such_user", f"{slug} has no user {email[:254]}.")
    return user


def _described(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email,
        "customers": list(user.customers),
        "language": user.language,
        "disabled": user.disabled,
    }


def _from_stdin() -> str:
    raw = sys.stdin.buffer.read(_MOST + 1)
    try:
        password = raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise BadInput("bad_password", "The password on standard input is not UTF-8.") from fault
    # One line end is what `echo` adds; it is part of nobody's password.
    password = password.removesuffix("\n").removesuffix("\r")
    if not password or len(raw) > _MOST or "\n" in password:
        raise BadInput("bad_password", "Standard input must hold the password and nothing more.")
    return password


def _from_terminal() -> str:
    if not sys.stdin.isatty():
        raise Usage("usage", "Give the password on standard input, with --password-stdin.")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Once more: ") != password:
        raise BadInput("bad_password", "The two passwords differ: nothing was changed.")
    return password
