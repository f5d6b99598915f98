"""Expiry: what runs out when, and who was told.

Every worker looks once an hour. A notice is a row in the database before it is a mail, so whoever writes it
first sends the mail, and nobody a second time, however many workers look. Told is only of what matters:
hostnames that answer, and for which no other certificate goes on. Files in certs/ are told of too. Whoever
would get several mails at one look gets one that names them all.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from router.certificates.certificate_events import certificate_event
from router.certificates.life import DAY, due_notice, has_successor
from router.certificates.names import covers
from router.certificates.rows import find_held, find_records
from router.errors import Unavailable
from router.storage.auditing import note
from router.storage.events import EventKind, emit
from router.storage.schema import certificate_notices, certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.certificates.folder import CertificateFolder
    from router.certificates.record import CertificateRecord
    from router.storage.changes import Bell
    from router.storage.database import Database
    from router.storage.notices import Notices

_log = structlog.get_logger(__name__)

_EVERY: Final = 3600.0
_KEPT: Final = 1000 * DAY
_SHOWN: Final = 5
"""Names of one certificate that are told."""

_LISTED: Final = 200
"""Certificates that one mail names."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A certificate that ends without a successor: for these names, and the notice that is due.

    ``subject`` is what it is told of once by: a file's fingerprint, because each node has a copy of it.
    """

    record: CertificateRecord
    names: tuple[str, ...]
    days: int

    @property
    def subject(self) -> str:
        """Its id, or the fingerprint of a file's."""
        return self.record.id if self.record.source == "upload" else self.record.fingerprint


class Expiry:
    """Tells of certificates that end. ``period`` is in seconds, ``clock`` tells unix seconds."""

    def __init__(
        self,
        database: Database,
        bell: Bell,
        notices: Notices,
        folder: CertificateFolder,
        *,
        period: float = _EVERY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._bell = bell
        self._notices = notices
        self._folder = folder
        self._period = period
        self._clock = clock

    async def run(self) -> None:
        """Look for ever, outages of the database included."""
        while True:
            try:
                await self.look()
            except Unavailable:  # the database has logged it
                _log.warning("certificates that end were not looked for")
            await asyncio.sleep(self._period)

    async def look(self) -> None:
        """Look once, and tell what is due. Raises ``Unavailable`` (the database)."""
        now = self._clock()
        async with self._database.read() as connection:
            uploads = await find_records(connection, certificates.c.state == "active")
            held = await find_held(connection, None)
            rows = await connection.execute(select(certificate_notices.c.subject, certificate_notices.c.days))
            told = {(row[0], row[1]) for row in rows}
        due = []
        for each in endings([*uploads, *self._folder.list()], held, now):
            if each.days == 0:
                _log.error("certificate has expired", **_facts(each))
            if (each.subject, each.days) not in told:
                due.append(each)
        if due:
            await self._tell(due, now)

    async def _tell(self, due: Sequence[Ending], now: float) -> None:
        # In one order, so that two workers that write the same stand in line instead of in each other's way;
        # and once each, for two copies of a file have one subject.
        untold = {(each.subject, each.days): each for each in due}
        ordered = [untold[key] for key in sorted(untold)]
        try:
            async with self._database.write() as connection:
                for each in ordered:
                    await _write_down(connection, each, now)
                old = certificate_notices.c.at < int(now) - _KEPT
                await connection.execute(delete(certificate_notices).where(old))
                whom = await self._send(connection, ordered, now)
        except IntegrityError:  # another worker was quicker; what it did not tell is told at the next look
            return
        await self._bell.ring()
        for each in ordered:
            _log.warning("certificate ends soon", told=len(whom), **_facts(each))

    async def _send(self, connection: AsyncConnection, ordered: Sequence[Ending], now: float) -> list[str]:
        """Queue one mail for each contact of a tenant, and one for the platform's operators."""
        if len(ordered) == 1:
            kind, facts = _mail(ordered)
            return await self._notices.tell(connection, ordered[0].record.tenant_id, kind, facts, now)
        by_tenant: dict[str, list[Ending]] = {}
        for each in ordered:
            if each.record.tenant_id is not None:
                by_tenant.setdefault(each.record.tenant_id, []).append(each)
        kind, facts = _mail(ordered)
        whom = await self._notices.tell(connection, None, kind, facts, now)
        for tenant_id, theirs in by_tenant.items():
            kind, facts = _mail(theirs)
            whom += await self._notices.tell(connection, tenant_id, kind, facts, now, operators_too=False)
        return whom


async def _write_down(connection: AsyncConnection, ending: Ending, now: float) -> None:
    """Write that it is told now, and the audit. Raises ``IntegrityError`` when it was told before."""
    row = {"subject": ending.subject, "days": ending.days, "at": int(now)}
    await connection.execute(insert(certificate_notices).values(row))
    action = "certificate.expiring" if ending.days else "certificate.expired"
    told = {"names": list(ending.names), "days": ending.days}
    await note(connection, "router", action, ending.subject, told, now, tenant_id=ending.record.tenant_id)
    happened = EventKind.CERTIFICATE_EXPIRING if ending.days else EventKind.CERTIFICATE_EXPIRED
    event = certificate_event(happened, ending.record, hostnames=list(ending.names), days=ending.days)
    await emit(connection, [event], now)


def _mail(told: Sequence[Ending]) -> tuple[str, dict[str, str | int]]:
    """Say which mail tells of these, and what it says."""
    if len(told) > 1:
        lines = [f"{each.record.not_after} {_some(each.names)}" for each in _soonest_first(told)]
        more = max(0, len(lines) - _LISTED)
        return "certificates-ending", {
            "count": len(lines),
            "endings": "\n".join(lines[:_LISTED]),
            "more": more,
        }
    (one,) = told
    facts: dict[str, str | int] = {"names": _some(one.names), "days": one.days}
    facts["expires_at"] = one.record.not_after
    return ("certificate-expiring" if one.days else "certificate-expired"), facts


def _soonest_first(told: Sequence[Ending]) -> list[Ending]:
    return sorted(told, key=lambda each: (each.record.not_after, each.subject))


def endings(
    records: Sequence[CertificateRecord], held: Sequence[tuple[str, str]], now: float
) -> Iterator[Ending]:
    """Find the certificates that end without a successor, each with the notice that is due."""
    for record in records:
        days = due_notice(record.not_before, record.not_after, now)
        if days is None:
            continue
        own = [name for name, tenant_id in held if tenant_id == record.tenant_id]
        serves = record.names if record.tenant_id is None else [n for n in own if covers(record.names, n)]
        names = tuple(name for name in serves if not has_successor(record, records, name))
        if names:
            yield Ending(record, names, days)


def _facts(ending: Ending) -> dict[str, object]:
    record = ending.record
    return {"certificate": record.id, "names": list(ending.names), "days": ending.days}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
