"""Upstreams with names: followed where they lead, by the platform's own name servers, and no further."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

import pytest

from tests.edge.name_server import NameServer
from tests.journeys.node import running_node
from tests.journeys.portals import add_portal, answering, request
from tests.journeys.upstream import RecordingUpstream
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.journeys.node import Node

NAME = "erp.example"


@pytest.fixture
def server() -> NameServer:
    """Make a name server that the node's own loop is to run."""
    return NameServer()


@pytest.fixture
def named(server: NameServer, tmp_path: Path) -> Iterator[Node]:
    """Run a worker that asks the name server."""
    with running_node(tmp_path, "http://127.0.0.1:9", resolvers=server.address, connect_timeout=2) as node:
        node.operate(server.start())
        yield node
        node.operate(server.stop())


def _ask(node: Node, host: str) -> tuple[int, bytes]:
    with node.connect(host) as client:
        answer = client.ask(request(host))
        return answer.status, answer.body


def test_a_name_that_leads_elsewhere_is_followed(named: Node, server: NameServer) -> None:
    """Visits go to the new machine soon after, although connections to the former are still open."""
    former = RecordingUpstream()
    later = RecordingUpstream(socket.create_server(("127.0.0.2", former.port)))
    former.script, later.script = answering(b"former"), answering(b"later")
    host = add_portal(named, [f"http://{NAME}:{former.port}"])
    server.records[f"{NAME}."] = ["A 127.0.0.1 1"]
    assert _ask(named, host) == (200, b"former")
    server.records[f"{NAME}."] = ["A 127.0.0.2 1"]
    asyncio.run(until(lambda: _ask(named, host) == (200, b"later"), within=30))
    former.close()
    later.close()


def test_an_outage_of_the_name_servers_is_bridged(named: Node, server: NameServer) -> None:
    """Who was found once is reached while nobody answers; whoever never was is 502."""
    upstream = RecordingUpstream()
    upstream.script = answering(b"here", b"Connection: close")
    host = add_portal(named, [f"http://{NAME}:{upstream.port}"])
    other = add_portal(named, [f"http://other.example:{upstream.port}"])
    server.records[f"{NAME}."] = ["A 127.0.0.1 1"]
    assert _ask(named, host) == (200, b"here")
    server.failing |= {f"{NAME}.", "other.example."}
    asked = len(server.asked)
    asyncio.run(until(lambda: _ask(named, host) == (200, b"here") and len(server.asked) > asked))
    status, body = _ask(named, other)
    assert (status, json.loads(body)["code"]) == (502, "upstream_unreachable")
    upstream.close()


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200"])
def test_a_name_that_is_led_to_a_metadata_service_is_refused(
    named: Node, server: NameServer, address: str
) -> None:
    """Also where private upstreams are allowed: the machine's own credentials are there (THREATS 29)."""
    host = add_portal(named, [f"http://{NAME}:80"])
    server.records[f"{NAME}."] = [f"A {address} 60"]
    status, body = _ask(named, host)
    assert (status, json.loads(body)["code"]) == (502, "upstream_forbidden")
