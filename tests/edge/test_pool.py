"""An upstream's connections: nobody in its queue is forgotten, and none leads where its name does not."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from router.edge.deadlines import Deadlines
from router.edge.dial import Target
from router.edge.limits import Limits
from router.edge.name_servers import NameServers
from router.edge.pool import UpstreamPool, UpstreamPools
from router.edge.resolver import Resolver
from router.errors import Unavailable
from router.observe.tasks import Tasks
from tests.edge.name_server import NameServer, name_server
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


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
        limits = Limits(max_upstream_connections=1, connect_timeout=60)
        async with Tasks() as tasks:
            resolver = Resolver(NameServers(patience=1), tasks)
            pool = UpstreamPool(
                target, limits, Deadlines(), resolver=resolver, cookie_domain=b"x.example", forbidden=None
            )
            try:
                yield pool
            finally:
                pool.abort_all()
                upstream.done.set()
                await until(lambda: pool.unused or pool.standing.troubled)


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
        async with asyncio.timeout(20):  # less than the connect timeout
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
        async with asyncio.timeout(20):
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
    async with Tasks() as tasks:
        resolver = Resolver(NameServers(patience=1), tasks)
        pool = UpstreamPool(
            target, limits, Deadlines(), resolver=resolver, cookie_domain=None, forbidden=None
        )
        assert await _refusal(pool) == "upstream_busy"


async def test_tunnels_are_work_but_use_up_no_room(upstream: Upstream) -> None:
    """A WebSocket counts where the least busy is looked for, and not where the connections are bounded."""
    async with pool_of_one(upstream, "http") as pool:
        tunnel = await pool.connect()
        tunnel.become_tunnel()
        assert pool.busy == 1
        connection = await pool.connect()
        assert pool.busy == 2
        pool.give_back(connection)
        assert pool.busy == 1
        connection.transport.abort()
        tunnel.transport.abort()
        await until(lambda: pool.busy == 0)
        assert pool.unused


# -- names that lead elsewhere --------------------------------------------------------------------------


class Named:
    """A pool of an upstream with a name, whose name server and time only the test moves."""

    def __init__(
        self, server: NameServer, tasks: Tasks, folder: Path, port: int, deadlines: Deadlines
    ) -> None:
        self.server = server
        self.now = 1000.0
        self.deadlines = deadlines
        nothing = folder / "none"
        names = NameServers([server.address], patience=5, hosts=nothing, resolv_conf=nothing)
        self.resolver = Resolver(names, tasks, clock=lambda: self.now)
        self.pools = UpstreamPools(
            Limits(), deadlines, resolver=self.resolver, platform_domain="x.example", forbidden=None
        )
        self.pool = self.pools.find(f"http://erp.example:{port}")

    def say(self, *addresses: str) -> None:
        """Have the name lead there."""
        self.server.records["erp.example."] = [f"A {address} 10" for address in addresses]

    async def pass_time(self) -> None:
        """Let the answer run out, and the pools look where the name leads now."""
        self.now += 11
        self.pools.expire()
        await until(lambda: ", 0 look-ups" in repr(self.resolver))
        self.pools.expire()


@pytest.fixture
async def named(upstream: Upstream, tmp_path: Path) -> AsyncIterator[Named]:
    """Run an upstream on every loopback address, and a name server that says at which it is."""
    async with (
        name_server() as server,
        Tasks() as tasks,
        await asyncio.start_server(upstream.meet, "0.0.0.0", 0) as listening,  # noqa: S104 - all of 127.0.0.0/8
    ):
        bench = Named(server, tasks, tmp_path, listening.sockets[0].getsockname()[1], Deadlines())
        yield bench
        bench.pools.abort_all()
        upstream.done.set()
        await until(lambda: bench.pool.unused)


async def test_a_connection_to_where_the_name_led_before_is_not_used_again(named: Named) -> None:
    """An idle one is closed; one at work is, when its visit is over; nobody is asked on the way."""
    named.say("127.0.0.1")
    idle, busy = await named.pool.connect(), await named.pool.connect()
    named.pool.give_back(idle)
    named.say("127.0.0.2")
    await named.pass_time()
    assert idle.transport.is_closing()
    assert not busy.transport.is_closing()
    named.pool.give_back(busy)
    assert busy.transport.is_closing()
    assert named.pool.take() is None
    assert (await named.pool.connect()).address == "127.0.0.2"


async def test_a_connection_to_where_the_name_still_leads_is_kept(named: Named) -> None:
    """More addresses than before are no reason to close anything, nor are servers that fail."""
    named.say("127.0.0.1")
    connection = await named.pool.connect()
    named.pool.give_back(connection)
    named.say("127.0.0.2", "127.0.0.1")
    await named.pass_time()
    named.server.failing.add("erp.example.")
    await named.pass_time()
    assert named.pool.take() is connection


async def test_a_pooled_connection_does_without_the_resolver(named: Named) -> None:
    """Taking and giving back ask nobody, even long after the answer ran out."""
    named.say("127.0.0.1")
    named.pool.give_back(await named.pool.connect())
    named.now += 1000
    asked = len(named.server.asked)
    for _ in range(3):
        connection = named.pool.take()
        assert connection is not None
        named.pool.give_back(connection)
    assert len(named.server.asked) == asked
    assert ", 0 look-ups" in repr(named.resolver)
