"""API tokens: how a billing system says who it is.

A token is ``trt_`` and 256 random bits. It is told once, when it is made; only its SHA-256 is stored, and it
is found by that, so that nothing about the time it takes depends on how much of a token was guessed.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, select, update

from router.console.scopes import Scope, parse_scopes
from router.errors import BadInput, NotFound
from router.storage.auditing import note
from router.storage.changes import record
from router.storage.latest import latest_first
from router.storage.schema import new_id, tenants, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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

    ``tenant_id`` and ``slug`` are none for one of the platform's, which speaks for all tenants. Times are in
    unix seconds.
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

    def state(self, now: float) -> str:
        """``valid``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


class Tokens:
    """The tokens as operators make and revoke them. ``actor`` is who to name in the audit."""

    def __init__(self, database: Database, bell: Bell, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._bell = bell
        self._clock = clock

    async def add(
        self, name: str, scopes: Sequence[str], *, days: int, tenant_id: str | None, actor: str
    ) -> tuple[str, Token]:
        """Make a token that lives for ``days``; answer it, this once, and what is kept of it.

        Raises ``BadInput`` with ``bad_name``, ``bad_scope`` or ``bad_expiry``.
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
        """What a token is now: ``valid``, ``expired`` or ``revoked``."""
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
    """Ask for tokens, with the short names of their tenants."""
    columns = [column for column in tokens.c if column.name != "key"]
    return select(*columns, tenants.c.slug).outerjoin(tenants, tenants.c.id == tokens.c.tenant_id)


def read_token(row: Row[tuple[object, ...]]) -> Token:
    """Make the value of what :func:`selected_tokens` found."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name for it
    # A scope that this version does not know opens nothing here.
    scopes = tuple(Scope(scope) for scope in values.pop("scopes") if scope in set(Scope))
    return Token(**values, scopes=scopes)
