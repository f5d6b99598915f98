"""``tenant-router user``: add."""

from __future__ import annotations

import getpass
import sys
from contextlib import closing
from typing import Annotated, Final

from cyclopts import App, Parameter

from router.cli.output import AsJson, Usage, answer
from router.errors import BadInput

app = App(name="user", help="Users of tenants: add.")

_MOST: Final = 4096
"""Octets of standard input read for a password: more is not one."""


@app.command
async def add(
    slug: Annotated[str, Parameter(help="The tenant's short name.")],
    email: Annotated[str, Parameter(help="The e-mail address to sign in with.")],
    /,
    *,
    customer: Annotated[
        str, Parameter(help="The reference of the customer the user acts for, such as C-1001.")
    ],
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
    from router.cli.stores import opened  # noqa: PLC0415 - --help does without the database
    from router.identity.passwords import Passwords  # noqa: PLC0415 - the same
    from router.identity.users import Users  # noqa: PLC0415 - the same

    password = _from_stdin() if password_stdin else _from_terminal()
    async with opened() as stores:
        record = await stores.registry.get(slug)
        with closing(Passwords()) as passwords:
            users = Users(stores.database, stores.bell, passwords)
            user = await users.add(record.tenant.id, email, customer, password)
    data = {"id": user.id, "tenant": slug, "email": user.email, "customers": list(user.customers)}
    answer(data, f"{user.email} can sign in to {slug} for customer {customer}.", as_json=as_json)


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
