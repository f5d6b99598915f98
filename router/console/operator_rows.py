"""Operators as they are in their table; inside whatever transaction has the reason."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, Row, Select, delete, select

from router.console.principal import Principal
from router.console.scopes import SCOPES_OF, Role, role_of
from router.errors import NotFound
from router.storage.schema import operator_sessions, operators, tenants

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_ID: Final = re.compile(r"opr_[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who runs the platform (``tenant_id`` and ``slug`` none), or one tenant's portal.

    ``password_hash`` is none until their first link was used. Times are in unix seconds.
    """

    id: str
    tenant_id: str | None
    slug: str | None
    email: str
    read_only: bool
    password_hash: str | None = field(repr=False)
    disabled: bool
    version: int
    created_at: int
    updated_at: int

    @property
    def role(self) -> Role:
        """What they may do, in a word."""
        return role_of(self.tenant_id, read_only=self.read_only)

    @property
    def state(self) -> str:
        """``active``, ``disabled``, or ``invited`` while the first link was not used."""
        if self.disabled:
            return "disabled"
        return "invited" if self.password_hash is None else "active"

    @property
    def actor(self) -> str:
        """Their name in the audit."""
        return f"operator:{self.email}"

    @property
    def principal(self) -> Principal:
        """Who they are at every door of the console."""
        return Principal(self.id, self.actor, self.tenant_id, self.slug, SCOPES_OF[self.role], self.id)


def selected_operators() -> Select[tuple[object, ...]]:
    """Ask for operators, with the short names of their tenants."""
    return select(operators, tenants.c.slug).outerjoin(tenants, tenants.c.id == operators.c.tenant_id)


def read_operator(row: Row[tuple[object, ...]]) -> Operator:
    """Make the value of what :func:`selected_operators` found."""
    return Operator(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name for it


async def find_operator(
    connection: AsyncConnection, where: ColumnElement[bool], *, lock: bool = False
) -> Operator | None:
    """Read the one operator that ``where`` picks; ``lock`` them for a change."""
    statement = selected_operators().where(where)
    if lock:  # PostgreSQL; a SQLite transaction is the only writer anyway
        statement = statement.with_for_update(of=operators)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else read_operator(row)


async def locked_operator(connection: AsyncConnection, operator_id: str, within: str | None) -> Operator:
    """Read an operator whom nobody else changes before this transaction ends.

    ``within`` is the tenant outside which nobody is seen, or none. Raises ``NotFound("no_such_operator")``.
    """
    return await one_operator(connection, operator_id, within, lock=True)


async def one_operator(
    connection: AsyncConnection, operator_id: str, within: str | None, *, lock: bool = False
) -> Operator:
    """Read an operator by what may be an id. ``within`` and what is raised are as above."""
    if _ID.fullmatch(operator_id) is None:  # PostgreSQL has no text for all that a path can hold
        raise no_such_operator()
    operator = await find_operator(connection, operators.c.id == operator_id, lock=lock)
    if operator is None or (within is not None and operator.tenant_id != within):
        raise no_such_operator()
    return operator


def no_such_operator() -> NotFound:
    """Make what is raised for an operator who does not exist, or is none of the asker's business."""
    return NotFound("no_such_operator", "There is no such operator.")


async def end_sessions(connection: AsyncConnection, operator_id: str, *, keep: str | None = None) -> None:
    """End the sessions of an operator, but for the one with the key ``keep``."""
    theirs = operator_sessions.c.operator_id == operator_id
    if keep is not None:
        theirs &= operator_sessions.c.key != keep
    await connection.execute(delete(operator_sessions).where(theirs))
