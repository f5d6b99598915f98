"""The queue of an upstream that has as many connections as it may have: nobody in it is forgotten."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from router.edge.deadlines import Deadlines
from router.edge.dial import Target
from router.edge.limits import Limits
from router.edge.pool import UpstreamPool
from router.errors import Unavailable
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Upstream:
    """A server that counts who connects, and closes when ``done`` is set."""

    def __init__(self) -> None:
        self.contacts = 0
        self.done = asyncio.Event()

    async def meet(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hold a connection until the end."""
        self.contacts += 1
        await self.done.wait()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
async def upstream() -> Upstream:
    """Make an upstream that does not listen yet."""
    return Upstream()


@asynccontextmanager
async def pool_of_one(upstream: Upstream, scheme: str) -> AsyncIterator[UpstreamPool]:
    """Make the pool of a listening ``upstream``, of one connection at most; cut it in the end."""
    async with await asyncio.start_server(upstream.meet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        target = Target.parse(f"{scheme}://127.0.0.1:{port}")
        limits = Limits(max_upstream_connections=1, connect_timeout=5)
        pool = UpstreamPool(target, limits, Deadlines(), cookie_domain=b"portal.example", forbidden=None)
        try:
            yield pool
        finally:
            pool.abort_all()
            upstream.done.set()
            await until(lambda: pool.unused or not pool.standing.spotless)


async def _refusal(pool: UpstreamPool) -> str:
    with pytest.raises(Unavailable) as refused:
        await pool.connect()
    return refused.value.code


async def test_whoever_waits_dials_when_another_s_dial_fails(upstream: Upstream) -> None:
    """A dial that fails makes room at once: the next need not wait until its own time is over."""
    async with pool_of_one(upstream, "https") as pool, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(_refusal(pool))
        await until(lambda: upstream.contacts == 1)
        second = tasks.create_task(_refusal(pool))
        await until(lambda: pool.busy == 2)
        upstream.done.set()
        async with asyncio.timeout(4):  # less than the connect timeout
            assert await first == await second == "upstream_unreachable"
        assert upstream.contacts == 2


async def test_whoever_gives_up_when_called_passes_the_call_on(upstream: Upstream) -> None:
    """A visit that is cancelled in the moment in which there is room for it leaves that to the next."""
    async with pool_of_one(upstream, "http") as pool, asyncio.TaskGroup() as tasks:
        connection = await pool.connect()
        first = tasks.create_task(pool.connect())
        second = tasks.create_task(pool.connect())
        await until(lambda: pool.busy == 3)
        pool.forget(connection)
        first.cancel()
        async with asyncio.timeout(4):
            assert await second is not connection
        assert upstream.contacts == 2
        connection.transport.abort()


async def test_a_connection_given_back_goes_to_whoever_waits_longest(upstream: Upstream) -> None:
    """First come, first served; and one that has given up is passed over."""
    async with pool_of_one(upstream, "http") as pool, asyncio.TaskGroup() as tasks:
        connection = await pool.connect()
        waiting = [tasks.create_task(pool.connect()) for _ in range(3)]
        await until(lambda: pool.busy == 4)
        waiting[0].cancel()
        await until(waiting[0].done)
        pool.give_back(connection)
        assert await waiting[1] is connection
        assert not waiting[2].done()
        pool.give_back(connection)
        assert await waiting[2] is connection
        assert upstream.contacts == 1


async def test_a_full_queue_refuses_at_once() -> None:
    """Beyond the queue nobody waits at all."""
    target = Target.parse("http://127.0.0.1:1")
    limits = Limits(max_upstream_connections=0, upstream_queue=0)
    pool = UpstreamPool(target, limits, Deadlines(), cookie_domain=None, forbidden=None)
    assert await _refusal(pool) == "upstream_busy"
