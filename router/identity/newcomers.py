"""Newcomers: what happens when somebody sets their password by the link in a mail.

The link proved the mailbox. An address that is a user already gets one more customer to act for, and keeps
its password: whatever was sent for one is not looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from router.errors import BadInput, Conflict
from router.identity.links import Link, refusal
from router.identity.passwords import check_new_password
from router.identity.tenant_facts import tenant_facts
from router.identity.user import User
from router.identity.user_rows import find_user, insert_user, join_customer, lock_account
from router.storage.changes import record
from router.storage.schema import new_id, users

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.identity.links import LinkFault, LinkKind, Links
    from router.identity.passwords import Passwords
    from router.storage.changes import Bell
    from router.storage.database import Database


@dataclass(frozen=True, slots=True)
class Offer:
    """What the link in somebody's mail offers: to sign in with ``email`` for ``customer``.

    ``needs_password`` is False where the address is a user already, who keeps their password.
    """

    email: str
    customer: str
    needs_password: bool


class Newcomers:
    """Makes users of those whom a link let in. Methods raise ``Unavailable`` when the database is away."""

    def __init__(
        self,
        database: Database,
        bell: Bell,
        links: Links,
        passwords: Passwords,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._bell = bell
        self._links = links
        self._passwords = passwords
        self._clock = clock

    async def look(self, tenant_id: str, token: str, kind: LinkKind) -> Offer | LinkFault:
        """Say what a link offers, or why it opens nothing. Changes nothing."""
        link = await self._links.look(tenant_id, token, kind)
        if not isinstance(link, Link):
            return link
        return Offer(link.email, link.customer or "", needs_password=await self._find(link) is None)

    async def admit(
        self,
        tenant_id: str,
        token: str,
        kind: LinkKind,
        password: str | None,
        language: str | None,
        *,
        also: Callable[[AsyncConnection, Link], Awaitable[None]],
    ) -> User:
        """Use a link up for its address to be a user for its customer; ``also`` is part of the transaction.

        Raises ``BadInput`` (the password; ``password_missing``), ``NotFound("link_unknown")``, ``Conflict``
        with ``link_used``, ``link_expired``, ``link_voided``, ``user_disabled`` or ``changed_meanwhile``,
        ``Unavailable("busy")``.
        """
        link = await self._links.look(tenant_id, token, kind)
        if not isinstance(link, Link):
            raise refusal(link)
        newcomer = await self._newcomer(link, password, language) if await self._find(link) is None else None
        try:
            async with self._database.write() as connection:
                user = await lock_account(connection, tenant_id, link.email)
                spent = await self._links.spend(connection, tenant_id, token, kind)
                admitted = await self._settle(connection, spent, user, newcomer)
                await also(connection, spent)
                await record(connection, "user", admitted.id)
        except IntegrityError as fault:
            raise _changed_meanwhile() from fault
        await self._bell.ring()
        return admitted

    async def _find(self, link: Link) -> User | None:
        account = (users.c.tenant_id == link.tenant_id) & (users.c.email == link.email)
        async with self._database.read() as connection:
            return await find_user(connection, account)

    async def _newcomer(self, link: Link, password: str | None, language: str | None) -> User:
        if password is None:
            raise BadInput("password_missing", "Choose a password.")
        async with self._database.read() as connection:
            tenant = await tenant_facts(connection, link.tenant_id)
        check_new_password(password, email=link.email, portal=tenant.names)
        return User(
            id=new_id("usr"),
            tenant_id=link.tenant_id,
            email=link.email,
            customers=(link.customer,) if link.customer else (),
            language=language,
            disabled=False,
            password_hash=await self._passwords.hash(password),
        )

    async def _settle(
        self, connection: AsyncConnection, link: Link, user: User | None, newcomer: User | None
    ) -> User:
        now = int(self._clock())
        if (user is None) != (newcomer is not None):  # there was a user a moment ago, or there is by now
            raise _changed_meanwhile()
        if newcomer is not None:
            await insert_user(connection, newcomer, now)
            return newcomer
        if user is None or user.disabled:
            raise Conflict("user_disabled", "This account is switched off. Ask whoever invited you.")
        if link.customer:
            await join_customer(connection, user, link.customer, now)
        return await find_user(connection, users.c.id == user.id) or user


def _changed_meanwhile() -> Conflict:
    return Conflict("changed_meanwhile", "The account was changed at the same moment: open the link again.")
