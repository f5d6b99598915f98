"""The database goes away in the middle, and comes back: nothing is told twice, nothing is forgotten."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from router.certificates.deployment import Deployment
from router.certificates.expiry import Expiry
from router.certificates.folder import CertificateFolder
from router.certificates.keyring import Keyring
from router.certificates.life import DAY
from router.certificates.standings import Standings
from router.certificates.vault import Vault
from router.observe.tasks import Tasks
from router.storage.changes import ChangeFeed, PollBell
from router.storage.database import Database
from router.storage.migrate import migrate
from router.storage.notices import Notices
from router.storage.outbox import Outbox
from router.storage.schema import outbox, tenants
from router.storage.workers import Workers
from tests.certificates.conftest import SEALER
from tests.certificates.maker import INTERMEDIATE, NOW, make
from tests.certificates.rows import add_tenant, bundle_for, bundle_of
from tests.conftest import empty_tables
from tests.storage.wire import Wire
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from router.certificates.record import CertificateRecord
    from tests.conftest import PostgresServer

HOST = "billing.acme.test"
CONTACT, OPERATORS = "help@acme.test", "operators@platform.test"


@pytest.fixture
async def wire(postgres: PostgresServer) -> AsyncIterator[Wire]:
    """A way to PostgreSQL that can be cut and mended."""
    async with Wire(str(postgres.folder / ".s.PGSQL.5432")) as wire:
        yield wire


@pytest.fixture
async def near(postgres_url: str) -> AsyncIterator[Database]:
    """The same database as its other users see it: there all the time."""
    await migrate(postgres_url)
    await empty_tables(postgres_url)
    database = Database(postgres_url)
    yield database
    await database.close()


@pytest.fixture
async def far(wire: Wire, near: Database) -> AsyncIterator[Database]:
    """The database at the end of the wire; a worker's."""
    assert near.backend == "postgresql"
    database = Database(f"postgresql://postgres@127.0.0.1:{wire.port}/postgres")
    yield database
    await database.close()


async def sent(database: Database) -> Counter[tuple[str, str]]:
    """Kind and recipient of every mail."""
    async with database.read() as connection:
        rows = await connection.execute(select(outbox.c.kind, outbox.c.recipient))
        return Counter((kind, recipient) for kind, recipient in rows)


async def test_each_notice_is_sent_once_through_an_outage(
    near: Database, far: Database, wire: Wire, tmp_path: Path
) -> None:
    """Two workers that look all the time, cut off before each notice is due: two mails each, all five."""
    acme = await add_tenant(near, "acme", HOST)
    async with near.write() as connection:
        named = update(tenants).where(tenants.c.id == acme).values(branding={"support_email": CONTACT})
        await connection.execute(named)
    made = make(HOST, issuer=INTERMEDIATE, days=(-10, 80))
    await Vault(near, PollBell(), SEALER, clock=lambda: NOW).store(bundle_of(made), acme)
    now, notices = [NOW], Notices(Outbox(SEALER), OPERATORS)
    folder = CertificateFolder(tmp_path)
    workers = [Expiry(far, PollBell(), notices, folder, period=0.02, clock=lambda: now[0]) for _ in range(2)]
    wanted: Counter[tuple[str, str]] = Counter()

    async def is_told() -> bool:
        return await sent(near) == wanted

    async with Tasks() as tasks:
        for worker in workers:
            tasks.start(worker.run(), name="certificates that end")
        for days in (50, 66, 73, 79, 80):
            await wire.cut()
            await until(lambda: not far.healthy)
            now[0] = NOW + days * DAY
            await wire.mend()
            kind = "certificate-expiring" if days < 80 else "certificate-expired"
            wanted.update({(kind, CONTACT): 1, (kind, OPERATORS): 1})
            await until(is_told, within=20)
    await workers[0].look()
    assert await sent(near) == wanted


async def test_what_was_uploaded_in_an_outage_is_deployed_after_it(
    near: Database, far: Database, wire: Wire, tmp_path: Path
) -> None:
    """A worker that is cut off is told as one that has not; once it is back it shows what came meanwhile."""
    acme, bell = await add_tenant(near, "acme", HOST), PollBell()
    vault = Vault(near, bell, SEALER, clock=lambda: NOW)
    feed = ChangeFeed(far, bell, period=0.05)
    keyring = Keyring(
        Vault(far, bell, SEALER, clock=lambda: NOW), CertificateFolder(tmp_path), feed, clock=lambda: NOW
    )
    deployment = Deployment(Workers(far), keyring, feed, period=0.05, clock=lambda: NOW)
    standings = Standings(near, clock=lambda: NOW)

    async def is_shown(record: CertificateRecord) -> bool:
        standing = (await standings.of([record]))[record.id]
        shown = getattr(keyring.peek(HOST), "certificate_id", None)
        return standing.stage == "active" and shown == record.id

    async def is_there() -> bool:
        return bool(await Workers(near).alive(NOW))

    async with Tasks() as tasks:
        tasks.start(feed.run(), name="feed")
        tasks.start(deployment.run(), name="deployment")
        await until(is_there)
        for slot in range(3):
            await wire.cut()
            await until(lambda: not far.healthy)
            record = await vault.store(bundle_for(HOST, slot=slot), acme)
            standing = (await standings.of([record]))[record.id]
            assert (standing.stage, standing.have, standing.workers) == ("deploying", 0, 1)
            with capture_logs() as lines:
                await wire.mend()
                await until(partial(is_shown, record), within=20)
            assert not [line for line in lines if line["event"] == "certificate cannot be served"]
    await keyring.close()
    assert await Workers(near).alive(NOW) == ()
