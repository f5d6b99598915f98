"""One-time links: what a mail leads to, once, within its time, at one tenant.

The token is 256 random bits and only its SHA-256 is stored. Looking changes nothing, because mail scanners
follow links; spending happens in the transaction of what the link stands for, and has one winner.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from sqlalchemy import delete, insert, select, update

from router.errors import Conflict, NotFound
from router.identity.sessions import TOKEN_LENGTH, key_of, new_token
from router.storage.hourly import hourly
from router.storage.schema import links, registration_links

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import ColumnElement, RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.database import Database

LinkKind = Literal["invitation", "registration", "reset", "email"]
LinkFault = Literal["unknown", "used", "expired", "voided"]

LIVES: Final[Mapping[LinkKind, int]] = {
    "invitation": 7 * 86_400,
    "registration": 86_400,
    "reset": 3600,
    "email": 86_400,
}
"""Seconds for which each kind of link is good."""

_KEPT: Final = 7 * 86_400  # after its end, so that a late click is told what happened
_KEPT_OF_INVOICES: Final = 365 * 86_400  # people find old invoices
_SENTENCES: Final[Mapping[LinkFault, str]] = {
    "unknown": "This link is not one of ours, or was cut short: copy it whole from the mail.",
    "used": "This link has been used already.",
    "expired": "This link has expired.",
    "voided": "This link no longer counts: there is a newer one, or it was withdrawn.",
}


@dataclass(frozen=True, slots=True)
class Link:
    """What a one-time link stands for; ``origin`` is the invitation or registration link it came from.

    ``expires_at`` is in unix seconds. ``email`` is normalised: of the kind ``email`` it is the new address.
    """

    kind: LinkKind
    tenant_id: str
    email: str
    customer: str | None
    user_id: str | None
    origin: str | None
    expires_at: int


class Links:
    """The one-time links of every tenant. ``run`` must be running for ended ones to be swept out."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def make(
        self,
        connection: AsyncConnection,
        kind: LinkKind,
        *,
        tenant_id: str,
        email: str,
        customer: str | None = None,
        user_id: str | None = None,
        origin: str | None = None,
    ) -> tuple[str, Link]:
        """Make a link and answer its token, this once; older ones for the same purpose are void.

        The same purpose is: the same invitation; the same address and customer to register; the same address
        whose password is to be set; the same user whose address is to change.
        """
        now = int(self._clock())
        link = Link(kind, tenant_id, email, customer, user_id, origin, now + LIVES[kind])
        await self.void(connection, _same_purpose(link))
        token = new_token()
        await connection.execute(
            insert(links).values(
                key=key_of(token),
                kind=kind,
                tenant_id=tenant_id,
                email=email,
                customer=customer,
                user_id=user_id,
                origin=origin,
                created_at=now,
                expires_at=link.expires_at,
            )
        )
        return token, link

    async def look(self, tenant_id: str, token: str, kind: LinkKind) -> Link | LinkFault:
        """Say what a token stands for at a tenant, or why it opens nothing. Changes nothing."""
        if len(token) != TOKEN_LENGTH:
            return "unknown"
        async with self._database.read() as connection:
            return await self._judge(connection, _this(tenant_id, token, kind))

    async def spend(self, connection: AsyncConnection, tenant_id: str, token: str, kind: LinkKind) -> Link:
        """Use a link up, in the transaction of what it stands for; of several at once, one wins.

        Raises ``NotFound("link_unknown")`` and ``Conflict`` with ``link_used``, ``link_expired`` or
        ``link_voided``.
        """
        this = _this(tenant_id, token, kind)
        spent = update(links).where(this, self._good()).values(used_at=int(self._clock()))
        row = (await connection.execute(spent.returning(links))).mappings().one_or_none()
        if row is not None:
            return _link(row)
        found = await self._judge(connection, this)
        raise refusal("unknown" if isinstance(found, Link) else found)

    async def void(self, connection: AsyncConnection, condition: ColumnElement[bool]) -> None:
        """Make the links that meet a condition, and are good yet, good no longer."""
        voided = update(links).where(condition, self._good()).values(voided_at=int(self._clock()))
        await connection.execute(voided)

    async def run(self) -> None:
        """Sweep out every hour what ended more than a week ago; for ever."""
        await hourly(self.sweep)

    async def sweep(self) -> None:
        """Remove what ended more than a week ago; of invoices' links, a year. Raises ``Unavailable``."""
        now = int(self._clock())
        of_invoices = registration_links.c.expires_at < now - _KEPT_OF_INVOICES
        async with self._database.write() as connection:
            await connection.execute(delete(links).where(links.c.expires_at < now - _KEPT))
            await connection.execute(delete(registration_links).where(of_invoices))

    def _good(self) -> ColumnElement[bool]:
        unused = links.c.used_at.is_(None) & links.c.voided_at.is_(None)
        return unused & (links.c.expires_at > int(self._clock()))

    async def _judge(self, connection: AsyncConnection, this: ColumnElement[bool]) -> Link | LinkFault:
        row = (await connection.execute(select(links).where(this))).mappings().one_or_none()
        if row is None:
            return "unknown"
        if row["used_at"] is not None:
            return "used"
        if row["voided_at"] is not None:
            return "voided"
        return "expired" if row["expires_at"] <= int(self._clock()) else _link(row)


def refusal(fault: LinkFault) -> NotFound | Conflict:
    """Make what is raised for a link that opens nothing: ``link_unknown``, ``link_used`` and so on."""
    kind = NotFound if fault == "unknown" else Conflict
    return kind(f"link_{fault}", _SENTENCES[fault])


def _this(tenant_id: str, token: str, kind: LinkKind) -> ColumnElement[bool]:
    return (links.c.key == key_of(token)) & (links.c.tenant_id == tenant_id) & (links.c.kind == kind)


def _same_purpose(link: Link) -> ColumnElement[bool]:
    same = (links.c.tenant_id == link.tenant_id) & (links.c.kind == link.kind)
    match link.kind:
        case "invitation":
            return same & (links.c.origin == link.origin)
        case "registration":
            return same & (links.c.email == link.email) & (links.c.customer == link.customer)
        case "reset":
            return same & (links.c.email == link.email)
        case "email":
            return same & (links.c.user_id == link.user_id)


def _link(row: RowMapping) -> Link:
    return Link(
        kind=row["kind"],
        tenant_id=row["tenant_id"],
        email=row["email"],
        customer=row["customer"],
        user_id=row["user_id"],
        origin=row["origin"],
        expires_at=row["expires_at"],
    )
