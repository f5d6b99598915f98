"""Nobody has the worker to themselves: what comes in many small pieces is read between other visits.

The longest turn of the loop is measured in CPU time, of which a whole read of such pieces would take four to
fifty times what is allowed here.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.journeys.portals import add_portal, request
from tests.journeys.turns import watched_turns
from tests.journeys.upstream import PATIENCE

if TYPE_CHECKING:
    from tests.journeys.node import Client, Node
    from tests.journeys.upstream import Conversation, RecordingUpstream

_TURN = 0.015
_ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
_POLICY = b"\x88\x02\x03\xf0"  # 1008, RFC 6455 section 7.4.1


def test_chunks_of_a_few_octets_leave_others_their_turn(node: Node, upstream: RecordingUpstream) -> None:
    """A body in forty thousand chunks arrives whole, and never holds the loop for long."""
    asked: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def answer(conversation: Conversation) -> None:
        asked.put(conversation.read_request())
        conversation.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    upstream.begin_anew(answer)
    head = node.get("/", b"Transfer-Encoding: chunked").replace(b"GET", b"POST", 1)
    with node.connect() as client, watched_turns(node) as turns:
        assert client.ask(head + b"8\r\n12345678\r\n" * 40_000 + b"0\r\n\r\n").status == 204
    assert asked.get().count(b"12345678") >= 40_000 // 8
    assert turns.longest < _TURN


def test_a_body_of_single_octets_is_refused(node: Node, upstream: RecordingUpstream) -> None:
    """Thousands of chunks of next to nothing are work for its own sake: 400, and the connection closed."""
    upstream.begin_anew(lambda conversation: conversation.wait_for_end())
    head = node.get("/", b"Transfer-Encoding: chunked").replace(b"GET", b"POST", 1)
    with node.connect() as client, watched_turns(node) as turns:
        client.send(head + b"1\r\nx\r\n" * 20_000)
        answer = client.read_answer()
        assert answer.status == 400
        assert b"tiny_chunks" in answer.body
        client.read_to_end()
        assert client.ended == "closed"
    assert turns.longest < _TURN


def test_an_answer_of_single_octets_leaves_others_their_turn(node: Node, upstream: RecordingUpstream) -> None:
    """A backend may write octet by octet: its answer is whole, but it does not hold the loop either."""

    def answer(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        conversation.send(b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")
        conversation.sock.close()

    upstream.begin_anew(answer)
    with node.connect() as client, watched_turns(node) as turns:
        assert client.ask(node.get("/")).body == b"x" * 50_000
    assert turns.longest < _TURN


def test_pipelined_requests_leave_others_their_turn(node: Node) -> None:
    """A thousand requests in one piece are answered a few at a time, all of them and in order."""
    requests = b"".join(node.get(f"/{number}", signed_in=False) for number in range(1_000))
    with node.connect() as client, watched_turns(node) as turns:
        client.send(requests)
        assert {client.read_answer().status for _ in range(1_000)} == {401}
        client.read_to_end()
        assert client.ended == "closed"
    assert turns.longest < _TURN


def _open(node: Node, host: str, client: Client) -> None:
    lines = (b"Connection: Upgrade", b"Upgrade: websocket", f"Origin: https://{host}".encode())
    client.send(request(host, *lines))
    assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")


def test_short_messages_leave_others_their_turn(node: Node, upstream: RecordingUpstream) -> None:
    """Messages of an octet each pass, all of them, both ways at once, without holding the loop."""
    count = 60_000
    to_upstream, to_client = b"\x82\x81\0\0\0\0x" * count, b"\x82\x01x" * count
    arrived: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def exchange(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(_ACCEPTED)
        sending = threading.Thread(target=conversation.send, args=(to_client,))
        sending.start()
        arrived.put(conversation.read(len(to_upstream)) == to_upstream)
        sending.join(PATIENCE)
        conversation.wait_for_end()

    upstream.begin_anew(exchange)
    host = add_portal(node, [upstream.url])
    with node.connect(host) as client, watched_turns(node) as turns:
        _open(node, host, client)
        sending = threading.Thread(target=client.send, args=(to_upstream,))
        sending.start()
        assert client.read(len(to_client)) == to_client
        sending.join(PATIENCE)
        assert arrived.get(timeout=PATIENCE)
    assert turns.longest < _TURN


@pytest.mark.parametrize("nothing", [b"\x82\x80\0\0\0\0", b"\x89\x80\0\0\0\0"], ids=["empty", "pings"])
def test_a_flood_of_frames_that_carry_nothing_ends_the_tunnel(
    node: Node, upstream: RecordingUpstream, nothing: bytes
) -> None:
    """Both ends are told 1008, and the loop was not held for it."""
    told: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def accept(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(_ACCEPTED)
        conversation.wait_for_end()
        told.put(bytes(conversation.seen[-8:]))

    upstream.begin_anew(accept)
    host = add_portal(node, [upstream.url])
    with node.connect(host) as client, watched_turns(node) as turns:
        _open(node, host, client)
        client.send(nothing * 40_000)
        assert client.read(len(_POLICY)) == _POLICY
    assert told.get(timeout=PATIENCE) == b"\x88\x82\0\0\0\0\x03\xf0"
    assert turns.longest < _TURN


def test_pings_now_and_then_are_no_flood(node: Node, upstream: RecordingUpstream) -> None:
    """However many there were over the years: only those of the last few seconds count."""

    def accept(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(_ACCEPTED)
        conversation.read(6 * 4_900 * 3)
        conversation.send(b"\x82\x02ok")
        conversation.wait_for_end()

    upstream.begin_anew(accept)
    host = add_portal(node, [upstream.url])
    with node.connect(host) as client:
        _open(node, host, client)
        for seconds in (6, 12, 18):
            client.send(b"\x89\x80\0\0\0\0" * 4_900)
            while sum(len(each.seen) for each in upstream.contacts) < 4_900 * seconds:
                time.sleep(0.01)
            node.pass_time(seconds)
        assert client.read(4) == b"\x82\x02ok"
