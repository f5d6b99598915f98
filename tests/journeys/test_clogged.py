"""Upstreams that stop reading: the client is held back, and nothing waits for ever or piles up."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.journeys.node import Node, running_node
from tests.journeys.portals import add_portal, request
from tests.journeys.upstream import PATIENCE, RecordingUpstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.upstream import Conversation

_AT_ONCE = 13 * 16_384
"""Octets that the router reads in one go, and that do not fit on the way to a narrow upstream."""

_WHOLE = 64_000_000
_HELD_AT_MOST = 24_000_000  # by the kernel, nearly all of it
_BLOCKED = 1.0  # seconds in which not a single octet is taken


@pytest.fixture(scope="module")
def _narrow_upstream() -> Iterator[RecordingUpstream]:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # keeps the other end's buffer small
    upstream = RecordingUpstream(listening)
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def node(_narrow_upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Run a node whose clients can say much at once."""
    with running_node(tmp_path_factory.mktemp("clogged"), _narrow_upstream.url) as running:
        for listening in running.edge._sockets:  # noqa: SLF001 - what is accepted has the listener's buffers
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        yield running


@pytest.fixture
def narrow(_narrow_upstream: RecordingUpstream) -> Iterator[RecordingUpstream]:
    """Hand out the upstream with a clean record."""
    yield _narrow_upstream
    _narrow_upstream.begin_anew()


def _say_at_once(node: Node, client: socket.socket, data: bytes) -> None:
    """Send while the worker looks elsewhere, so that it reads everything in one go."""
    asleep, sent = threading.Event(), threading.Event()

    def look_elsewhere() -> None:
        asleep.set()
        sent.wait(PATIENCE)

    node.loop.call_soon_threadsafe(look_elsewhere)
    assert asleep.wait(PATIENCE)
    client.sendall(data)
    sent.set()


def _taken(client: socket.socket) -> int:
    """Send until nothing is taken any more; how much was."""
    client.settimeout(_BLOCKED)
    sent = 0
    while sent < _WHOLE:
        try:
            sent += client.send(b"x" * 500_000)
        except TimeoutError:
            return sent
    return sent


def test_a_body_that_clogs_the_way_at_once_is_held_back(node: Node, narrow: RecordingUpstream) -> None:
    """Of an upload whose beginning came with its head, no more is taken than the upstream takes."""
    over = threading.Event()

    def read_the_head(conversation: Conversation) -> None:
        conversation.read_head()
        over.wait(PATIENCE * 4)

    narrow.begin_anew(read_the_head)
    host = add_portal(node, [narrow.url])
    head = request(host, b"Content-Length: 900000000", method=b"POST")
    with node.connect(host) as client:
        _say_at_once(node, client.sock, head + b"x" * _AT_ONCE)
        assert _taken(client.sock) < _HELD_AT_MOST
    over.set()


def test_an_early_answer_outlives_a_clogged_upload(node: Node, narrow: RecordingUpstream) -> None:
    """Once an upload is through after all, however late its last piece was taken, its answer is safe."""
    clogged, whole = threading.Event(), threading.Event()

    def answer_early(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhi")
        assert clogged.wait(PATIENCE)
        conversation.read(_AT_ONCE)
        assert whole.wait(PATIENCE)
        conversation.send(b"ho")

    narrow.begin_anew(answer_early)
    host = add_portal(node, [narrow.url])
    head = request(host, b"Content-Length: %d" % _AT_ONCE, method=b"POST")
    with node.connect(host) as client:
        client.send(head)
        client.read_until(b"hi")
        _say_at_once(node, client.sock, b"x" * _AT_ONCE)
        clogged.set()
        while len(narrow.seen) < _AT_ONCE:
            time.sleep(0.01)
        node.pass_time(3600)
        whole.set()
        assert client.read(2) == b"ho"


def test_an_upstream_that_answers_and_reads_no_further_is_cut(node: Node, narrow: RecordingUpstream) -> None:
    """What it has not read of the request is no reason to keep its connection and its place."""
    answered, ended = threading.Event(), threading.Event()

    def refuse(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        assert answered.wait(PATIENCE)
        conversation.wait_for_end()
        ended.set()

    narrow.begin_anew(refuse)
    host = add_portal(node, [narrow.url])
    head = request(host, b"Content-Length: 900000000", method=b"POST")
    with node.connect(host) as client:
        _say_at_once(node, client.sock, head + b"x" * _AT_ONCE)
        assert client.read_answer().status == 413
    answered.set()
    assert ended.wait(PATIENCE)
    assert len(narrow.seen) < _AT_ONCE  # the rest was not waited for


def test_frames_that_clog_the_way_before_the_tunnel_are_held_back(
    node: Node, narrow: RecordingUpstream
) -> None:
    """Of what a client sends ahead of the 101, and behind it, no more is taken than the upstream takes."""
    sent, over = threading.Event(), threading.Event()

    def switch(conversation: Conversation) -> None:
        conversation.read_head()
        assert sent.wait(PATIENCE)
        conversation.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        over.wait(PATIENCE * 4)

    narrow.begin_anew(switch)
    host = add_portal(node, [narrow.url])
    upgrade = (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13")
    opening = request(host, *upgrade, b"Origin: https://" + host.encode())
    with node.connect(host) as client:
        _say_at_once(node, client.sock, opening + b"\x82\x7f" + _WHOLE.to_bytes(8, "big") + b"x" * _AT_ONCE)
        assert _taken(client.sock) < _HELD_AT_MOST
        sent.set()
        assert client.read_answer().status == 101
        assert _taken(client.sock) < _HELD_AT_MOST
    over.set()
