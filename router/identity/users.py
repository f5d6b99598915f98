"""Users: the people who sign in for the customers of a tenant."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from router.errors import BadInput, Conflict, NotFound
from router.hostname import Hostname
from router.identity.passwords import check_new_password
from router.identity.revoke import revoke_sessions
from router.identity.tenant_facts import tenant_facts
from router.identity.user import User
from router.identity.user_rows import (
    find_user,
    find_users,
    insert_user,
    join_customer,
    leave_customer,
    search_users,
)
from router.storage.auditing import note
from router.storage.changes import record
from router.storage.schema import new_id, sessions, users

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.identity.passwords import Passwords
    from router.storage.changes import Bell
    from router.storage.database import Database

MAX_EMAIL: Final = 254
"""Octets of a whole e-mail address (RFC 5321 section 4.5.3.1.3, without the angle brackets)."""

_MAX_LOCAL = 64  # RFC 5321 section 4.5.3.1.1
_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")  # RFC 5322 dot-atom
_CUSTOMER = re.compile(r"[!-~](?:[ -~]{0,78}[!-~])?")


def normalise_email(raw: str) -> str:
    """Bring an e-mail address into the one spelling we compare by: lower case, the domain in A-labels.

    The local part is ASCII only, so that no letter can pass for another; it is compared without regard to
    case, because people type it so, although RFC 5321 section 2.4 would let a server tell them apart.
    Raises ``BadInput("bad_email")`` for everything that is not one plain address.
    """
    local, at, domain = raw.strip(" ").partition("@")
    if len(raw) > 2 * MAX_EMAIL or not at or not local.isascii() or not _LOCAL.fullmatch(local.lower()):
        raise _bad_email(raw)
    try:
        email = f"{local.lower()}@{Hostname.parse(domain)}"
    except BadInput as fault:
        raise _bad_email(raw) from fault
    if len(local) > _MAX_LOCAL or len(email) > MAX_EMAIL or domain.endswith("."):
        raise _bad_email(raw)
    return email


def _bad_email(raw: str) -> BadInput:
    return BadInput("bad_email", f"“{raw[:80]!s}” is not an e-mail address.")


def parse_customer(raw: str) -> str:
    """Read a customer's reference (``C-1001``): 1 to 80 printable ASCII characters, since headers carry it.

    Raises ``BadInput("bad_customer")``.
    """
    if _CUSTOMER.fullmatch(raw) is None:
        raise BadInput("bad_customer", "A customer reference has 1 to 80 printable ASCII characters.")
    return raw


def parse_search(raw: str) -> str:
    """Read what users are searched by: part of an address or of a customer's reference, in any case.

    Raises ``BadInput("bad_search")``.
    """
    text = raw.strip().lower()
    if len(text) > MAX_EMAIL or not text.isprintable():
        sentence = f"Search for at most {MAX_EMAIL} printable characters."
        raise BadInput("bad_search", sentence, field="search")
    return text


class Users:
    """The users of all tenants as operators change them; nothing of them is kept in memory.

    A user who is disabled, or whose password is changed, loses every session in the same transaction.
    ``actor`` is who to name in the audit. With ``tenant_id``, another tenant's user does not exist. All
    methods raise ``Unavailable`` when the database is away.
    """

    def __init__(
        self, database: Database, bell: Bell, passwords: Passwords, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._bell = bell
        self._passwords = passwords
        self._clock = clock

    async def add(
        self,
        tenant_id: str,
        email: str,
        customer: str,
        password: str,
        language: str | None = None,
        *,
        actor: str,
    ) -> User:
        """Add a user who may sign in at once, for one customer.

        Raises ``BadInput`` (e-mail address, reference or password), ``NotFound("no_such_tenant")`` and
        ``Conflict("email_taken")``.
        """
        address, reference = normalise_email(email), parse_customer(customer)
        check_new_password(password, email=address, portal=await self._names_of(tenant_id))
        hashed = await self._passwords.hash(password)
        user = User(new_id("usr"), tenant_id, address, (reference,), language, False, hashed)  # noqa: FBT003
        try:
            await self._insert(user, actor)
        except IntegrityError as fault:
            raise Conflict("email_taken", f"{address} is a user of this tenant already.") from fault
        await self._bell.ring()
        return user

    async def add_customer(
        self, user_id: str, customer: str, *, actor: str, tenant_id: str | None = None
    ) -> User:
        """Let a user act for one more customer; one they act for already is no change.

        Raises ``BadInput("bad_customer")`` and ``NotFound("no_such_user")``.
        """
        reference = parse_customer(customer)
        async with self._database.write() as connection:
            user = await _locked(connection, user_id, tenant_id)
            if not await join_customer(connection, user, reference, int(self._clock())):
                return user
            await self._note(connection, user, actor, "user.join", {"customer": reference})
            await record(connection, "user", user_id)
        await self._bell.ring()
        return replace(user, customers=tuple(sorted({*user.customers, reference})))

    async def remove_customer(
        self, user_id: str, customer: str, *, actor: str, tenant_id: str | None = None
    ) -> User:
        """Let a user act for a customer no longer; the sessions that had chosen it have chosen none.

        Raises ``NotFound`` with ``no_such_user``, or ``no_such_membership``.
        """
        async with self._database.write() as connection:
            user = await _locked(connection, user_id, tenant_id)
            if customer not in user.customers:
                raise NotFound("no_such_membership", "The user does not act for that customer.")
            await self._note(connection, user, actor, "user.leave", {"customer": customer})
            await leave_customer(connection, user_id, customer)
            await record(connection, "user", user_id)
        await self._bell.ring()
        return replace(user, customers=tuple(each for each in user.customers if each != customer))

    async def get(self, user_id: str, *, tenant_id: str) -> User:
        """Find a tenant's user by id. Raises ``NotFound("no_such_user")``."""
        if not user_id.isascii() or not user_id.isprintable():  # PostgreSQL has no text for all there is
            raise _unknown()
        user = await self._find((users.c.id == user_id) & (users.c.tenant_id == tenant_id))
        if user is None:
            raise _unknown()
        return user

    async def search(
        self, tenant_id: str, text: str = "", *, disabled: bool | None = None, after: str = "", most: int = 50
    ) -> Sequence[User]:
        """List up to ``most`` of a tenant's users by e-mail address, from behind the address ``after`` on.

        ``text`` is part of their address or of a customer's reference, in any case; ``disabled`` chooses
        those who are, or are not. Raises ``BadInput("bad_search")``.
        """
        sought = parse_search(text)
        async with self._database.read() as connection:
            return await search_users(connection, tenant_id, sought, after, most, disabled=disabled)

    async def find(self, user_id: str) -> User | None:
        """Find a user by id."""
        return await self._find(users.c.id == user_id)

    async def find_by_email(self, tenant_id: str, email: str) -> User | None:
        """Find a tenant's user by a normalised e-mail address, disabled ones too."""
        return await self._find((users.c.tenant_id == tenant_id) & (users.c.email == email))

    async def of_tenant(self, tenant_id: str) -> list[User]:
        """List a tenant's users, by e-mail address."""
        async with self._database.read() as connection:
            return await find_users(connection, users.c.tenant_id == tenant_id)

    async def set_password(self, user_id: str, password: str, *, actor: str) -> None:
        """Change a password; every session of the user ends.

        Raises ``BadInput`` for a bad password and ``NotFound("no_such_user")``.
        """
        user = await self.find(user_id)
        if user is None:
            raise _unknown()
        check_new_password(password, email=user.email, portal=await self._names_of(user.tenant_id))
        hashed = await self._passwords.hash(password)
        async with self._database.write() as connection:
            user = await _locked(connection, user_id, None)
            await self._change(connection, user, actor, "user.password", password_hash=hashed)
        await self._bell.ring()

    async def disable(self, user_id: str, *, actor: str, tenant_id: str | None = None) -> User:
        """Keep a user out; every session of theirs ends. Raises ``NotFound("no_such_user")``."""
        return await self._switch(user_id, tenant_id, actor, disabled=True)

    async def enable(self, user_id: str, *, actor: str, tenant_id: str | None = None) -> User:
        """Let a disabled user sign in again. Raises ``NotFound("no_such_user")``."""
        return await self._switch(user_id, tenant_id, actor, disabled=False)

    async def replace_hash(self, user: User, hashed: str) -> None:
        """Keep the same password under today's parameters; unless it was changed meanwhile."""
        unchanged = (users.c.id == user.id) & (users.c.password_hash == user.password_hash)
        async with self._database.write() as connection:
            await connection.execute(update(users).where(unchanged).values(password_hash=hashed))

    async def _insert(self, user: User, actor: str) -> None:
        async with self._database.write() as connection:
            await insert_user(connection, user, int(self._clock()))
            await self._note(connection, user, actor, "user.add", {"customers": list(user.customers)})
            await record(connection, "user", user.id)

    async def _switch(self, user_id: str, tenant_id: str | None, actor: str, *, disabled: bool) -> User:
        async with self._database.write() as connection:
            user = await _locked(connection, user_id, tenant_id)
            if user.disabled is disabled:
                return user
            action = "user.disable" if disabled else "user.enable"
            await self._change(connection, user, actor, action, disabled=disabled)
        await self._bell.ring()
        return replace(user, disabled=disabled)

    async def _change(
        self, connection: AsyncConnection, user: User, actor: str, action: str, **values: str | bool
    ) -> None:
        """Write to a user, and end their sessions unless they are let in again."""
        this = users.c.id == user.id
        await connection.execute(update(users).where(this).values(**values, updated_at=int(self._clock())))
        await self._note(connection, user, actor, action, {})
        if action != "user.enable":
            await revoke_sessions(connection, sessions.c.user_id == user.id)
        await record(connection, "user", user.id)

    async def _note(
        self, connection: AsyncConnection, user: User, actor: str, action: str, detail: Mapping[str, object]
    ) -> None:
        told = {"email": user.email, **detail}
        await note(connection, actor, action, user.id, told, self._clock(), tenant_id=user.tenant_id)

    async def _find(self, condition: ColumnElement[bool]) -> User | None:
        async with self._database.read() as connection:
            return await find_user(connection, condition)

    async def _names_of(self, tenant_id: str) -> tuple[str, str]:
        async with self._database.read() as connection:
            return (await tenant_facts(connection, tenant_id)).names


async def _locked(connection: AsyncConnection, user_id: str, tenant_id: str | None) -> User:
    """Read a user, and let nobody change them before this transaction ends."""
    if not user_id.isascii() or not user_id.isprintable():  # PostgreSQL has no text for all there is
        raise _unknown()
    await connection.execute(select(users.c.id).where(users.c.id == user_id).with_for_update())
    user = await find_user(connection, users.c.id == user_id)
    if user is None or tenant_id not in (None, user.tenant_id):
        raise _unknown()
    return user


def _unknown() -> NotFound:
    return NotFound("no_such_user", "There is no such user.")
