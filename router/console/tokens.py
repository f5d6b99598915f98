"""API tokens: how a billing system says who it is.

A token is ``trt_`` and 256 random bits. It is told once, when it is made; only its SHA-256 is stored, and it
is found by that, so that nothing about the time it takes depends on how much of a token was guessed.

An operator answers for the tokens that they make, and for those that are made with these: such a token does
no more than its operator may do today. It is stopped while they are disabled, and revoked when they are
removed. One that was made at the command line is nobody's, and goes on.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, insert, select, update

from router.console.scopes import SCOPES_OF, Role, Scope, parse_scopes, role_of
from router.errors import BadInput, NotFound
from router.storage.auditing import note
from router.storage.changes import record, record_each
from router.storage.latest import latest_first
from router.storage.schema import new_id, operators, tenants, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Row, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.changes import Bell
    from router.storage.database import Database

PREFIX: Final = "trt_"
"""What every token begins with, so that scanners of repositories know one when they see it."""

MAX_DAYS: Final = 3650

_DAY: Final = 86_400
_MAX_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; the token itself is known to nobody here.

    ``tenant_id`` and ``slug`` are none for one of the platform's, which speaks for all tenants.
    ``operator_id`` is who answers for it, if anybody, and ``role`` what they are now: none while they are
    disabled, or gone. Times are in unix seconds.
    """

    id: str
    tenant_id: str | None
    slug: str | None
    name: str
    scopes: tuple[Scope, ...]
    created_by: str
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None
    operator_id: str | None = None
    role: Role | None = None

    @property
    def opens(self) -> frozenset[Scope]:
        """What it may be used for now: nothing that who answers for it may not do themselves."""
        if self.operator_id is None:
            return frozenset(self.scopes)
        return SCOPES_OF[self.role].intersection(self.scopes) if self.role is not None else frozenset()

    def state(self, now: float) -> str:
        """``valid``, ``expired``, ``revoked``, or ``stopped`` while who answers for it is disabled."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "stopped" if self.operator_id is not None and self.role is None else "valid"


class Tokens:
    """The tokens as operators make and revoke them. ``actor`` is who to name in the audit."""

    def __init__(self, database: Database, bell: Bell, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._bell = bell
        self._clock = clock

    async def add(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        days: int,
        tenant_id: str | None,
        actor: str,
        operator_id: str | None = None,
    ) -> tuple[str, Token]:
        """Make a token that lives for ``days``; answer it, this once, and what is kept of it.

        ``operator_id`` is who answers for it; none, whoever has the machine. Raises ``BadInput`` with
        ``bad_name``, ``bad_scope`` or ``bad_expiry``.
        """
        if not 1 <= days <= MAX_DAYS:
            raise BadInput("bad_expiry", f"A token lives for 1 to {MAX_DAYS} days.")
        secret, now = PREFIX + secrets.token_urlsafe(32), int(self._clock())
        row = {
            "id": new_id("tok"),
            "tenant_id": tenant_id,
            "name": _parse_name(name),
            "key": key_of(secret),
            "scopes": [scope.value for scope in parse_scopes(scopes)],
            "created_by": actor[:120],
            "created_at": now,
            "expires_at": now + days * _DAY,
            "operator_id": operator_id,
        }
        async with self._database.write() as connection:
            await connection.execute(insert(tokens).values(row))
            made = await _one(connection, tokens.c.id == row["id"])
            await _note(connection, made, actor, "token.add", now)
        return secret, made

    async def list(self, tenant_id: str | None = None) -> list[Token]:
        """All tokens, or those of one tenant, the newest first; revoked and expired ones too."""
        found = selected_tokens().order_by(tokens.c.created_at.desc(), tokens.c.id)
        if tenant_id is not None:
            found = found.where(tokens.c.tenant_id == tenant_id)
        async with self._database.read() as connection:
            return [read_token(row) for row in await connection.execute(found)]

    def state(self, token: Token) -> str:
        """What a token is now: ``valid``, ``expired``, ``revoked`` or ``stopped``."""
        return token.state(self._clock())

    async def page(
        self, tenant_id: str | None, *, most: int, after: tuple[int, str] | None = None
    ) -> Sequence[Token]:
        """At most ``most`` tokens, of all or of one tenant, the newest first.

        ``after`` is the time and the id of the one that the piece before ended with.
        """
        found = latest_first(selected_tokens(), tokens.c.created_at, tokens.c.id, after=after, most=most)
        if tenant_id is not None:
            found = found.where(tokens.c.tenant_id == tenant_id)
        async with self._database.read() as connection:
            return [read_token(row) for row in await connection.execute(found)]

    async def revoke(self, token_id: str, *, actor: str, tenant_id: str | None = None) -> Token:
        """Make a token worthless, on every worker within a second; again is no change.

        With ``tenant_id``, only one of that tenant's. Raises ``NotFound("token_not_found")``.
        """
        now, this = int(self._clock()), tokens.c.id == token_id
        if tenant_id is not None:
            this &= tokens.c.tenant_id == tenant_id
        async with self._database.write() as connection:
            ended = update(tokens).where(this, tokens.c.revoked_at.is_(None)).values(revoked_at=now)
            changed = (await connection.execute(ended)).rowcount
            revoked = await _one(connection, this)
            if changed:
                await _note(connection, revoked, actor, "token.revoke", now)
                key = await connection.scalar(select(tokens.c.key).where(this))
                await record(connection, "token", str(key))
        await self._bell.ring()
        return revoked


def _parse_name(raw: str) -> str:
    name = " ".join(raw.split())
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise BadInput("bad_name", f"A token's name has 1 to {_MAX_NAME} printable characters.")
    return name


def key_of(secret: str) -> str:
    """Digest a token into the key under which it is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def _one(connection: AsyncConnection, which: ColumnElement[bool]) -> Token:
    row = (await connection.execute(selected_tokens().where(which))).one_or_none()
    if row is None:
        raise NotFound("token_not_found", "There is no such token. See: tenant-router token list")
    return read_token(row)


async def _note(connection: AsyncConnection, token: Token, actor: str, action: str, now: int) -> None:
    detail = {"name": token.name, "scopes": list(token.scopes), "expires_at": token.expires_at}
    await note(connection, actor, action, token.id, detail, now, tenant_id=token.tenant_id)


def selected_tokens() -> Select[tuple[object, ...]]:
    """Ask for tokens, with the short names of their tenants, and with what who answers for them is."""
    columns = [column for column in tokens.c if column.name != "key"]
    theirs = (operators.c.tenant_id.label("of"), operators.c.read_only, operators.c.disabled)
    return (
        select(*columns, tenants.c.slug, *theirs)
        .outerjoin(tenants, tenants.c.id == tokens.c.tenant_id)
        .outerjoin(operators, operators.c.id == tokens.c.operator_id)
    )


def read_token(row: Row[tuple[object, ...]]) -> Token:
    """Make the value of what :func:`selected_tokens` found."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name for it
    of, read_only, disabled = (values.pop(name) for name in ("of", "read_only", "disabled"))
    role = role_of(of, read_only=read_only) if disabled is False else None  # None: there is no such operator
    # A scope that this version does not know opens nothing here.
    scopes = tuple(Scope(scope) for scope in values.pop("scopes") if scope in set(Scope))
    return Token(**values, scopes=scopes, role=role)


async def count_made_by(
    connection: AsyncConnection, operator_ids: Sequence[str], now: float
) -> Mapping[str, int]:
    """Count the tokens that operators answer for, but for those that are expired or revoked."""
    alive = tokens.c.revoked_at.is_(None) & (tokens.c.expires_at.is_(None) | (tokens.c.expires_at > now))
    found = select(tokens.c.operator_id, func.count()).where(tokens.c.operator_id.in_(operator_ids), alive)
    rows = await connection.execute(found.group_by(tokens.c.operator_id))
    return {str(operator_id): many for operator_id, many in rows}


async def revoke_made_by(connection: AsyncConnection, operator_id: str, now: int) -> None:
    """Make the tokens worthless for good that an operator answers for."""
    theirs = (tokens.c.operator_id == operator_id) & tokens.c.revoked_at.is_(None)
    # In the order in which others write them, too (token_finder.py), so that nobody waits for each other.
    await connection.execute(select(tokens.c.id).where(theirs).order_by(tokens.c.id).with_for_update())
    await connection.execute(update(tokens).where(theirs).values(revoked_at=now))


async def tell_made_by(connection: AsyncConnection, operator_id: str) -> None:
    """Have every worker read the tokens anew that an operator answers for; after all other writes."""
    await record_each(connection, "token", select(tokens.c.key).where(tokens.c.operator_id == operator_id))
