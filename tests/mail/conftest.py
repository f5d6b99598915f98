"""An outbox with a tenant, on both databases, and workers that deliver from it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from router.mail.delivery import Delivery
from router.mail.letters import Letters
from router.mail.message import Composed, Sender
from router.mail.queue import Queue
from router.mail.smtp import MailServer, SmtpTransport
from router.observe.tasks import Tasks
from router.storage.changes import ChangeFeed, PollBell
from router.storage.outbox import Mail, Outbox
from router.storage.schema import changes, outbox
from router.storage.sealing import Sealer
from tests.clock import Clock
from tests.storage.tenant_row import add_tenants, tenant_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from router.mail.transport import Transport
    from router.storage.database import Database

START = 1_795_300_000.0
TOKEN = "AbCdEf-the-token-of-a-link"
LINK = f"https://acme.portal.example/-/reset?t={TOKEN}"
SEALER = Sealer([bytes(range(32))])
SENDER = Sender("portal@example.com")


@dataclass
class Theme:
    """Renders mails; ``fault`` is what it raises instead."""

    fault: Exception | None = None
    asked: list[tuple[str | None, str, str]] = field(default_factory=list)

    async def compose(
        self, tenant_id: str | None, kind: str, language: str, facts: Mapping[str, str | int]
    ) -> Composed:
        """Render a mail."""
        self.asked.append((tenant_id, kind, language))
        if self.fault is not None:
            raise self.fault
        return Composed(f"A mail: {kind}", f"{facts['link']}\n", f"<a href='{facts['link']}'>x</a>\n", "Acme")


@dataclass(frozen=True, slots=True)
class Office:
    """One outbox: to post to, to look at, to deliver from."""

    database: Database
    clock: Clock
    theme: Theme
    queue: Queue

    async def post(self, recipient: str = "ada@acme.test") -> str:
        """Post a mail with a link; answer its id."""
        mail = Mail("tnt_1", "reset", recipient, "en", {"link": LINK})
        async with self.database.write() as connection:
            assert await Outbox(SEALER).post(connection, mail, self.clock())
            announced = select(changes.c.key).where(changes.c.kind == "mail")
            return str(await connection.scalar(announced.order_by(changes.c.sequence.desc()).limit(1)))

    async def row(self, mail_id: str) -> Any:  # noqa: ANN401 - a row has what columns it has
        """Read all that is stored of a mail."""
        async with self.database.read() as connection:
            return (await connection.execute(select(outbox).where(outbox.c.id == mail_id))).one()

    async def states(self) -> list[str]:
        """Name the states of all mails."""
        async with self.database.read() as connection:
            return sorted(await connection.scalars(select(outbox.c.state)))

    def delivery(self, transport: Transport, **more: Any) -> Delivery:  # noqa: ANN401 - the options of Delivery
        """Make one worker's delivery, with a feed of its own that nobody runs."""
        letters = Letters(SEALER, self.theme.compose, SENDER)
        feed = more.pop("feed", None) or ChangeFeed(self.database, PollBell())
        return Delivery(Queue(self.database), letters, transport, feed, clock=self.clock, **more)

    @asynccontextmanager
    async def delivering(self, transport: Transport, **more: Any) -> AsyncIterator[Delivery]:  # noqa: ANN401 - the same
        """Run one worker's delivery, which looks often."""
        delivery = self.delivery(transport, **{"period": 0.02} | more)
        async with Tasks() as tasks:
            tasks.start(delivery.run(), name="delivery")
            yield delivery


def by_smtp(port: int, *, whole: float = 10) -> SmtpTransport:
    """Make the way to a server on this machine."""
    return SmtpTransport(MailServer("127.0.0.1", port, "none"), SENDER.domain, whole=whole)


@pytest.fixture
async def office(database: Database) -> Office:
    """An outbox of one tenant."""
    await add_tenants(database, tenant_row("tnt_1", "acme", "Acme", at=START))
    return Office(database, Clock(START), Theme(), Queue(database))
