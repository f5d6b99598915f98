from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from router.certificates.expiry import Expiry
from router.certificates.folder import CertificateFolder
from router.certificates.life import DAY
from router.storage.changes import PollBell
from router.storage.notices import Notices
from router.storage.outbox import Outbox
from router.storage.schema import audit, outbox, tenants
from tests.certificates.conftest import SEALER
from tests.certificates.maker import INTERMEDIATE, NOW, make
from tests.certificates.rows import add_tenant, bundle_of, move_claim
from tests.storage.posted import posted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from router.certificates.bundle import Bundle
    from router.certificates.vault import Vault
    from router.storage.database import Database

HOST = "billing.acme.test"
OPERATORS = "operators@platform.test"
CONTACT = "help@acme.test"


class Watch:
    """An expiry at a time of its own, and what it sent."""

    def __init__(self, database: Database, certs: Path) -> None:
        self.database = database
        self.certs = certs
        self.now = NOW
        self.folder = CertificateFolder(certs, clock=lambda: NOW)
        notices = Notices(Outbox(SEALER), OPERATORS)
        self.expiry = Expiry(database, PollBell(), notices, self.folder, clock=lambda: self.now)

    async def mails(self, days: float) -> list[tuple[str, str]]:
        """Look when ``days`` have passed, and tell which mails are new: (kind, recipient)."""
        before = Counter(await self._sent())
        self.now = NOW + days * DAY
        await self.expiry.look()
        return sorted((Counter(await self._sent()) - before).elements())

    async def facts(self, recipient: str) -> Mapping[str, str | int]:
        """What the latest mail to somebody tells."""
        mails = await posted(self.database, SEALER)
        return [mail.facts for mail in mails if mail.recipient == recipient][-1]

    async def _sent(self) -> list[tuple[str, str]]:
        async with self.database.read() as connection:
            rows = await connection.execute(select(outbox.c.kind, outbox.c.recipient))
            return [(kind, recipient) for kind, recipient in rows]


@pytest.fixture
def watch(database: Database, tmp_path: Path) -> Watch:
    """An empty platform whose operators have an address."""
    (tmp_path / "certs").mkdir()
    return Watch(database, tmp_path / "certs")


def ending(*names: str, days: float = 80, slot: int = 0) -> Bundle:
    """A certificate with so many days left."""
    return bundle_of(make(*names, issuer=INTERMEDIATE, days=(-10, days), slot=slot))


async def with_contact(database: Database, tenant_id: str) -> None:
    """Have the tenant name somebody."""
    async with database.write() as connection:
        named = update(tenants).where(tenants.c.id == tenant_id).values(branding={"support_email": CONTACT})
        await connection.execute(named)


async def test_each_notice_is_sent_once_to_the_tenant_and_the_platform(
    database: Database, vault: Vault, watch: Watch
) -> None:
    """30, 14, 7 and 1 days ahead and at the end: two mails each, and none in between."""
    acme = await add_tenant(database, "acme", HOST)
    await with_contact(database, acme)
    await vault.store(ending(HOST), acme)
    told = {day: await watch.mails(day) for day in (0, 49, 50, 51, 66, 67, 73, 79, 79.5, 80, 81, 120)}
    expiring = [("certificate-expiring", CONTACT), ("certificate-expiring", OPERATORS)]
    expired = [("certificate-expired", CONTACT), ("certificate-expired", OPERATORS)]
    assert {day: mails for day, mails in told.items() if mails} == {
        50: expiring,
        66: expiring,
        73: expiring,
        79: expiring,
        80: expired,
    }


async def test_after_a_long_pause_only_the_latest_notice_is_sent(
    database: Database, vault: Vault, watch: Watch
) -> None:
    """What nobody could be told in time is not made up for."""
    acme = await add_tenant(database, "acme", HOST)
    await vault.store(ending(HOST), acme)
    assert await watch.mails(75) == [("certificate-expiring", OPERATORS)]
    assert await watch.mails(76) == []


async def test_what_does_not_matter_is_not_told(database: Database, vault: Vault, watch: Watch) -> None:
    """A certificate with a successor, a superseded one, and one whose hostname is not active."""
    acme = await add_tenant(database, "acme", HOST)
    await vault.store(ending(HOST, days=20), acme)
    await vault.store(ending(HOST, "shop.acme.test", days=300, slot=1), acme)
    globex = await add_tenant(database, "globex", "billing.globex.test", state="pending")
    await vault.store(ending("billing.globex.test", days=20), globex)
    assert await watch.mails(7) == []
    await move_claim(database, "billing.globex.test", "active")
    assert await watch.mails(7) == [("certificate-expiring", OPERATORS)]


async def test_the_platforms_own_is_told_to_the_platform(
    database: Database, vault: Vault, watch: Watch
) -> None:
    """Its wildcard, uploaded or a file in certs/: without a tenant, and each once."""
    wildcard = await vault.store(ending("*.portal.test", days=20), None)
    file = make("files.test", issuer=INTERMEDIATE, days=(-40, 20), slot=2)
    for name in ("a", "b"):  # the same file on two nodes, or twice on one
        (watch.certs / f"{name}.pem").write_bytes(file.pem + INTERMEDIATE.pem + file.key_pem)
    await watch.folder.look()
    assert await watch.mails(14) == [("certificates-ending", OPERATORS)]
    assert await watch.mails(14) == []
    async with database.read() as connection:
        owners = (await connection.execute(select(outbox.c.tenant_id))).scalars().all()
        lines = (await connection.execute(select(audit).where(audit.c.actor == "router"))).all()
    assert owners == [None]
    assert {line.subject for line in lines} == {wildcard.id, watch.folder.list()[0].fingerprint}
    assert {(line.action, line.detail["days"]) for line in lines} == {("certificate.expiring", 7)}


async def test_fifty_that_end_at_once_are_one_mail(database: Database, vault: Vault, watch: Watch) -> None:
    """Nobody's bound is met and nothing is lost: one mail that names them all, the soonest first."""
    acme = await add_tenant(database, "acme", HOST, "shop.acme.test")
    await with_contact(database, acme)
    for number in range(48):
        await vault.store(ending(f"n{number}.test", days=20 + number / 100, slot=number), None)
    await vault.store(ending(HOST, days=21), acme)
    await vault.store(ending("shop.acme.test", days=19), acme)
    collected = [("certificates-ending", CONTACT), ("certificates-ending", OPERATORS)]
    assert await watch.mails(14) == collected
    told = await watch.facts(OPERATORS)
    lines = str(told["endings"]).splitlines()
    assert (told["count"], told["more"], len(lines)) == (50, 0, 50)
    assert [line.split(" ", 1)[1] for line in (lines[0], lines[-1])] == ["shop.acme.test", HOST]
    assert str((await watch.facts(CONTACT))["endings"]).count("\n") == 1
    assert await watch.mails(14) == []
    assert await watch.mails(25) == collected  # now they have ended, and the bound is not met by that either


async def test_of_several_workers_one_sends(database: Database, vault: Vault, watch: Watch) -> None:
    """They look at the same moment, and there is one mail."""
    await vault.store(ending("*.portal.test", days=20), None)
    watch.now = NOW + 14 * DAY
    notices = Notices(Outbox(SEALER), OPERATORS)
    others = [Expiry(database, PollBell(), notices, watch.folder, clock=lambda: watch.now) for _ in range(4)]
    await asyncio.gather(*(each.look() for each in others))
    assert await watch.mails(14) == []
    async with database.read() as connection:
        assert len((await connection.execute(select(outbox.c.id))).all()) == 1


async def test_an_expired_one_is_an_error_in_the_log_at_every_look(vault: Vault, watch: Watch) -> None:
    """It goes on being presented, and nobody can overlook it."""
    await vault.store(ending("*.portal.test", days=20), None)
    for days in (21, 22):
        with capture_logs() as logs:
            await watch.mails(days)
        (line,) = [line for line in logs if line["log_level"] == "error"]
        assert (line["event"], line["names"]) == ("certificate has expired", ["*.portal.test"])
