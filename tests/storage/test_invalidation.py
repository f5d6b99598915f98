from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis
from sqlalchemy import delete, select, update

from router.errors import Unavailable
from router.storage.cache import Cache, MemoryCache, RedisCache
from router.storage.changes import ChangeFeed, PollBell, RedisBell, SqliteBell, record
from router.storage.database import Database
from router.storage.lookup import PENDING, Lookup
from router.storage.migrate import migrate
from router.storage.schema import tenants
from tests.conftest import empty_tables
from tests.storage.tenant_row import add_tenants, tenant_row
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router.storage.bell import Bell
    from tests.storage.wire import Wire


@dataclass
class Worker:
    """One worker's share of storage: what serve.py would join."""

    database: Database
    cache: Cache
    bell: Bell
    feed: ChangeFeed
    names: Lookup[str]

    async def rename(self, tenant: str, name: str) -> None:
        """Change a tenant as an operator would."""
        async with self.database.write() as connection:
            await connection.execute(update(tenants).where(tenants.c.id == tenant).values(name=name))
            await record(connection, "tenant", tenant)
        await self.bell.ring()

    async def remove(self, tenant: str) -> None:
        """Remove a tenant as an operator would."""
        async with self.database.write() as connection:
            await connection.execute(delete(tenants).where(tenants.c.id == tenant))
            await record(connection, "tenant", tenant)
        await self.bell.ring()

    async def close(self) -> None:
        """Let go of everything."""
        await self.names.close()
        await self.bell.close()
        await self.cache.close()
        await self.database.close()


def _home_bell(database: Database, url: str) -> Bell:
    return SqliteBell(url) if database.backend == "sqlite" else PollBell()


async def _worker(url: str, redis: str | None, *, period: float) -> Worker:
    database = Database(url)
    await database.open()

    async def load(key: str) -> str | None:
        async with database.read() as connection:
            return await connection.scalar(select(tenants.c.name).where(tenants.c.id == key))

    cache: Cache = RedisCache(redis) if redis else MemoryCache()
    bell = RedisBell(redis) if redis else _home_bell(database, url)
    feed = ChangeFeed(database, bell, period=period)
    names = Lookup[str](
        "tenant",
        load,
        cache,
        str.encode,
        bytes.decode,
        capacity=100,
        position=lambda: feed.position,
    )
    feed.subscribe("tenant", names.drop)
    feed.subscribe_reset(names.clear)
    return Worker(database, cache, bell, feed, names)


@contextlib.asynccontextmanager
async def _running(*workers: Worker) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        feeds = [group.create_task(worker.feed.run()) for worker in workers]
        try:
            yield
        finally:
            for feed in feeds:
                feed.cancel()
            await asyncio.wait(feeds)
            for worker in workers:
                await worker.close()


async def _add(database: Database, tenant: str, name: str) -> None:
    await add_tenants(database, tenant_row(tenant, tenant, name))


@pytest.fixture(params=["alone", "redis"])
async def redis(request: pytest.FixtureRequest) -> str | None:
    """Say where an empty Redis is, or that there is none: each test runs with and without."""
    if request.param == "alone":
        return None
    url: str = request.getfixturevalue("valkey_url")
    async with Redis.from_url(url) as client:
        await client.flushall()
    return url


async def test_a_change_reaches_every_worker(database_url: str, redis: str | None) -> None:
    """Three workers know a tenant; one renames it, then removes it: all three follow."""
    workers = [await _worker(database_url, redis, period=0.5) for _ in range(3)]
    await _add(workers[0].database, "t1", "before")
    async with _running(*workers):
        for worker in workers:
            assert await worker.names.find("t1") == "before"

        async def all_find(expected: str | None) -> bool:
            return [await worker.names.find("t1") for worker in workers] == [expected] * 3

        await workers[0].rename("t1", "after")
        await until(lambda: all_find("after"))
        await workers[1].remove("t1")
        await until(lambda: all_find(None))


async def test_changes_and_reads_at_once_end_in_the_truth(database_url: str, redis: str | None) -> None:
    """Two workers read without a pause while a third renames 40 times: at the end all know the last name."""
    workers = [await _worker(database_url, redis, period=0.2) for _ in range(3)]
    await _add(workers[0].database, "t1", "0")
    done = asyncio.Event()

    async def read(worker: Worker) -> int:
        reads = 0
        while not done.is_set():
            await worker.names.find("t1")
            reads += 1
            await asyncio.sleep(0)
        return reads

    async with _running(*workers):
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(read(worker)) for worker in workers for _ in range(3)]
            for number in range(1, 41):
                await workers[number % 3].rename("t1", str(number))
            done.set()
        assert all(reader.result() > 40 for reader in readers)

        async def all_know() -> bool:
            return all([await worker.names.find("t1") == "40" for worker in workers])

        await until(all_know)
        for worker in workers:
            await worker.feed.caught_up(40)
        assert await all_know()


async def test_a_copy_left_in_redis_is_harmless(database_url: str, valkey_url: str) -> None:
    """A change while no worker runs leaves an old copy in Redis; a worker that starts does not believe it."""
    early = await _worker(database_url, valkey_url, period=0.2)
    async with Redis.from_url(valkey_url) as client:
        await client.flushall()
        await _add(early.database, "t1", "before")
        async with _running(early):
            assert await early.names.find("t1") == "before"
            await until(lambda: _exists(client, "tenant-router:tenant:t1"))
        operator = await _worker(database_url, None, period=60)  # the CLI: it has no feed and no Redis
        await operator.rename("t1", "after")
        await operator.close()
        assert await client.exists("tenant-router:tenant:t1") == 1
        late = await _worker(database_url, valkey_url, period=0.2)
        async with _running(late):
            await late.feed.caught_up(1)
            assert await late.names.find("t1") == "after"


async def _exists(client: Redis, key: str) -> bool:
    return bool(await client.exists(key))


async def test_a_flushed_redis_costs_loads_and_no_answers(database_url: str, valkey_url: str) -> None:
    """FLUSHALL between any two finds changes no answer."""
    workers = [await _worker(database_url, valkey_url, period=0.2) for _ in range(2)]
    await _add(workers[0].database, "t1", "before")
    async with Redis.from_url(valkey_url) as client, _running(*workers):
        for name in ("one", "two", "three"):
            await workers[0].rename("t1", name)
            await client.flushall()
            for worker in workers:
                await until(partial(_finds, worker, name))


async def _finds(worker: Worker, name: str) -> bool:
    return await worker.names.find("t1") == name


async def test_the_known_is_served_while_the_database_is_away(
    postgres_wire: Wire, postgres_url: str, valkey_url: str
) -> None:
    """PostgreSQL cut off: known tenants go on, unknown ones are Unavailable; back again, changes arrive."""
    await migrate(postgres_url)
    await empty_tables(postgres_url)
    direct = Database(postgres_url)
    await _add(direct, "t1", "before")
    async with Redis.from_url(valkey_url) as client:
        await client.flushall()
    worker = await _worker(
        f"postgresql://postgres@127.0.0.1:{postgres_wire.port}/postgres", valkey_url, period=0.1
    )
    async with _running(worker):
        assert await worker.names.find("t1") == "before"
        await postgres_wire.cut()
        await until(lambda: not worker.database.healthy)
        assert worker.names.peek("t1") == "before"
        with pytest.raises(Unavailable):
            await worker.names.find("t2")
        async with direct.write() as connection:
            await connection.execute(update(tenants).values(name="after"))
            await record(connection, "tenant", "t1")
        worker.names.clear()
        assert worker.names.peek("t1") is PENDING
        assert await worker.names.find("t1") == "before"
        await postgres_wire.mend()

        async def followed() -> bool:
            return await worker.names.find("t1") == "after"

        await until(followed, within=20)
    await direct.close()
