"""Account: what users change of themselves, each time by the current password or a link to their mailbox."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from router.errors import BadInput, Conflict, NotFound
from router.identity.links import Link, refusal
from router.identity.passwords import check_new_password
from router.identity.recovery import set_password
from router.identity.revoke import revoke_sessions, touched_sessions
from router.identity.sessions import key_of, new_token
from router.identity.sign_in import Refused, too_many
from router.identity.tenant_facts import tenant_facts
from router.identity.throttle import Wait
from router.identity.user_rows import find_user, lock_account
from router.identity.users import normalise_email
from router.languages.choice import parse_language
from router.storage.auditing import note
from router.storage.changes import record
from router.storage.outbox import Mail
from router.storage.schema import links, sessions, users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.identity.links import LinkFault, Links
    from router.identity.passwords import Passwords
    from router.identity.session import Session
    from router.identity.throttling import Throttle
    from router.identity.user import User
    from router.storage.changes import Bell
    from router.storage.database import Database
    from router.storage.outbox import Outbox

WRONG_PASSWORD = Refused("password_wrong", "The current password is not right.")


class Account:
    """Changes that signed-in users make. Methods raise ``Unavailable`` when the database is away, or busy.

    The current password is asked for under the budgets of signing in: a stolen session guesses no better
    than a stranger. ``language`` is what the page was shown in, ``address`` the client's.
    """

    def __init__(
        self,
        database: Database,
        bell: Bell,
        outbox: Outbox,
        links: Links,
        passwords: Passwords,
        throttle: Throttle,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._bell = bell
        self._outbox = outbox
        self._links = links
        self._passwords = passwords
        self._throttle = throttle
        self._clock = clock

    async def change_password(
        self, session: Session, current: str, new: str, *, language: str, address: str
    ) -> str | Refused:
        """Change the password; the answer is a new token of this session, every other session ends.

        Raises ``BadInput`` (the new password) and ``Conflict("user_changed")`` when it was changed, or the
        session ended, at the same moment.
        """
        user = await self._verified(session, current, address)
        if isinstance(user, Refused):
            return user
        async with self._database.read() as connection:
            names = (await tenant_facts(connection, session.tenant_id)).names
        check_new_password(new, email=user.email, portal=names)
        hashed, now, token = await self._passwords.hash(new), self._clock(), new_token()
        async with self._database.write() as connection:
            await self._unchanged(connection, user)
            await set_password(connection, self._links, user, hashed, now)
            await note(
                connection, f"user:{user.email}", "user.password", user.id, {}, now, tenant_id=user.tenant_id
            )
            await _renew(connection, session, key_of(token))
            await record(connection, "user", user.id)
            facts: dict[str, str | int] = {"at": int(now), "address": address}
            await self._tell(connection, user, "password-changed", user.email, language, facts)
        await self._bell.ring()
        return token

    async def ask_email_change(
        self, session: Session, current_password: str, new_email: str, *, language: str, address: str
    ) -> Refused | None:
        """Send a link to a new address, and word of it to the present one.

        Whether the new address is another user's is told to nobody but its mailbox; nor is whether that gets
        no more mails for now (storage/outbox.py, throttle.py), which would tell as much. Raises
        ``BadInput`` with ``bad_email`` or ``email_same``, ``Conflict("user_changed")``.
        """
        wanted = normalise_email(new_email)
        if wanted == session.email:
            raise BadInput("email_same", "That is the address you sign in with now.")
        user = await self._verified(session, current_password, address)
        if isinstance(user, Refused):
            return user
        now = self._clock()
        verdict = await self._throttle.ask("email", user.tenant_id, wanted, address, now, source=user.id)
        if isinstance(verdict, Wait):
            return too_many(verdict.seconds)
        may = await self._throttle.may_mail(user.tenant_id, wanted, address, now)
        async with self._database.write() as connection:
            await self._unchanged(connection, user)
            await self._send_email_links(connection, user, wanted, language, address, may=may)
        await self._bell.ring()
        return None

    async def look_email(self, tenant_id: str, token: str) -> Link | LinkFault:
        """Say which address a link confirms, or why it opens nothing. Changes nothing."""
        return await self._links.look(tenant_id, token, "email")

    async def confirm_email(self, tenant_id: str, token: str, *, language: str) -> User:
        """Have a user sign in with the new address from now on; sessions go on.

        Links that were sent to the former address are void. Raises ``NotFound("link_unknown")``, ``Conflict``
        with ``link_used``, ``link_expired``, ``link_voided``, ``email_taken`` or ``user_disabled``.
        """
        now = self._clock()
        seen = await self._links.look(tenant_id, token, "email")
        if not isinstance(seen, Link):
            raise refusal(seen)
        try:
            async with self._database.write() as connection:
                former = await _owner(connection, seen)
                link = await self._links.spend(connection, tenant_id, token, "email")
                values = {"email": link.email, "updated_at": int(now)}
                await connection.execute(update(users).where(users.c.id == former.id).values(values))
                await self._links.void(connection, links.c.user_id == former.id)
                detail = {"from": former.email, "to": link.email}
                await note(
                    connection,
                    f"link:{link.email}",
                    "user.email",
                    former.id,
                    detail,
                    now,
                    tenant_id=tenant_id,
                )
                await touched_sessions(connection, sessions.c.user_id == former.id)
                await record(connection, "user", former.id)
                facts: dict[str, str | int] = {"new_email": link.email, "at": int(now)}
                await self._tell(connection, former, "email-changed", former.email, language, facts)
                user = await find_user(connection, users.c.id == former.id)
        except IntegrityError as fault:
            raise Conflict("email_taken", "The address belongs to another user by now.") from fault
        await self._bell.ring()
        return user or former

    async def set_language(self, user_id: str, language: str | None) -> None:
        """Remember the language a user chose; None forgets it.

        Raises ``BadInput("bad_language")`` and ``NotFound("no_such_user")``.
        """
        code = None if language is None else parse_language(language)
        values = {"language": code, "updated_at": int(self._clock())}
        async with self._database.write() as connection:
            changed = await connection.execute(update(users).where(users.c.id == user_id).values(values))
            if not changed.rowcount:
                raise NotFound("no_such_user", "There is no such user.")
            await record(connection, "user", user_id)
        await self._bell.ring()

    async def _verified(self, session: Session, current: str, address: str) -> User | Refused:
        now = self._clock()
        verdict = await self._throttle.spend(session.tenant_id, session.email, address, now)
        if isinstance(verdict, Wait):
            return too_many(verdict.seconds)
        async with self._database.read() as connection:
            user = await find_user(connection, users.c.id == session.user_id)
        stored = None if user is None or user.disabled else user.password_hash
        if not await self._passwords.verify(stored, current) or user is None:
            return WRONG_PASSWORD
        await self._throttle.succeeded(session.tenant_id, session.email, address, now)
        return user

    async def _unchanged(self, connection: AsyncConnection, user: User) -> None:
        """Lock a user, who must be as they were when their password was verified."""
        if await lock_account(connection, user.tenant_id, user.email) != user:
            raise Conflict("user_changed", "The account was changed at the same moment: please try again.")

    async def _send_email_links(
        self, connection: AsyncConnection, user: User, wanted: str, language: str, address: str, *, may: bool
    ) -> None:
        now = self._clock()
        taken = (users.c.tenant_id == user.tenant_id) & (users.c.email == wanted)
        owner = await find_user(connection, taken)
        token, link = await self._links.make(
            connection, "email", tenant_id=user.tenant_id, email=wanted, user_id=user.id
        )
        told: dict[str, str | int] = {"new_email": wanted, "at": int(now), "address": address}
        await self._tell(connection, user, "email-change-asked", user.email, language, told)
        facts: dict[str, str | int] = {"token": token, "new_email": wanted, "expires_at": link.expires_at}
        spoken = user.language or language
        mail = Mail(user.tenant_id, "confirm-email", wanted, spoken, facts)
        if owner is not None:
            facts = {"at": int(now)}
            mail = Mail(user.tenant_id, "already-registered", wanted, owner.language or spoken, facts)
        if may:
            await self._outbox.post(connection, mail, now)

    async def _tell(
        self,
        connection: AsyncConnection,
        user: User,
        kind: str,
        recipient: str,
        language: str,
        facts: Mapping[str, str | int],
    ) -> None:
        mail = Mail(user.tenant_id, kind, recipient, user.language or language, facts)
        await self._outbox.post(connection, mail, self._clock())


async def _owner(connection: AsyncConnection, link: Link) -> User:
    this = users.c.id == link.user_id
    await connection.execute(select(users.c.id).where(this).with_for_update())
    user = await find_user(connection, this)
    if user is None:
        raise refusal("voided")
    if user.disabled:
        raise Conflict("user_disabled", "This account is switched off.")
    return user


async def _renew(connection: AsyncConnection, session: Session, key: str) -> None:
    """End every session of a user, and let one of them go on under another key."""
    found = select(sessions).where(sessions.c.key == session.key)
    row = (await connection.execute(found)).mappings().one_or_none()
    revoked, _ = await revoke_sessions(connection, sessions.c.user_id == session.user_id)
    if row is None or session.key not in revoked:
        raise Conflict("user_changed", "The session has ended: please sign in again.")
    await connection.execute(insert(sessions).values(dict(row) | {"key": key}))
