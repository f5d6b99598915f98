"""The outbox: mails are queued in the transaction of what they are about, and sent after it.

So no mail is sent for what was rolled back, and none is lost for what was committed. What a mail says (its
facts) holds one-time links, so it is sealed, and it is gone once the mail has been sent. router/mail sends.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import case, delete, func, insert, select

from router.storage.changes import record
from router.storage.schema import new_id, outbox
from router.storage.sealed import MAILS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.sealing import Sealer

HOURLY: Final = 5
DAILY: Final = 20
"""Mails that one recipient gets from one tenant at most: nobody's forms are to flood somebody's mailbox."""

NOTICES: Final = frozenset({"password-changed", "email-change-asked", "email-changed"})
"""Kinds of mails that tell users what was done to their account. They are counted apart, to the same bounds:
who means to do something first and fills the mailbox for that is told of all the same (ASVS 5.0, 6.3.7)."""

ONCE: Final = frozenset({"certificate-expiring", "certificate-expired", "certificates-ending"})
"""Kinds of mails that are told once each, collected where there are several, and that nobody's form causes:
they have no bound and count towards none, because what was not queued would never be told."""

_HOUR: Final = 3600
_DAY: Final = 86_400
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to be sent: which of the theme's mails (``kind``), to whom, and what it tells.

    ``recipient`` is a normalised e-mail address, ``language`` one of the portal's. ``facts`` are what the
    theme's template fills in; they may hold links that open an account, so they are in no repr.
    """

    tenant_id: str | None
    kind: str
    recipient: str
    language: str
    facts: Mapping[str, str | int] = field(repr=False)


class Outbox:
    """Where mails wait until they are sent."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def post(self, connection: AsyncConnection, mail: Mail, now: float) -> bool:
        """Queue a mail in the transaction of what it is about; ring the bell after the commit.

        False, and nothing queued, when the recipient has had as many of this tenant's mails as anyone gets
        (``HOURLY``, ``DAILY``; notices apart, ``ONCE`` without bound). Call it after the transaction's other
        writes, as ``changes.record``, which it calls itself; a former mail or record of the same transaction
        does no harm. ``now`` in unix seconds.
        """
        mail_id = new_id("mail")
        await connection.execute(insert(outbox).values(self._row(mail_id, mail, int(now))))
        # On PostgreSQL whoever records stands in line until the commit: only then is the count exact.
        await record(connection, "mail", mail_id)
        if await _within_bounds(connection, mail, int(now)):
            return True
        await connection.execute(delete(outbox).where(outbox.c.id == mail_id))
        _log.warning("mail not queued: its recipient has had enough", tenant=mail.tenant_id, kind=mail.kind)
        return False

    def _row(self, mail_id: str, mail: Mail, now: int) -> dict[str, object]:
        facts = json.dumps(dict(mail.facts), ensure_ascii=False).encode()
        return {
            "id": mail_id,
            "tenant_id": mail.tenant_id,
            "kind": mail.kind,
            "recipient": mail.recipient,
            "language": mail.language,
            "sealed_facts": self._sealer.seal(facts, identity=identity_of(mail_id)),
            "state": "waiting",
            "attempts": 0,
            "due_at": now,
            "created_at": now,
        }


def identity_of(mail_id: str) -> str:
    """Name the record that a mail's facts are sealed for."""
    return MAILS.identity(mail_id)


async def _within_bounds(connection: AsyncConnection, mail: Mail, now: int) -> bool:
    if mail.kind in ONCE:
        return True
    recent = func.count(case((outbox.c.created_at > now - _HOUR, 1)))
    theirs = (outbox.c.tenant_id == mail.tenant_id) & (outbox.c.recipient == mail.recipient)
    alike = outbox.c.kind.in_(NOTICES) if mail.kind in NOTICES else outbox.c.kind.not_in(NOTICES | ONCE)
    statement = select(recent, func.count()).where(theirs, alike, outbox.c.created_at > now - _DAY)
    of_hour, of_day = (await connection.execute(statement)).one()
    return bool(of_hour <= HOURLY and of_day <= DAILY)
