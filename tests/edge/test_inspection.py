from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from router.edge.deadlines import Deadlines
from router.edge.inspection import Inspection
from router.edge.limits import Limits
from router.edge.name_servers import NameServers
from router.edge.pool import UpstreamPools
from router.edge.resolver import Resolver
from router.hostname import Hostname
from router.observe.tasks import Tasks
from router.tenants.tenant import Branding, Forwarding, Tenant, Upstream
from router.tenants.upstream_address import refused
from tests.free_ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def answering(status: int) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve every question with this status; where, and the heads that came."""
    heads: list[bytes] = []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(meet, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


@pytest.fixture
async def pools() -> AsyncIterator[UpstreamPools]:
    """The pools of a worker; the cloud's metadata service is out of bounds."""
    async with Tasks() as tasks:
        made = UpstreamPools(
            Limits(connect_timeout=5),
            Deadlines(),
            resolver=Resolver(NameServers(patience=1), tasks),
            platform_domain="portal.example",
            forbidden=lambda address: refused(address, allow_private=True),
        )
        yield made
        made.abort_all()


def tenant(*urls: str, **forwarding: object) -> Tenant:
    """A tenant with these upstreams."""
    host, looks = Hostname.parse("acme.portal.example"), Branding("Acme", "#0b6e4f", "default")
    upstreams = tuple(Upstream(url) for url in urls)
    return Tenant(
        "tnt_1",
        "acme",
        host,
        looks,
        upstreams,
        forwarding=Forwarding(**forwarding),  # type: ignore[arg-type]
    )


async def test_upstreams_are_asked_as_their_check_says(pools: UpstreamPools) -> None:
    """The path and the Host of the tenant's check; well is who answers with the status that is wanted."""
    async with answering(204) as (good, heads), answering(500) as (bad, _):
        wanted = tenant(good, bad, health_path="/healthz", health_status=204)
        first, second = await Inspection(pools, port_suffix=b":8443").look(wanted)
    assert (first.well, first.status, first.fault) == (True, 204, "")
    assert first.milliseconds is not None
    assert (second.well, second.status, second.expected) == (False, 500, 204)
    assert heads[0].startswith(b"GET /healthz HTTP/1.1\r\nHost: acme.portal.example:8443\r\n")


async def test_without_a_check_any_answer_will_do(pools: UpstreamPools) -> None:
    """Who has no check is asked for /, and is well if it answers at all."""
    async with answering(404) as (url, heads):
        (found,) = await Inspection(pools, port_suffix=b"").look(tenant(url))
    assert (found.well, found.status, found.path, found.expected) == (True, 404, "/", None)
    assert heads[0].startswith(b"GET / ")


async def test_a_platforms_default_is_looked_at_for_who_has_none(pools: UpstreamPools) -> None:
    """A tenant without upstreams of its own is served by the platform's."""
    async with answering(200) as (url, _):
        (found,) = await Inspection(pools, port_suffix=b"", default_upstreams=(Upstream(url),)).look(tenant())
    assert found.url == url


async def test_who_does_not_answer_is_told_why(pools: UpstreamPools) -> None:
    """Nobody listening, and an address that is out of bounds, each in a sentence of its own."""
    nobody, metadata = f"http://127.0.0.1:{free_port()}", "http://169.254.169.254"
    gone, forbidden = await Inspection(pools, port_suffix=b"").look(tenant(nobody, metadata))
    assert (gone.well, gone.status, gone.fault) == (False, None, "It cannot be reached.")
    assert forbidden.fault == "Its address is one that upstreams may not have here."


async def test_who_breaks_off_is_told_so(pools: UpstreamPools) -> None:
    """An upstream that hangs up without an answer is not well."""

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        (found,) = await Inspection(pools, port_suffix=b"").look(tenant(url))
    assert (found.well, found.fault) == (False, "It broke off before it answered.")
