"""The outbox from the side of those who send: each mail belongs to one worker at a time, by a lease.

How that is done is in storage/leased_rows.py; here is what a mail tells, and what becomes of one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select, update

from router.errors import Conflict, NotFound
from router.mail.message import one_line
from router.mail.schedule import KEPT, LEASE
from router.storage.auditing import note
from router.storage.changes import record
from router.storage.leased_rows import LeasedRows
from router.storage.schema import outbox

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement

    from router.storage.database import Database

_LONGEST_ERROR: Final = 300
_COLUMNS: Final = [column for column in outbox.c if column.name != "sealed_facts"]


@dataclass(frozen=True, slots=True)
class LeasedMail:
    """A mail that is ours to send until ``due_at``; ``attempts`` counts this one."""

    id: str
    tenant_id: str | None
    kind: str
    recipient: str
    language: str
    sealed_facts: bytes = field(repr=False)
    attempts: int
    due_at: int
    created_at: int


@dataclass(frozen=True, slots=True)
class MailRecord:
    """What the outbox tells of a mail; what the mail says is not among it."""

    id: str
    tenant_id: str | None
    kind: str
    recipient: str
    language: str
    state: str
    attempts: int
    due_at: int
    error: str | None
    created_at: int
    sent_at: int | None


class Queue:
    """The mails of all tenants; times in unix seconds. All methods raise ``Unavailable`` (the database)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = LeasedRows(database, outbox, lease=LEASE)

    async def take(self, most: int, now: float) -> list[LeasedMail]:
        """Take up to ``most`` mails that are due, the longest due first, for ``LEASE`` seconds."""
        return [_leased(row) for row in await self._rows.take(most, now)]

    async def sent(self, mail: LeasedMail, now: float) -> bool:
        """Write down that a mail was sent, and forget what it said; False if it was no longer ours."""
        values = {"state": "sent", "sent_at": int(now), "sealed_facts": None, "error": None}
        return await self._settle(mail, values)

    async def put_off(self, mail: LeasedMail, until: float, error: str) -> bool:
        """Let a mail wait for its next attempt; False if it was no longer ours."""
        return await self._settle(mail, {"state": "waiting", "due_at": int(until), "error": _kept(error)})

    async def fail(self, mail: LeasedMail, error: str) -> bool:
        """Give a mail up, until somebody asks for it again; False if it was no longer ours."""
        return await self._settle(mail, {"state": "failed", "error": _kept(error)})

    async def retry(self, mail_id: str, now: float, *, actor: str) -> None:
        """Have a mail tried again at once, with all attempts before it; ring the bell afterwards.

        ``actor`` is who to name in the audit. Raises ``NotFound("no_such_mail")``, and ``Conflict`` with
        ``mail_sent`` or ``mail_being_sent``.
        """
        async with self._database.write() as connection:
            found = select(outbox).where(outbox.c.id == mail_id).with_for_update()
            was = (await connection.execute(found)).one_or_none()
            if was is None or was.state not in ("waiting", "failed"):
                raise _not_to_be_retried(mail_id, was.state if was is not None else None)
            values = {"state": "waiting", "attempts": 0, "due_at": int(now)}
            await connection.execute(update(outbox).where(outbox.c.id == mail_id).values(values))
            detail = {"kind": was.kind, "state": was.state, "attempts": was.attempts}
            await note(connection, actor, "mail.retry", mail_id, detail, now, tenant_id=was.tenant_id)
            await record(connection, "mail", mail_id)

    async def retry_failed(self, now: float, *, actor: str) -> int:
        """Have every mail that was given up tried again, as ``retry`` does; answer how many there are."""
        async with self._database.write() as connection:
            values = {"state": "waiting", "attempts": 0, "due_at": int(now)}
            again = update(outbox).where(outbox.c.state == "failed").values(values)
            whose = Counter(await connection.scalars(again.returning(outbox.c.tenant_id)))
            for tenant_id, count in whose.items():
                detail, subject = {"failed": count}, tenant_id or "platform"
                await note(connection, actor, "mail.retry", subject, detail, now, tenant_id=tenant_id)
            if whose:
                await record(connection, "mail", "")
        return whose.total()

    async def find(self, mail_id: str) -> MailRecord:
        """Tell of one mail. Raises ``NotFound("no_such_mail")``."""
        found = await self._records(outbox.c.id == mail_id, most=1)
        if not found:
            raise _unknown(mail_id)
        return found[0]

    async def list(
        self, *, tenant_id: str | None = None, state: str | None = None, most: int = 100
    ) -> Sequence[MailRecord]:
        """Tell of the latest mails, the newest first; of one tenant, or in one state."""
        where: list[ColumnElement[bool]] = []
        if tenant_id is not None:
            where.append(outbox.c.tenant_id == tenant_id)
        if state is not None:
            where.append(outbox.c.state == state)
        return await self._records(*where, most=most)

    async def prune(self, now: float) -> int:
        """Forget mails of more than ``KEPT`` seconds ago, whatever became of them; answer how many."""
        async with self._database.write() as connection:
            gone = await connection.execute(delete(outbox).where(outbox.c.created_at < int(now) - KEPT))
        return gone.rowcount

    async def _settle(self, mail: LeasedMail, values: dict[str, Any]) -> bool:
        async with self._database.write() as connection:
            return await self._rows.settle(connection, mail, values)

    async def _records(self, *where: ColumnElement[bool], most: int) -> Sequence[MailRecord]:
        latest = outbox.c.created_at.desc(), outbox.c.id
        statement = select(*_COLUMNS).where(*where).order_by(*latest).limit(most)
        async with self._database.read() as connection:
            return [MailRecord(**row) for row in (await connection.execute(statement)).mappings()]


def _leased(row: Mapping[str, Any]) -> LeasedMail:
    return LeasedMail(
        id=row["id"],
        tenant_id=row["tenant_id"],
        kind=row["kind"],
        recipient=row["recipient"],
        language=row["language"],
        sealed_facts=row["sealed_facts"],
        attempts=row["attempts"],
        due_at=row["due_at"],
        created_at=row["created_at"],
    )


def _kept(error: str) -> str:
    return one_line(error, _LONGEST_ERROR)


def _not_to_be_retried(mail_id: str, state: str | None) -> NotFound | Conflict:
    if state is None:
        return _unknown(mail_id)
    if state == "sent":
        return Conflict("mail_sent", f"{mail_id} was sent already; what it said is no longer stored.")
    return Conflict("mail_being_sent", f"{mail_id} is being sent just now: look again in a few minutes.")


def _unknown(mail_id: str) -> NotFound:
    return NotFound("no_such_mail", f"There is no mail “{mail_id[:40]}”; they are kept for 30 days.")
