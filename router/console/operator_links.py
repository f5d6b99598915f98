"""One-time links of operators: with each, one person chooses one password.

The token is 256 random bits and only its SHA-256 is stored. Looking changes nothing, because mail scanners
follow links; spending happens in the transaction of what the link stands for, and has one winner. A link of
nobody's makes the platform's first operator: it is good while there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, exists, insert, select, update

from router.console.operator_rows import Operator, find_operator
from router.errors import Conflict, NotFound
from router.hostname import port_suffix
from router.identity.sessions import key_of, new_token
from router.storage.schema import operator_links, operators

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.hostname import Hostname

LIFE: Final = 86_400
"""Seconds for which a link is good."""

_KEPT: Final = 7 * 86_400  # after its end, so that a late click is told what happened


@dataclass(frozen=True, slots=True)
class OperatorLink:
    """A link that is good; ``operator`` is none for the one that makes the first."""

    operator: Operator | None
    expires_at: int


def link_address(token: str, *, admin_hostname: Hostname, port: int) -> str:
    """Say where a link is opened."""
    return f"https://{admin_hostname}{port_suffix(port)}/welcome?t={token}"


async def make_link(connection: AsyncConnection, operator_id: str | None, now: int) -> str:
    """Make a link and answer its token, this once; older ones of the same operator are gone."""
    ended = operator_links.c.expires_at < now - _KEPT
    if operator_id is not None:
        ended |= operator_links.c.operator_id == operator_id
    await connection.execute(delete(operator_links).where(ended))
    token = new_token()
    row = {"key": key_of(token), "operator_id": operator_id, "created_at": now, "expires_at": now + LIFE}
    await connection.execute(insert(operator_links).values(row))
    return token


async def void_links(connection: AsyncConnection, operator_id: str) -> None:
    """Have an operator's link that was not used open nothing any more."""
    theirs = (operator_links.c.operator_id == operator_id) & operator_links.c.used_at.is_(None)
    await connection.execute(delete(operator_links).where(theirs))


async def look_at_link(connection: AsyncConnection, token: str, now: int) -> OperatorLink:
    """Say what a token stands for. Raises as :func:`spend_link` does; changes nothing."""
    statement = select(operator_links).where(operator_links.c.key == key_of(token))
    row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        raise NotFound("link_unknown", "This link is not one of ours, or was cut short: copy it whole.")
    if row["used_at"] is not None:
        raise Conflict("link_used", "This link has been used already.")
    if row["expires_at"] <= now:
        raise Conflict("link_expired", "This link has expired: have an operator make another one.")
    if row["operator_id"] is None:
        if await connection.scalar(select(exists().where(operators.c.id.is_not(None)))):
            raise Conflict("link_used", "There is a first operator already: sign in, or ask them for a link.")
        return OperatorLink(None, row["expires_at"])
    operator = await find_operator(connection, operators.c.id == row["operator_id"])
    if operator is None or operator.disabled:
        raise Conflict("link_voided", "This link no longer counts: ask an operator.")
    return OperatorLink(operator, row["expires_at"])


async def spend_link(connection: AsyncConnection, token: str, now: int) -> OperatorLink:
    """Use a link up, in the transaction of what it stands for; of several at once, one wins.

    Raises ``NotFound("link_unknown")`` and ``Conflict`` with ``link_used``, ``link_expired`` or
    ``link_voided``.
    """
    this = operator_links.c.key == key_of(token)
    whose = await connection.scalar(select(operator_links.c.operator_id).where(this))
    if whose is not None:  # locked first, as by who voids links: else the two would wait for each other
        await connection.execute(select(operators.c.id).where(operators.c.id == whose).with_for_update())
    # Whoever is second waits here and then sees a used link; or an operator, where it was to be the first.
    held = select(operator_links.c.key).where(this | operator_links.c.operator_id.is_(None))
    await connection.execute(held.order_by(operator_links.c.key).with_for_update())
    link = await look_at_link(connection, token, now)
    await connection.execute(update(operator_links).where(this).values(used_at=now))
    return link
