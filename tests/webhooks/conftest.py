"""Webhooks of one tenant and of the platform on both databases, a receiver on loopback, and workers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import select

from router.observe.tasks import Tasks
from router.outgoing import Outgoing
from router.storage.changes import ChangeFeed, PollBell
from router.storage.events import Event, EventKind, emit
from router.storage.schema import webhook_deliveries, webhooks
from router.storage.sealing import Sealer
from router.tenants.upstream_address import refused
from router.tenants.webhook_address import check_webhook_url
from router.webhooks.delivery import Delivery
from router.webhooks.queue import Queue
from router.webhooks.webhooks import Webhooks
from tests.clock import Clock
from tests.storage.tenant_row import add_tenants, tenant_row
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from router.storage.database import Database

START = 1_795_300_000.0
SEALER = Sealer([bytes(range(32))])


@dataclass
class Receiver:
    """Receives deliveries, and answers as a test says: a status, the last one again and again."""

    statuses: list[int] = field(default_factory=lambda: [204])
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""
    answering: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """Keep what came, and answer."""
        self.got.append(
            ({name.lower(): value for name, value in request.headers.items()}, await request.read())
        )
        if self.answering is not None:
            return await self.answering(request)
        status = self.statuses[min(len(self.got), len(self.statuses)) - 1]
        return web.Response(status=status, headers={"Location": f"{self.url}/elsewhere"})


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncIterator[Receiver]:
    """Run a receiver on loopback."""
    receiver = Receiver(list(statuses) or [204])
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.receive)
    async with TestServer(application, host="127.0.0.1") as server:
        receiver.url = f"http://127.0.0.1:{server.port}/hook"
        yield receiver


@dataclass(frozen=True, slots=True)
class Office:
    """Webhooks to set up, events to happen, deliveries to be made and looked at."""

    database: Database
    clock: Clock
    webhooks: Webhooks
    queue: Queue

    async def happen(
        self, kind: EventKind = EventKind.DOMAIN_ACTIVE, tenant_id: str | None = "tnt_1"
    ) -> None:
        """Let something happen to a tenant's domain."""
        event = Event(kind, tenant_id, {"hostname": "billing.acme.test"})
        async with self.database.write() as connection:
            await emit(connection, [event], self.clock())

    async def rows(self) -> list[Any]:
        """All deliveries, the oldest first."""
        found = select(webhook_deliveries).order_by(webhook_deliveries.c.created_at, webhook_deliveries.c.id)
        async with self.database.read() as connection:
            return list((await connection.execute(found)).all())

    async def settled(self, state: str, *, attempts: int = 1) -> Any:  # noqa: ANN401 - a row has what columns it has
        """Wait until the only delivery is in a state, after so many attempts."""

        async def there() -> bool:
            [row] = await self.rows()
            return (row.state, row.attempts) == (state, attempts)

        await until(there)
        [row] = await self.rows()
        return row

    async def failing_since(self, webhook_id: str) -> int | None:
        """Since when a webhook fails."""
        return (await self.webhooks.get(webhook_id)).failing_since

    def delivery(self, *, timeout: float = 10.0, allow_private: bool = True, **more: Any) -> Delivery:  # noqa: ANN401 - the options of Delivery
        """Make one worker's delivery, with a feed of its own that nobody runs."""
        outgoing = Outgoing(partial(refused, allow_private=allow_private), timeout=timeout)
        feed = more.pop("feed", None) or ChangeFeed(self.database, PollBell())
        sealer = more.pop("sealer", SEALER)
        options = {"period": 0.02} | more
        return Delivery(Queue(self.database), sealer, outgoing, feed, clock=self.clock, **options)

    @asynccontextmanager
    async def delivering(self, **more: Any) -> AsyncIterator[Delivery]:  # noqa: ANN401 - the same
        """Run one worker's delivery, which looks often."""
        delivery = self.delivery(**more)
        async with Tasks() as tasks:
            tasks.start(delivery.run(), name="delivery")
            yield delivery


@pytest.fixture
async def office(database: Database) -> Office:
    """Two tenants, and no webhook yet."""
    both = (tenant_row("tnt_1", "acme", at=START), tenant_row("tnt_2", "globex", at=START))
    await add_tenants(database, *both)
    clock = Clock(START)
    check_url = partial(check_webhook_url, allow_private=True)
    return Office(
        database, clock, Webhooks(database, PollBell(), SEALER, check_url, clock=clock), Queue(database)
    )


async def sealed_secret(database: Database, webhook_id: str) -> bytes:
    """What is stored of a webhook's secret."""
    async with database.read() as connection:
        found = select(webhooks.c.sealed_secret).where(webhooks.c.id == webhook_id)
        return bytes(await connection.scalar(found) or b"")


def never() -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Make an answer that does not come."""

    async def answer(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    return answer
