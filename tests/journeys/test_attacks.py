"""What an attacker tried, and must not achieve again: each test is one attack."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from router.edge.visit import Door
from router.identity.sessions import key_of
from tests.journeys import portals
from tests.journeys.node import running_node
from tests.journeys.upstream import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.journeys.node import Node
    from tests.journeys.upstream import Conversation, RecordingUpstream

_FORM = b"Content-Type: application/x-www-form-urlencoded"
_PIECE = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000


def test_answers_that_are_not_read_do_not_pile_up(node: Node, upstream: RecordingUpstream) -> None:
    """A client that asks and asks, and reads nothing, holds one answer and what the kernel takes."""

    def answer(conversation: Conversation) -> None:
        while True:
            conversation.read_request()
            conversation.send(_PIECE)

    upstream.begin_anew(answer)
    asked = 400
    with node.connect() as greedy, node.connect() as other:
        greedy.send(node.get("/public", signed_in=False) * asked)
        before, quiet = -1, 0
        while quiet < 20:  # visits of somebody else during which nothing more was fetched for the first
            assert other.ask(node.get("/-/no-such-page", signed_in=False)).status == 404
            seen = upstream.seen.count(b"GET /public")
            quiet, before = (quiet + 1 if seen == before else 0), seen
        assert before < asked / 2
        for _ in range(asked):
            assert len(greedy.read_answer().body) == 100_000


def test_a_broken_upload_ends_the_upstream_s_work_too(node: Node, upstream: RecordingUpstream) -> None:
    """A body that breaks its framing after the answer has begun leaves no upstream connection behind."""
    ended = threading.Event()

    def begin(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        conversation.wait_for_end()
        ended.set()

    upstream.begin_anew(begin)
    with node.connect() as client:
        head = node.get("/", b"Transfer-Encoding: chunked").replace(b"GET", b"POST", 1)
        client.send(head + b"1\r\nx\r\n")
        client.read_until(b"hi")
        client.send(b"not a size\r\n")
        client.read_to_end()
        assert client.ended == "cut"
    assert ended.wait(PATIENCE)


def test_silence_after_the_hello_keeps_nobody_waiting(node: Node) -> None:
    """Two addresses with a thousand handshakes begun and left alone do not hold up a third one's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    door, hello = ("127.0.0.1", node.ports[Door.HTTPS]), node.hello()
    with ExitStack() as silent:
        silent.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        sources = [(f"127.0.0.{2 + number % 2}", 0) for number in range(1_050)]
        begun = [silent.enter_context(socket.create_connection(door, PATIENCE, each)) for each in sources]
        for each in begun:
            each.sendall(hello)
        for each in begun[-900:]:  # the oldest of so many newcomers have had to go
            assert each.recv(1) == b"\x16"  # the router's part of the handshake
        began = time.monotonic()
        with node.connect() as client:
            assert client.ask(node.get("/-/no-such-page", signed_in=False)).status == 404
        assert time.monotonic() - began < PATIENCE


def test_a_worker_without_descriptors_waits_for_some(node: Node) -> None:
    """Whoever knocks then neither fills the log nor takes the loop from the visits under way."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    request = node.get("/-/no-such-page", signed_in=False)
    with node.connect() as known, socket.socket() as stranger:
        assert known.ask(request).status == 404
        lowest_free = os.dup(0)
        os.close(lowest_free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
        try:
            with capture_logs() as told:
                stranger.connect(("127.0.0.1", node.ports[Door.HEALTH]))
                for _ in range(100):
                    assert known.ask(request).status == 404
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert 1 <= len([line for line in told if line["event"] == "cannot accept"]) <= 3
        stranger.settimeout(PATIENCE)
        stranger.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        assert stranger.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd"])
def test_a_body_that_cannot_be_unpacked_is_not_unpacked(
    node: Node, caplog: pytest.LogCaptureFixture, coding: bytes
) -> None:
    """A form that says it is compressed is refused, and no stranger writes tracebacks into the log by it."""
    coded = (_FORM, b"Content-Encoding: " + coding)
    for origin in (b"https://evil.example", b"https://" + node.host.encode()):
        request = portals.request(
            node.host, *coded, b"Origin: " + origin, method=b"POST", target=b"/-/sign-in", body=b"junk" * 99
        )
        with node.connect() as stranger:
            assert stranger.ask(request).status == 403
    with node.connect() as other:
        assert other.ask(node.get("/-/sign-in", signed_in=False)).status == 200
    assert [line.name for line in caplog.records if line.levelname == "ERROR"] == []


def test_a_session_that_ends_while_a_websocket_opens_opens_none(
    node: Node, upstream: RecordingUpstream
) -> None:
    """Revoked between the handshake's request and its 101: the tunnel is closed the moment it stands."""
    revoked = threading.Event()

    def switch_late(conversation: Conversation) -> None:
        if b"websocket" not in conversation.read_head():
            return
        assert revoked.wait(PATIENCE)
        conversation.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        conversation.wait_for_end()

    upstream.begin_anew(switch_late)
    token, _ = node.sign_in("acme", "eve@example.com")
    cookie = f"Cookie: __Host-portal-session={token}".encode()
    upgrade = (b"Upgrade: websocket", b"Connection: Upgrade", b"Origin: https://acme.portal.example")
    with node.connect() as client:
        client.send(node.get("/live", cookie, *upgrade, signed_in=False))
        while not upstream.seen:
            time.sleep(0.01)
        node.operate(node.sessions.revoke(key_of(token)))
        with node.connect() as other:
            while other.ask(node.get("/-/sign-out", cookie, signed_in=False)).field("location") is None:
                pass  # the portal still knows the session
        revoked.set()
        assert client.read_answer().status == 101
        assert client.read(4) == b"\x88\x02\x03\xf0"


def test_a_silent_client_does_not_hold_up_a_drain(upstream: RecordingUpstream, tmp_path: Path) -> None:
    """One that is idle, and never answers the end of its connection, is not waited for long."""
    with running_node(tmp_path, upstream.url) as own, own.connect() as client:
        assert client.ask(own.get("/-/no-such-page", signed_in=False)).status == 404

        async def drain() -> None:
            own.edge.stop_accepting()
            await own.edge.drain(600)

        draining = asyncio.run_coroutine_threadsafe(drain(), own.loop)
        own.pass_time(0)
        assert not draining.done()
        own.pass_time(10)
        draining.result(PATIENCE)


def test_a_client_that_vanished_is_asked_after(node: Node, upstream: RecordingUpstream) -> None:
    """The kernel probes every client, so that one without network does not keep a silent stream for ever."""
    with node.connect() as client:
        assert client.ask(node.get("/")).status == 200

        async def probed() -> set[tuple[int, int]]:
            connections = node.edge._house.connections  # noqa: SLF001 - what a client cannot see
            socks = [connection.transport.get_extra_info("socket") for connection in connections]
            return {
                (
                    sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                    sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                )
                for sock in socks
            }

        assert node.operate(probed()) == {(1, 60)}
