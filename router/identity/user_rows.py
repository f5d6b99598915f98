"""Users and the customers they act for, in their tables; inside whatever transaction has the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, func, insert, or_, select, update

from router.identity.revoke import touched_sessions
from router.identity.user import User
from router.storage.schema import memberships, sessions, users

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, RowMapping
    from sqlalchemy.ext.asyncio import AsyncConnection


async def find_users(connection: AsyncConnection, where: ColumnElement[bool]) -> list[User]:
    """Read the users that ``where`` picks, by e-mail address; one statement, whether there are any or not."""
    statement = (
        select(users, memberships.c.customer)
        .outerjoin(memberships, memberships.c.user_id == users.c.id)
        .where(where)
        .order_by(users.c.email, users.c.id, memberships.c.customer)
    )
    found: dict[str, tuple[RowMapping, list[str]]] = {}
    for row in (await connection.execute(statement)).mappings():
        _, customers = found.setdefault(row["id"], (row, []))
        if row["customer"] is not None:
            customers.append(row["customer"])
    return [_user(row, customers) for row, customers in found.values()]


async def find_user(connection: AsyncConnection, where: ColumnElement[bool]) -> User | None:
    """Read the one user that ``where`` picks."""
    return next(iter(await find_users(connection, where)), None)


async def search_users(
    connection: AsyncConnection, tenant_id: str, text: str, after: str, most: int, *, disabled: bool | None
) -> Sequence[User]:
    """Read a tenant's users behind an address, in the order of the index over tenant and address.

    ``text``, in lower case, is part of an address or of a customer's reference; of an empty one all are.
    """
    where = [users.c.tenant_id == tenant_id, users.c.email > after]
    if disabled is not None:
        where.append(users.c.disabled.is_(disabled))
    if text:
        reference = func.lower(memberships.c.customer).contains(text, autoescape=True)
        member = exists().where(memberships.c.user_id == users.c.id, reference)
        where.append(or_(users.c.email.contains(text, autoescape=True), member))
    page = select(users.c.id).where(*where).order_by(users.c.email).limit(most)
    return await find_users(connection, users.c.id.in_(page))


async def lock_account(connection: AsyncConnection, tenant_id: str, email: str) -> User | None:
    """Read the user of an address, and let nobody change them before this transaction ends."""
    account = (users.c.tenant_id == tenant_id) & (users.c.email == email)
    await connection.execute(select(users.c.id).where(account).with_for_update())
    return await find_user(connection, account)


async def insert_user(connection: AsyncConnection, user: User, now: int) -> None:
    """Write a new user with their customers; two at once meet at a unique index (``IntegrityError``)."""
    await connection.execute(
        insert(users).values(
            id=user.id,
            tenant_id=user.tenant_id,
            email=user.email,
            language=user.language,
            password_hash=user.password_hash,
            disabled=user.disabled,
            created_at=now,
            updated_at=now,
        )
    )
    for customer in user.customers:
        await _insert_membership(connection, user.id, customer, now)


async def join_customer(connection: AsyncConnection, user: User, customer: str, now: int) -> bool:
    """Let a user act for a customer; False when they do already. Have the user's row locked before."""
    if customer in user.customers:
        return False
    await _insert_membership(connection, user.id, customer, now)
    return True


async def leave_customer(connection: AsyncConnection, user_id: str, customer: str) -> bool:
    """Let a user act for a customer no longer; the sessions that had chosen it have chosen none.

    Records the changes of those sessions: call it after the transaction's other writes.
    """
    this = (memberships.c.user_id == user_id) & (memberships.c.customer == customer)
    if not (await connection.execute(delete(memberships).where(this))).rowcount:
        return False
    chosen = (sessions.c.user_id == user_id) & (sessions.c.customer == customer)
    await touched_sessions(connection, chosen, update(sessions).values(customer=None))
    return True


async def _insert_membership(connection: AsyncConnection, user_id: str, customer: str, now: int) -> None:
    row = {"user_id": user_id, "customer": customer, "created_at": now}
    await connection.execute(insert(memberships).values(row))


def _user(row: RowMapping, customers: Iterable[str]) -> User:
    return User(
        id=row["id"],
        tenant_id=row["tenant_id"],
        email=row["email"],
        customers=tuple(customers),
        language=row["language"],
        disabled=row["disabled"],
        password_hash=row["password_hash"],
    )
