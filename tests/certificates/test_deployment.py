"""How workers take in certificates, and how it is told how many have."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from router.certificates.deployment import Deployment
from router.certificates.folder import CertificateFolder
from router.certificates.keyring import Keyring
from router.certificates.standings import Standings
from router.certificates.vault import Vault
from router.observe.tasks import Tasks
from router.storage.changes import ChangeFeed, PollBell
from router.storage.sealing import Sealer, key_id
from router.storage.workers import Workers
from tests.certificates.conftest import SEALER
from tests.certificates.maker import NOW
from tests.certificates.rows import add_tenant, bundle_for, move_claim
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from router.certificates.life import Standing
    from router.certificates.record import CertificateRecord
    from router.storage.database import Database

HOST = "billing.acme.test"


@dataclass(frozen=True)
class Fleet:
    """Workers over one database, made as they are asked for."""

    database: Database
    certs: Path

    @asynccontextmanager
    async def worker(self, sealer: Sealer = SEALER) -> AsyncIterator[Keyring]:
        """Run what a worker runs for its certificates, until the block ends."""
        bell = PollBell()
        feed = ChangeFeed(self.database, bell, period=0.02)
        vault = Vault(self.database, bell, sealer, clock=lambda: NOW)
        keyring = Keyring(vault, CertificateFolder(self.certs), feed, clock=lambda: NOW)
        deployment = Deployment(Workers(self.database), keyring, feed, period=0.05, clock=lambda: NOW)
        async with Tasks() as tasks:
            tasks.start(feed.run(), name="feed")
            tasks.start(deployment.run(), name="deployment")
            yield keyring
        await keyring.close()

    async def standing(self, record: CertificateRecord) -> Standing:
        """Tell where a certificate stands."""
        return (await Standings(self.database, clock=lambda: NOW).of([record]))[record.id]

    async def reaches(self, record: CertificateRecord, have: int, workers: int) -> None:
        """Wait until so many of so many workers have it."""

        async def there() -> bool:
            standing = await self.standing(record)
            return (standing.have, standing.workers) == (have, workers)

        await until(there)


@pytest.fixture
def fleet(database: Database, tmp_path: Path) -> Fleet:
    """A fleet without workers."""
    return Fleet(database, tmp_path)


async def test_a_certificate_is_active_when_every_worker_has_it(
    database: Database, vault: Vault, fleet: Fleet
) -> None:
    """None, one of one, two of two; a worker that ends in good order is not counted any more."""
    acme = await add_tenant(database, "acme", HOST)
    record = await vault.store(bundle_for(HOST), acme)
    assert (await fleet.standing(record)).stage == "deploying"
    async with fleet.worker():
        await fleet.reaches(record, 1, 1)
        async with fleet.worker():
            await fleet.reaches(record, 2, 2)
            standing = await fleet.standing(record)
            assert (standing.stage, standing.hostnames) == ("active", (HOST,))
        await fleet.reaches(record, 1, 1)
    await fleet.reaches(record, 0, 0)


async def test_it_is_built_before_somebody_asks_for_it(
    database: Database, vault: Vault, fleet: Fleet
) -> None:
    """A worker that has it shows it from memory."""
    acme = await add_tenant(database, "acme", HOST)
    async with fleet.worker() as keyring:
        for slot in (0, 1):
            record = await vault.store(bundle_for(HOST, slot=slot), acme)
            await fleet.reaches(record, 1, 1)
            served = keyring.peek(HOST)
            assert getattr(served, "certificate_id", None) == record.id


async def test_a_hostname_that_becomes_active_is_deployed_anew(
    database: Database, vault: Vault, fleet: Fleet
) -> None:
    """Held while it is not; and a worker that has not heard of the change does not count."""
    acme = await add_tenant(database, "acme", HOST, state="pending")
    record = await vault.store(bundle_for(HOST), acme)
    async with fleet.worker():
        await fleet.reaches(record, 1, 1)
        assert (await fleet.standing(record)).stage == "held"
    async with fleet.worker() as keyring:
        await fleet.reaches(record, 1, 1)
        await move_claim(database, HOST, "active")

        async def is_shown() -> bool:
            return getattr(keyring.peek(HOST), "certificate_id", None) == record.id

        await until(is_shown)
        await fleet.reaches(record, 1, 1)
        assert (await fleet.standing(record)).stage == "active"


async def test_a_worker_that_lags_behind_is_told(database: Database, vault: Vault, fleet: Fleet) -> None:
    """One has followed, one has not: deploying, one of two, for what changed and for nothing else."""
    acme = await add_tenant(database, "acme", HOST, "shop.acme.test")
    old = await vault.store(bundle_for("shop.acme.test"), acme)
    async with fleet.worker():
        await fleet.reaches(old, 1, 1)
        (other,) = await Workers(database).alive(NOW)
    await Workers(database).report(other)  # as if it had stopped reading, and not living
    new = await vault.store(bundle_for(HOST), acme)
    async with fleet.worker():
        await fleet.reaches(new, 1, 2)
        assert (await fleet.standing(new)).stage == "deploying"
        assert (await fleet.standing(old)).stage == "active"


async def test_a_worker_reports_which_encryption_keys_it_has(database: Database, fleet: Fleet) -> None:
    """By their ids, the one it seals with first: a rotation waits for those who lack one."""
    old, new = b"o" * 32, b"n" * 32
    async with fleet.worker(Sealer([new, old])):

        async def is_there() -> bool:
            return bool(await Workers(database).alive(NOW))

        await until(is_there)
        (worker,) = await Workers(database).alive(NOW)
    assert worker.key_ids == (key_id(new), key_id(old))


async def test_a_worker_without_the_encryption_key_says_so(
    database: Database, vault: Vault, fleet: Fleet
) -> None:
    """Its report names what it cannot serve, and no longer when it can."""
    await add_tenant(database, "acme", HOST)
    async with fleet.worker(Sealer([b"o" * 32])):
        first = await vault.store(bundle_for("first.test"), None)
        await fleet.reaches(first, 1, 1)
        (fault,) = (await fleet.standing(first)).faults
        assert "first.test" in fault
        assert "not among the encryption keys" in fault
        await vault.delete(first.id, actor="olga", even_the_last=True)

        async def is_mended() -> bool:
            return not (await fleet.standing(first)).faults

        await until(is_mended)
