"""The audit as it is read: filtered, in pieces or as a stream; and the end of lines that are old.

Lines are written by auditing.py. Nothing alters one: the database itself refuses to (storage/schema.py), and
to delete one that is younger than ``YOUNGEST_PRUNED``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, select

from router.storage.hourly import hourly
from router.storage.schema import YOUNGEST_PRUNED, audit, tenants

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Row

    from router.storage.database import Database
    from router.storage.leases import Lease

LEASE: Final = "audit-pruning"
LEASE_LIFE: Final = 7200
MIN_DAYS: Final = YOUNGEST_PRUNED // 86_400
"""Lines are kept for so many days at least, whatever the settings say."""

_DAY: Final = 86_400
_PIECE: Final = 500
_PRUNED_AT_ONCE: Final = 5000


@dataclass(frozen=True, slots=True)
class AuditLine:
    """Who did what to whom: ``at`` in unix seconds, from ``address`` (none: the router's own machine).

    ``slug`` is the short name of the tenant whose it was, as long as there is such a tenant.
    """

    sequence: int
    at: int
    actor: str
    address: str | None
    action: str
    subject: str
    tenant_id: str | None
    slug: str | None
    detail: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which lines are wanted: those that everything that is said here is true of.

    ``action`` is one (``tenant.change``) or what some begin with (``tenant``); ``since`` (inclusive) and
    ``until`` (exclusive) are in unix seconds.
    """

    tenant_id: str | None = None
    actor: str | None = None
    action: str | None = None
    since: int | None = None
    until: int | None = None


class AuditTrail:
    """Reads the audit. All methods raise ``Unavailable`` (the database)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: AuditFilter, *, most: int, before: int | None = None) -> Sequence[AuditLine]:
        """Read at most ``most`` lines, the newest first; those ``before`` the line with a sequence number."""
        where = _conditions(wanted)
        if before is not None:
            where.append(audit.c.sequence < before)
        return await self._lines(where, audit.c.sequence.desc(), most)

    async def stream(self, wanted: AuditFilter) -> AsyncIterator[AuditLine]:
        """Read all lines up to the latest one there is now, the oldest first, a few hundred at a time."""
        last = await self._last()
        after = 0
        while after < last:
            where = [*_conditions(wanted), audit.c.sequence > after, audit.c.sequence <= last]
            lines = await self._lines(where, audit.c.sequence, _PIECE)
            for line in lines:
                yield line
            if len(lines) < _PIECE:
                return
            after = lines[-1].sequence

    async def tenant_named(self, name: str) -> str:
        """Find a tenant's id by its short name; what is no name is taken for the id of a tenant that was."""
        async with self._database.read() as connection:
            found = await connection.scalar(select(tenants.c.id).where(tenants.c.slug == name))
        return str(found or name)

    async def prune(self, until: float) -> int:
        """Forget lines older than ``until`` in unix seconds, some thousand at most; answer how many."""
        old = select(audit.c.sequence).where(audit.c.at < int(until)).order_by(audit.c.sequence)
        async with self._database.write() as connection:
            which = list(await connection.scalars(old.limit(_PRUNED_AT_ONCE)))
            if not which:
                return 0
            oldest = (audit.c.sequence <= which[-1]) & (audit.c.at < int(until))
            return (await connection.execute(delete(audit).where(oldest))).rowcount

    async def _last(self) -> int:
        async with self._database.read() as connection:
            return await connection.scalar(select(func.max(audit.c.sequence))) or 0

    async def _lines(
        self, where: Sequence[ColumnElement[bool]], order: ColumnElement[Any], most: int
    ) -> Sequence[AuditLine]:
        found = select(audit, tenants.c.slug).outerjoin(tenants, tenants.c.id == audit.c.tenant_id)
        async with self._database.read() as connection:
            rows = await connection.execute(found.where(*where).order_by(order).limit(most))
            return [_line(row) for row in rows]


async def prune(
    trail: AuditTrail, lease: Lease, days: int, *, clock: Callable[[], float] = time.time
) -> None:
    """Forget lines older than ``days`` every hour, for ever; one worker of the fleet does."""

    async def forget() -> None:
        if await lease.take(clock()):
            while await trail.prune(clock() - max(days, MIN_DAYS) * _DAY) >= _PRUNED_AT_ONCE:
                pass

    await hourly(forget)


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if wanted.tenant_id is not None:
        where.append(audit.c.tenant_id == wanted.tenant_id)
    if wanted.actor is not None:
        where.append(audit.c.actor == wanted.actor)
    if wanted.action is not None:
        below = audit.c.action.startswith(wanted.action.removesuffix(".") + ".", autoescape=True)
        where.append((audit.c.action == wanted.action) | below)
    if wanted.since is not None:
        where.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        where.append(audit.c.at < wanted.until)
    return where


def _line(row: Row[Any]) -> AuditLine:
    return AuditLine(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name for it
