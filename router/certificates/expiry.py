"""Expiry: what runs out when, and who was told.

Every worker looks once an hour. A notice is a row in the database before it is a mail, so whoever writes it
first sends the mail, and nobody a second time, however many workers look. Told is only of what matters:
hostnames that answer, and for which no other certificate goes on. Files in certs/ are told of too.
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

    from router.certificates.folder import CertificateFolder
    from router.certificates.record import CertificateRecord
    from router.storage.changes import Bell
    from router.storage.database import Database
    from router.storage.notices import Notices

_log = structlog.get_logger(__name__)

_EVERY: Final = 3600.0
_KEPT: Final = 1000 * DAY
_SHOWN: Final = 5


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
        for each in endings([*uploads, *self._folder.list()], held, now):
            if each.days == 0:
                _log.error("certificate has expired", **_facts(each))
            if (each.subject, each.days) not in told:
                await self._tell(each, now)

    async def _tell(self, ending: Ending, now: float) -> None:
        record = ending.record
        kind = "certificate-expiring" if ending.days else "certificate-expired"
        facts: dict[str, str | int] = {"names": _some(ending.names), "days": ending.days}
        facts["expires_at"] = record.not_after
        told = {"names": list(ending.names), "days": ending.days}
        try:
            async with self._database.write() as connection:
                row = {"subject": ending.subject, "days": ending.days, "at": int(now)}
                await connection.execute(insert(certificate_notices).values(row))
                old = certificate_notices.c.at < int(now) - _KEPT
                await connection.execute(delete(certificate_notices).where(old))
                await note(
                    connection,
                    "router",
                    f"certificate.{kind[12:]}",
                    ending.subject,
                    told,
                    now,
                    tenant_id=record.tenant_id,
                )
                happened = EventKind.CERTIFICATE_EXPIRING if ending.days else EventKind.CERTIFICATE_EXPIRED
                event = certificate_event(happened, record, hostnames=list(ending.names), days=ending.days)
                await emit(connection, [event], now)
                whom = await self._notices.tell(connection, record.tenant_id, kind, facts, now)
        except IntegrityError:  # another worker was quicker
            return
        await self._bell.ring()
        _log.warning("certificate ends soon", told=len(whom), **_facts(ending))


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
