"""Directory: which tenant a hostname belongs to, from memory as soon as it is known."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from router.errors import Unavailable
from router.hostname import Hostname
from router.storage.bell import PollBell
from router.storage.cache import MemoryCache
from router.storage.changes import ChangeFeed
from router.storage.database import Database
from router.storage.lookup import PENDING
from router.tenants.directory import Directory
from router.tenants.form import TenantForm
from router.tenants.registry import Registry
from router.tenants.rows import holder_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.cache import Cache
    from router.tenants.tenant import Tenant

PLATFORM = Hostname.parse("portal.example")
ADDRESS = Hostname.parse("acme.portal.example")
EXTERNAL = Hostname.parse("billing.acme.com")
FORM = TenantForm("Acme Tools", "#0B6E4F", ["http://1.1.1.1:8080"])


class Node:
    """One worker's directory with its feed running, and a registry that rings its bell."""

    def __init__(self, database: Database, cache: Cache | None) -> None:
        self.bell = PollBell()
        self.feed = ChangeFeed(database, self.bell, period=60.0)
        self.directory = Directory(database, cache, self.feed)
        self.registry = Registry(database, self.bell, platform_domain=PLATFORM, allow_private_upstreams=False)
        self.feed.subscribe("hostname", self._note)
        self.seen: list[str] = []

    def _note(self, hostname: str, _sequence: int) -> None:
        self.seen.append(hostname)

    async def told_of(self, hostname: Hostname, times: int) -> None:
        """Wait until the feed has named a hostname this many times."""
        async with asyncio.timeout(10):
            while self.seen.count(hostname) < times:
                await self.feed.caught_up(self.feed.position + 1)


@pytest.fixture
async def node(database: Database, cache: Cache) -> AsyncIterator[Node]:
    """A worker on both databases and with both caches."""
    async with running(Node(database, cache)) as worker:
        yield worker


@asynccontextmanager
async def running(worker: Node) -> AsyncIterator[Node]:
    """Run a worker's feed."""
    async with asyncio.TaskGroup() as group:
        tail = group.create_task(worker.feed.run())
        try:
            yield worker
        finally:
            tail.cancel()
            await worker.directory.close()


async def test_a_hostname_is_found_once_and_known_from_then_on(node: Node) -> None:
    """The first visit awaits; every later one is answered from memory at once."""
    record = await node.registry.add("acme", FORM, actor="ada")
    await node.told_of(ADDRESS, 1)
    assert node.directory.peek(ADDRESS) is PENDING
    found = await node.directory.find(ADDRESS)
    assert found == record.tenant
    assert node.directory.peek(ADDRESS) is found


async def test_a_strangers_name_is_known_to_be_nobodys(node: Node) -> None:
    """An unknown hostname is remembered as such, so that a scanner asks the database once."""
    assert await node.directory.find(Hostname.parse("nobody.example")) is None
    assert node.directory.peek(Hostname.parse("nobody.example")) is None


async def test_a_flood_of_made_up_names_has_an_end(node: Node) -> None:
    """Names beyond those that may wait are turned away, more of one asker's than of all; a tenant is not."""
    await node.registry.add("acme", FORM, actor="ada")
    await node.told_of(ADDRESS, 1)
    names = [Hostname.parse(f"x{number}.evil.example") for number in range(1_400)]
    async with asyncio.TaskGroup() as group:
        flood = [group.create_task(_find(node, name, "192.0.2.1")) for name in names]
        await asyncio.sleep(0)
        assert await node.directory.find(ADDRESS, "192.0.2.2") is not None
    assert 200 <= sum(each.result() != "busy" for each in flood) < 1_000
    async with asyncio.TaskGroup() as group:
        flood = [group.create_task(_find(node, name, name)) for name in names]
    assert sum(each.result() == "busy" for each in flood) > 0
    assert await _find(node, Hostname.parse("nobody.example"), "192.0.2.1") == "nobody"


async def _find(node: Node, hostname: Hostname, asker: str) -> str:
    try:
        return "nobody" if await node.directory.find(hostname, asker) is None else "a tenant"
    except Unavailable as fault:
        return fault.code


async def test_only_an_active_claim_is_found(node: Node) -> None:
    """Pending and released hostnames are unknown, as if they had never existed; both addresses answer."""
    await node.registry.add("acme", replace(FORM, external_domain=EXTERNAL), actor="ada")
    await node.told_of(EXTERNAL, 1)
    assert await node.directory.find(EXTERNAL) is None
    await node.registry.activate_domain(EXTERNAL, reason="x", actor="ada")
    await node.told_of(EXTERNAL, 2)
    by_own, by_platform = await node.directory.find(EXTERNAL), await node.directory.find(ADDRESS)
    assert by_own is not None
    assert by_own == by_platform
    assert by_own.hostname == EXTERNAL
    await node.registry.change("acme", TenantForm(external_domain=""), actor="ada")
    await node.told_of(EXTERNAL, 3)
    assert await node.directory.find(EXTERNAL) is None
    assert (await node.directory.find(ADDRESS)) is not None


async def test_a_suspended_tenant_is_found_as_such(node: Node) -> None:
    """What suspension means is not decided here: the edge answers in the tenant's look."""
    await node.registry.add("acme", FORM, actor="ada")
    await node.told_of(ADDRESS, 1)
    await node.directory.find(ADDRESS)
    await node.registry.suspend("acme", actor="ada")
    await node.told_of(ADDRESS, 2)
    found = await node.directory.find(ADDRESS)
    assert found is not None
    assert found.status == "suspended"


async def test_a_change_reaches_every_worker(node: Node, database: Database, cache: Cache) -> None:
    """A write through one worker's registry is served by another's directory, without waiting for an age."""
    async with running(Node(database, cache)) as other:
        await node.registry.add("acme", FORM, actor="ada")
        for worker in (node, other):
            await worker.bell.ring()
            await worker.told_of(ADDRESS, 1)
            assert await worker.directory.find(ADDRESS) is not None
        await other.registry.change("acme", TenantForm(name="Acme"), actor="ada")
        for worker in (node, other):
            await worker.bell.ring()
            await worker.told_of(ADDRESS, 2)
            assert worker.directory.peek(ADDRESS) is PENDING
            found = await worker.directory.find(ADDRESS)
            assert found is not None
            assert found.branding.name == "Acme"


async def test_many_who_ask_at_once_share_one_question(
    node: Node, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A herd on a cold name costs one read of the database (THREATS 98)."""
    await node.registry.add("acme", FORM, actor="ada")
    await node.told_of(ADDRESS, 1)
    questions: list[str] = []

    async def counting(connection: AsyncConnection, hostname: str) -> Tenant | None:
        questions.append(hostname)
        return await holder_of(connection, hostname)

    monkeypatch.setattr("router.tenants.directory.holder_of", counting)
    found = await asyncio.gather(*(node.directory.find(ADDRESS) for _ in range(200)))
    assert {tenant.slug for tenant in found if tenant} == {"acme"}
    assert questions == [ADDRESS]


async def test_a_poisoned_cache_entry_is_read_again_from_the_database(database: Database) -> None:
    """What is no tenant, although the cache says so, is not believed: the truth is asked (THREATS 96)."""

    class Poisoned(MemoryCache):
        """A cache that somebody else can write to."""

        given_out = 0

        async def get(self, key: str) -> bytes | None:
            """Give out what was kept, but for the name of one field."""
            kept = await super().get(key)
            self.given_out += kept is not None and b'"slug"' in kept
            return kept and kept.replace(b'"slug"', b'"smug"')

    cache = Poisoned()
    async with running(Node(database, cache)) as first, running(Node(database, cache)) as second:
        record = await first.registry.add("acme", FORM, actor="ada")
        for worker in (first, second):
            await worker.bell.ring()
            await worker.told_of(ADDRESS, 1)
            assert await worker.directory.find(ADDRESS) == record.tenant
    assert cache.given_out == 1


async def test_known_tenants_are_served_while_the_database_is_away(tmp_path: Path) -> None:
    """An outage is bridged for whom we know; of others we say that we cannot say (THREATS 97)."""
    from router.storage.migrate import migrate  # noqa: PLC0415 - this test alone makes its own database

    path = tmp_path / "router.db"
    await migrate(f"sqlite:///{path}")
    database = Database(f"sqlite:///{path}")
    await database.open()
    async with running(Node(database, None)) as worker:
        await worker.registry.add("acme", FORM, actor="ada")
        await worker.told_of(ADDRESS, 1)
        known = await worker.directory.find(ADDRESS)
        worker.feed._reset(0)  # noqa: SLF001 - the moment in which a worker has to ask for everything anew
        await database.close()
        path.rename(tmp_path / "away.db")
        path.mkdir()
        assert worker.directory.peek(ADDRESS) is PENDING
        assert await worker.directory.find(ADDRESS) == known
        with pytest.raises(Unavailable):
            await worker.directory.find(Hostname.parse("globex.portal.example"))
    await database.close()
