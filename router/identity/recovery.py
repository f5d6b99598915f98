"""Recovery: a way back in for who forgot the password, by a one-time link to their mailbox."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import update

from router.errors import Conflict
from router.identity.letters import insist
from router.identity.links import Link, refusal
from router.identity.passwords import check_new_password
from router.identity.revoke import revoke_sessions
from router.identity.sign_in import Refused, too_many
from router.identity.tenant_facts import tenant_facts
from router.identity.throttle import Wait
from router.identity.user_rows import lock_account
from router.identity.users import normalise_email
from router.storage.auditing import note
from router.storage.changes import record
from router.storage.outbox import Mail
from router.storage.schema import links, sessions, users

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.identity.errands import Errands
    from router.identity.links import LinkFault, Links
    from router.identity.passwords import Passwords
    from router.identity.throttling import Throttle
    from router.identity.user import User
    from router.storage.changes import Bell
    from router.storage.database import Database
    from router.storage.outbox import Outbox


class Recovery:
    """Sends links to set another password, and sets it. Raises ``Unavailable`` when the database is away."""

    def __init__(
        self,
        database: Database,
        bell: Bell,
        outbox: Outbox,
        links: Links,
        passwords: Passwords,
        throttle: Throttle,
        errands: Errands,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._bell = bell
        self._outbox = outbox
        self._links = links
        self._passwords = passwords
        self._throttle = throttle
        self._errands = errands
        self._clock = clock

    async def forgot(self, tenant_id: str, email: str, language: str, address: str) -> Refused | None:
        """Have a link sent to an address, if it is a user's; None says no more than that it was asked for.

        ``language`` is what the page was shown in, ``address`` the client's. Whoever is known, the same is
        done before this answers: the attempt is counted and one question put to the database. The rest is an
        errand, in which it also shows whether strangers had too many mails sent there. Raises
        ``BadInput("bad_email")``, and ``Unavailable``, ``busy`` too.
        """
        account, now = normalise_email(email), self._clock()
        verdict = await self._throttle.ask("forgot", tenant_id, account, address, now)
        if isinstance(verdict, Wait):
            return too_many(verdict.seconds)
        async with self._database.read() as connection:  # so that an outage is not answered with a promise
            await tenant_facts(connection, tenant_id)
        self._errands.start("reset", tenant_id, lambda: self._send(tenant_id, account, language, address))
        return None

    async def look(self, tenant_id: str, token: str) -> Link | LinkFault:
        """Say whose password a link is to set, or why it opens nothing. Changes nothing."""
        return await self._links.look(tenant_id, token, "reset")

    async def reset(
        self, tenant_id: str, token: str, new_password: str, *, language: str, address: str = ""
    ) -> User:
        """Set another password by the link in a mail: every session of the user ends, and every other link.

        The network of ``address`` is a known one of the account from then on. Raises ``BadInput`` (the
        password), ``NotFound("link_unknown")``, ``Conflict`` with ``link_used``, ``link_expired``,
        ``link_voided`` or ``user_disabled``, and ``Unavailable``, ``busy`` too.
        """
        link = await self._links.look(tenant_id, token, "reset")
        if not isinstance(link, Link):
            raise refusal(link)
        async with self._database.read() as connection:
            names = (await tenant_facts(connection, tenant_id)).names
        check_new_password(new_password, email=link.email, portal=names)
        hashed, now = await self._passwords.hash(new_password), self._clock()
        async with self._database.write() as connection:
            user = await self._spend(connection, tenant_id, token, link)
            await set_password(connection, self._links, user, hashed, now)
            await note(connection, f"link:{user.email}", "user.reset", user.id, {}, now, tenant_id=tenant_id)
            await revoke_sessions(connection, sessions.c.user_id == user.id)
            await record(connection, "user", user.id)
            facts: dict[str, str | int] = {"at": int(now), "address": address}
            mail = Mail(tenant_id, "password-changed", user.email, user.language or language, facts)
            await self._outbox.post(connection, mail, now)
        await self._bell.ring()
        if address:
            await self._throttle.succeeded(tenant_id, user.email, address, now)
        return user

    async def _send(self, tenant_id: str, email: str, language: str, address: str) -> None:
        if not await self._throttle.may_mail(tenant_id, email, address, self._clock()):
            return
        async with self._database.write() as connection:
            user = await lock_account(connection, tenant_id, email)
            if user is None or user.disabled:
                return
            token, link = await self._links.make(
                connection, "reset", tenant_id=tenant_id, email=email, user_id=user.id
            )
            facts: dict[str, str | int] = {"token": token, "expires_at": link.expires_at}
            mail = Mail(tenant_id, "reset", email, user.language or language, facts)
            await insist(self._outbox, connection, mail, self._clock())
        await self._bell.ring()

    async def _spend(self, connection: AsyncConnection, tenant_id: str, token: str, link: Link) -> User:
        user = await lock_account(connection, tenant_id, link.email)
        spent = await self._links.spend(connection, tenant_id, token, "reset")
        if user is None or user.id != spent.user_id:
            raise refusal("voided")
        if user.disabled:
            raise Conflict("user_disabled", "This account is switched off.")
        return user


async def set_password(
    connection: AsyncConnection, links_: Links, user: User, hashed: str, now: float
) -> None:
    """Write another password down; links that were sent for the former one, or another address, are void.

    Have the user's row locked before; afterwards end the sessions and record the change.
    """
    values = {"password_hash": hashed, "updated_at": int(now)}
    await connection.execute(update(users).where(users.c.id == user.id).values(values))
    await links_.void(connection, links.c.user_id == user.id)
