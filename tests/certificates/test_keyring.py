from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from sqlalchemy import text

from router.certificates.folder import CertificateFolder
from router.certificates.keyring import Keyring
from router.certificates.served import Served
from router.certificates.vault import Candidates, Vault
from router.errors import Unavailable
from router.observe.tasks import Tasks
from router.storage.changes import ChangeFeed, PollBell
from router.storage.database import Database
from router.storage.lookup import PENDING
from tests.certificates.conftest import SEALER
from tests.certificates.maker import INTERMEDIATE, NOW, Made, make
from tests.certificates.rows import add_tenant, bundle_for, bundle_of, last_change, move_claim, put_behind_cdn
from tests.certificates.tls import client_context, serving, shake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


HOST = "billing.acme.test"
WILD = ("portal.test", "*.portal.test")


class CountingVault(Vault):
    """A vault that counts the questions it is asked, and how many at once."""

    asked = 0
    now = 0
    most = 0

    async def candidates(self, hostname: str) -> Candidates:
        """Count, then ask."""
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await super().candidates(hostname)
        finally:
            self.now -= 1


@dataclass
class World:
    """A keyring with everything below it."""

    database: Database
    vault: CountingVault
    folder: CertificateFolder
    feed: ChangeFeed
    keyring: Keyring
    certs: Path

    async def caught_up(self) -> None:
        """Wait until the keyring knows of every change."""
        async with asyncio.timeout(10):
            await self.feed.caught_up(await last_change(self.database))

    def drop_file(self, stem: str, made: Made) -> None:
        """Drop a certificate into the folder."""
        self.certs.mkdir(exist_ok=True)
        (self.certs / f"{stem}.pem").write_bytes(made.pem + INTERMEDIATE.pem + made.key_pem)

    async def found(self, name: str) -> Served:
        """Find what must be there."""
        await self.caught_up()
        served = await self.keyring.find(name)
        assert served is not None
        assert self.keyring.peek(name) is served
        return served

    async def serves_nothing(self, name: str) -> bool:
        """Whether there is nothing for a name, and whether that is remembered."""
        await self.caught_up()
        return await self.keyring.find(name) is None and self.keyring.peek(name) is None


@asynccontextmanager
async def world_of(database: Database, tmp_path: Path, capacity: int = 2048) -> AsyncIterator[World]:
    """Build a keyring over a database, with its feed running."""
    bell = PollBell()
    vault = CountingVault(database, bell, SEALER, clock=lambda: NOW)
    certs = tmp_path / "certs"
    folder = CertificateFolder(certs, clock=lambda: NOW)
    feed = ChangeFeed(database, bell, period=0.05)
    keyring = Keyring(
        vault, folder, feed, platform_domain="portal.test", capacity=capacity, clock=lambda: NOW
    )
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(Tasks())
        stack.push_async_callback(keyring.close)
        tasks.start(feed.run(), name="feed")
        yield World(database, vault, folder, feed, keyring, certs)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """A keyring over an empty database and folder."""
    async with world_of(database, tmp_path) as made:
        yield made


def leaf_of(served: Served, name: str) -> str:
    """Shake hands with a context and say which certificate was shown."""
    with serving(served.context) as address:
        return shake(address, name, client_context()).leaf.fingerprint(hashes.SHA256()).hex()


async def test_a_name_is_looked_for_then_its_wildcard_then_nothing(world: World) -> None:
    """Exact before wildcard; two labels below a wildcard, or any other name, get no certificate at all."""
    exact, wildcard = bundle_for("shop.portal.test"), bundle_for(*WILD)
    await world.vault.store(wildcard, None)
    await world.vault.store(exact, None)
    assert world.keyring.peek("shop.portal.test") is PENDING
    assert (await world.found("shop.portal.test")).names == {"shop.portal.test"}
    assert (await world.found("x.portal.test")).names == set(WILD)
    assert leaf_of(await world.found("x.portal.test"), "x.portal.test") == wildcard.fingerprint
    for name in ("a.b.portal.test", "localhost", "portal.test.evil.test"):
        assert await world.serves_nothing(name)


async def test_covers_is_the_rule_of_421() -> None:
    """A name, or one label below a wildcard, of the certificate shown; nothing else."""
    served = Served(
        context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        names=frozenset(WILD),
        certificate_id="crt_1",
        not_after=0,
        origin="upload",
        tenant_id=None,
    )
    assert served.covers("portal.test")
    assert served.covers("x.portal.test")
    assert not served.covers("a.b.portal.test")
    assert not served.covers("billing.acme.test")


async def test_each_tenant_has_a_context_of_its_own_and_nobodys_names_share_one(world: World) -> None:
    """Under one wildcard certificate, two tenants' names differ in context, unheld ones do not."""
    acme = await add_tenant(world.database, "acme", "acme.portal.test", "shop.portal.test")
    globex = await add_tenant(world.database, "globex", "globex.portal.test")
    await world.vault.store(bundle_for(*WILD), None)
    one, two = await world.found("acme.portal.test"), await world.found("globex.portal.test")
    assert (one.tenant_id, two.tenant_id) == (acme, globex)
    assert one.context is not two.context
    assert await world.found("shop.portal.test") is one
    nobody = await world.found("nobody.portal.test")
    assert nobody.tenant_id is None
    assert await world.found("portal.test") is not one
    assert await world.found("no-one.portal.test") is nobody


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_tls_session_of_one_tenant_is_not_resumed_at_another(
    world: World, version: ssl.TLSVersion
) -> None:
    """THREATS 25: the same wildcard certificate, another tenant: a full handshake."""
    await add_tenant(world.database, "acme", "acme.portal.test")
    await add_tenant(world.database, "globex", "globex.portal.test")
    await world.vault.store(bundle_for(*WILD), None)
    client = client_context(version)
    one, two = await world.found("acme.portal.test"), await world.found("globex.portal.test")
    with serving(one.context) as acme, serving(two.context) as globex:
        session = shake(acme, "acme.portal.test", client).session
        assert shake(acme, "acme.portal.test", client, session).reused
        assert not shake(globex, "globex.portal.test", client, session).reused


async def test_a_tenants_upload_is_served_to_its_own_names_only(world: World) -> None:
    """THREATS 75: a certificate with somebody else's names in it serves none of them."""
    acme = await add_tenant(world.database, "acme", HOST)
    await add_tenant(world.database, "globex", "billing.globex.test")
    await world.vault.store(bundle_for(HOST, "billing.globex.test", "*.portal.test"), acme)
    assert (await world.found(HOST)).tenant_id == acme
    for name in ("billing.globex.test", "x.portal.test"):
        assert await world.serves_nothing(name)


async def test_a_new_certificate_is_served_within_a_second_and_open_connections_live(world: World) -> None:
    """THREATS 76: the change reaches the keyring by itself; the old context stays good for who has it."""
    acme = await add_tenant(world.database, "acme", HOST)
    old = bundle_for(HOST)
    await world.vault.store(old, acme)
    before = await world.found(HOST)
    new = bundle_for(HOST, slot=1)
    await world.vault.store(new, acme)
    await world.caught_up()
    assert leaf_of(await world.found(HOST), HOST) == new.fingerprint
    assert leaf_of(before, HOST) == old.fingerprint


async def test_a_new_wildcard_is_served_for_names_that_had_nothing(world: World) -> None:
    """What was known to be absent is asked for again when a wildcard arrives, or a renewed one."""
    await add_tenant(world.database, "acme", "a.portal.test")
    assert await world.serves_nothing("a.portal.test")
    assert await world.serves_nothing("b.portal.test")
    for slot in (0, 1):
        bundle = bundle_for(*WILD, slot=slot)
        await world.vault.store(bundle, None)
        await world.caught_up()
        for name in ("a.portal.test", "b.portal.test"):
            assert leaf_of(await world.found(name), name) == bundle.fingerprint


async def test_a_claim_that_moves_takes_the_certificate_along(world: World) -> None:
    """Held back until the claim is active, gone when it is released."""
    acme = await add_tenant(world.database, "acme", HOST, state="pending")
    await world.vault.store(bundle_for(HOST), acme)
    assert await world.serves_nothing(HOST)
    await move_claim(world.database, HOST, "active")
    await world.caught_up()
    assert (await world.found(HOST)).tenant_id == acme
    await move_claim(world.database, HOST, "released")
    await world.caught_up()
    assert await world.serves_nothing(HOST)


async def test_rsa_and_ecdsa_stand_side_by_side(world: World) -> None:
    """One context serves each client the certificate it understands, and covers what both cover."""
    ecdsa = make(HOST, "a.test", issuer=INTERMEDIATE)
    rsa = make(HOST, issuer=INTERMEDIATE, kind="rsa2048")
    await world.vault.store(bundle_of(rsa), None)
    await world.vault.store(bundle_of(ecdsa), None)
    served = await world.found(HOST)
    assert served.names == {HOST}
    with serving(served.context) as address:
        old = client_context(ssl.TLSVersion.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256")
        assert shake(address, HOST, client_context()).leaf == ecdsa.certificate
        assert shake(address, HOST, old).leaf == rsa.certificate


async def test_files_are_served_and_an_upload_goes_before_them(world: World) -> None:
    """A file serves its names, external ones too; an upload for the same name takes its place, and back."""
    acme = await add_tenant(world.database, "acme", HOST)
    world.drop_file("acme", make(HOST, issuer=INTERMEDIATE, slot=30))
    await world.folder.look()
    served = await world.found(HOST)
    assert (served.certificate_id, served.origin, served.tenant_id) == ("folder:acme", "folder", acme)
    record = await world.vault.store(bundle_for(HOST), None)
    await world.caught_up()
    assert (await world.found(HOST)).certificate_id == record.id


async def test_a_changed_file_is_served_at_once(world: World) -> None:
    """The folder tells the keyring, names under a wildcard included."""
    await add_tenant(world.database, "acme", "acme.portal.test")
    world.drop_file("portal", make(*WILD, issuer=INTERMEDIATE, slot=31))
    await world.folder.look()
    before = await world.found("acme.portal.test")
    world.drop_file("portal", make(*WILD, issuer=INTERMEDIATE, slot=32))
    await world.folder.look()
    await world.folder.look()
    after = await world.found("acme.portal.test")
    assert leaf_of(before, "acme.portal.test") != leaf_of(after, "acme.portal.test")


async def test_a_thousand_handshakes_for_one_name_ask_once(world: World) -> None:
    """THREATS 98: concurrent finds share one question and one context."""
    await add_tenant(world.database, "acme", HOST)
    await world.vault.store(bundle_for(HOST), None)
    await world.caught_up()
    world.vault.asked = 0
    found = await asyncio.gather(*(world.keyring.find(HOST) for _ in range(1000)))
    assert len({id(each) for each in found}) == 1
    assert world.vault.asked == 1


async def test_made_up_names_are_bounded_in_every_way(world: World) -> None:
    """A flood below a wildcard builds one context, asks a few questions at once, and spares the tenants."""
    await add_tenant(world.database, "acme", "acme.portal.test")
    await world.vault.store(bundle_for(*WILD), None)
    await world.caught_up()
    tenants = await world.found("acme.portal.test")
    found = await asyncio.gather(*(world.keyring.find(f"x{number}.portal.test") for number in range(400)))
    assert len({id(each) for each in found}) == 1
    assert world.vault.most <= 2
    assert "2 contexts, 2 built, <WaitingRoom certificates: 0 waiting, 0 turned away>" in repr(world.keyring)
    assert world.keyring.peek("acme.portal.test") is tenants


async def test_known_names_do_not_stand_in_line_with_made_up_ones(world: World) -> None:
    """In the middle of a flood a name that was served before is asked for again at once."""
    await add_tenant(world.database, "acme", HOST)
    await world.vault.store(bundle_for(HOST), None)
    known = await world.found(HOST)
    world.keyring.clear()  # as after a minute: known, but to be asked for again
    async with asyncio.TaskGroup() as group:
        flood = [group.create_task(world.keyring.find(f"x{number}.evil.test")) for number in range(400)]
        await asyncio.sleep(0)
        assert await world.keyring.find(HOST) is known
        assert sum(task.done() for task in flood) < 100


async def test_too_many_at_once_are_turned_away(world: World) -> None:
    """Beyond a thousand waiting names the answer is “busy”, and the queue is empty again afterwards."""
    found = await asyncio.gather(
        *(world.keyring.find(f"x{number}.evil.test") for number in range(1500)), return_exceptions=True
    )
    turned_away = [each for each in found if isinstance(each, Unavailable)]
    assert 0 < len(turned_away) <= 1500
    assert {each.code for each in turned_away} == {"busy"}
    assert all(each is None or isinstance(each, Unavailable) for each in found)
    assert "0 waiting" in repr(world.keyring)
    assert await world.serves_nothing("y.evil.test")


async def test_the_least_recently_used_context_goes(database: Database, tmp_path: Path) -> None:
    """Memory is bounded by capacity; what went is built again when it is asked for."""
    async with world_of(database, tmp_path, capacity=2) as world:
        hosts = [f"t{number}.portal.test" for number in range(4)]
        for number, host in enumerate(hosts):
            await add_tenant(database, f"t{number}", host)
        await world.vault.store(bundle_for(*WILD), None)
        await world.caught_up()
        for host in hosts:
            await world.found(host)
        assert "<Keyring of 2 contexts, 4 built" in repr(world.keyring)
        assert world.keyring.peek(hosts[0]) is PENDING
        await world.found(hosts[0])
        assert "<Keyring of 2 contexts, 5 built" in repr(world.keyring)


async def test_who_stops_waiting_does_not_stop_it_for_others(world: World) -> None:
    """A client that hangs up during the lookup leaves the others' lookup alone."""
    await world.vault.store(bundle_for(HOST), None)
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(world.keyring.find(HOST))
        stays = group.create_task(world.keyring.find(HOST))
        await asyncio.sleep(0)
        gone.cancel()
    served = stays.result()
    assert served is not None
    assert served.covers(HOST)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_outage_is_bridged_by_what_is_known(world: World) -> None:
    """With the database away known names keep their certificate, and files serve even unknown ones."""
    acme = await add_tenant(world.database, "acme", HOST)
    await world.vault.store(bundle_for(HOST), acme)
    world.drop_file("portal", make(*WILD, issuer=INTERMEDIATE, slot=33))
    await world.folder.look()
    await world.caught_up()
    known = await world.found(HOST)
    async with world.database.write() as connection:  # as close to an outage as SQLite comes
        await connection.execute(text("ALTER TABLE certificates RENAME TO lost"))
    world.keyring.clear()
    assert world.keyring.peek(HOST) is PENDING
    assert await world.keyring.find(HOST) is known
    unknown = await world.keyring.find("never-seen.portal.test")
    assert unknown is not None
    assert unknown.origin == "folder"
    with pytest.raises(Unavailable):
        await world.keyring.find("never-seen.acme.test")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_outage_is_bridged_by_a_known_wildcard(world: World) -> None:
    """Names below a wildcard in memory get a handshake in an outage, and the page that explains it."""
    await world.vault.store(bundle_for(*WILD), None)
    known = await world.found("nobody.portal.test")
    async with world.database.write() as connection:
        await connection.execute(text("ALTER TABLE certificates RENAME TO lost"))
    world.keyring.clear()
    assert await world.keyring.find("never-seen.portal.test") is known


async def test_a_database_that_was_never_there_leaves_the_files(tmp_path: Path) -> None:
    """A router that starts in an outage serves what is in the folder, from one context."""
    database = Database("postgresql://nobody@127.0.0.1:1/nothing")
    await database.open()
    bell = PollBell()
    folder = CertificateFolder(tmp_path, clock=lambda: NOW)
    keyring = Keyring(Vault(database, bell, SEALER), folder, ChangeFeed(database, bell), clock=lambda: NOW)
    made = make(*WILD, issuer=INTERMEDIATE)
    (tmp_path / "portal.pem").write_bytes(made.pem + INTERMEDIATE.pem + made.key_pem)
    await folder.look()
    first, second = await keyring.find("a.portal.test"), await keyring.find("b.portal.test")
    assert first is second is not None
    with pytest.raises(Unavailable):
        await keyring.find(HOST)
    await keyring.close()
    await database.close()


async def test_behind_a_cdn_the_platforms_certificate_stands_in(world: World) -> None:
    """For the one hostname, as long as nothing was uploaded for it; its successor takes its place too."""
    await add_tenant(world.database, "globex", "billing.globex.test")
    acme = await add_tenant(world.database, "acme", "billing.acme.test", "acme.portal.test")
    await world.vault.store(bundle_for(*WILD), None)
    assert await world.serves_nothing("billing.acme.test")
    await put_behind_cdn(world.database, "billing.acme.test")
    for slot in (1, 2):
        wildcard = await world.vault.store(bundle_for(*WILD, slot=slot), None)
        served = await world.found("billing.acme.test")
        assert (served.certificate_id, served.tenant_id) == (wildcard.id, acme)
        assert served.covers("billing.acme.test")
        assert served.covers("acme.portal.test")
        assert not served.covers("shop.acme.test")
        assert not (await world.found("acme.portal.test")).covers("billing.acme.test")
    assert await world.serves_nothing("billing.globex.test")
    own = await world.vault.store(bundle_for("*.acme.test", slot=3), acme)
    assert (await world.found("billing.acme.test")).certificate_id == own.id


async def test_without_a_platforms_certificate_nothing_stands_in(world: World) -> None:
    """There is none to show; a file in the folder will do."""
    await add_tenant(world.database, "acme", "billing.acme.test")
    await put_behind_cdn(world.database, "billing.acme.test")
    assert await world.serves_nothing("billing.acme.test")
    world.drop_file("platform", make("portal.test", issuer=INTERMEDIATE, slot=4))
    await world.folder.look()
    assert (await world.found("billing.acme.test")).certificate_id == "folder:platform"
