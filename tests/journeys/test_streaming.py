"""Bodies on their way: passed on as they come, held back where somebody is slow, framed for their reader."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.journeys.upstream import OK, PATIENCE

if TYPE_CHECKING:
    from tests.journeys.node import Client, Node
    from tests.journeys.upstream import Conversation, RecordingUpstream

_MIB = 1_048_576
_WHOLE = 64 * _MIB
_HELD_AT_MOST = 24 * _MIB  # what four kernel buffers of this machine may hold, and far from all of it
_BLOCKED = 0.4  # seconds without a single octet taken, on a loopback interface
_PIECE = b"x" * 65_536


def _send_until_blocked(sock: socket.socket) -> int:
    """Send until nobody has taken anything for a while, or all is gone; how much went."""
    patience, sent = sock.gettimeout(), 0
    sock.settimeout(_BLOCKED)
    try:
        while sent < _WHOLE:
            sent += sock.send(_PIECE[: _WHOLE - sent])
    except TimeoutError:
        pass
    sock.settimeout(patience)
    return sent


# -- at once --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "framing", [b"Transfer-Encoding: chunked\r\n", b""], ids=["chunked", "until the close"]
)
def test_each_event_arrives_before_the_next_is_sent(
    node: Node, upstream: RecordingUpstream, framing: bytes
) -> None:
    """Server-Sent Events are not gathered: the upstream sends one, and waits until the client has it."""
    arrived = threading.Semaphore(0)

    def tell(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + framing + b"\r\n")
        for number in range(5):
            event = b"data: %d\n\n" % number
            conversation.send(b"%x\r\n%b\r\n" % (len(event), event) if framing else event)
            assert arrived.acquire(timeout=PATIENCE)
        if framing:
            conversation.send(b"0\r\n\r\n")

    upstream.begin_anew(tell)
    with node.connect() as client:
        client.send(node.get("/events"))
        assert b"text/event-stream" in client.read_until(b"\r\n\r\n")
        for number in range(5):
            assert client.read_until(b"\n\n\r\n") == b"9\r\ndata: %d\n\n\r\n" % number
            arrived.release()
        assert client.read_until(b"\r\n\r\n") == b"0\r\n\r\n"


def test_a_head_arrives_before_its_body(node: Node, upstream: RecordingUpstream) -> None:
    """An answer whose body is long in coming has begun already: the client sees its head."""
    arrived = threading.Event()

    def dawdle(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        assert arrived.wait(PATIENCE)
        conversation.send(b"hello")

    upstream.begin_anew(dawdle)
    with node.connect() as client:
        client.send(node.get("/"))
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
        arrived.set()
        assert client.read(5) == b"hello"


@pytest.mark.parametrize(
    "line", [b"Content-Length: 6", b"Transfer-Encoding: chunked"], ids=["length", "chunked"]
)
def test_an_upload_arrives_as_it_is_sent(node: Node, upstream: RecordingUpstream, line: bytes) -> None:
    """Neither the head nor any piece of an upload waits for the rest."""
    arrived = threading.Semaphore(0)
    chunked = b"chunked" in line

    def receive(conversation: Conversation) -> None:
        conversation.read_head()
        arrived.release()
        for piece in (b"ab", b"cd", b"ef"):
            expected = b"2\r\n%b\r\n" % piece if chunked else piece
            assert conversation.read(len(expected)) == expected
            arrived.release()
        if chunked:
            conversation.read(5)
        conversation.send(OK)

    upstream.begin_anew(receive)
    with node.connect() as client:
        client.send(node.get("/", line).replace(b"GET", b"POST", 1))
        for piece in (b"ab", b"cd", b"ef"):
            assert arrived.acquire(timeout=PATIENCE)
            client.send(b"2\r\n%b\r\n" % piece if chunked else piece)
        client.send(b"0\r\n\r\n" if chunked else b"")
        assert client.read_answer().body == b"ok"


# -- slow ends ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked", "until the close"])
def test_a_slow_reader_holds_the_upstream_back(node: Node, upstream: RecordingUpstream, framing: str) -> None:
    """Of 64 MiB that nobody reads, the router takes a few; once they are read, all of them arrive."""
    blocked_after: list[int] = []
    blocked = threading.Event()
    fields = {
        "length": b"Content-Length: %d\r\n" % _WHOLE,
        "chunked": b"Transfer-Encoding: chunked\r\n",
        "until the close": b"",
    }[framing]

    def pour(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n")
        conversation.send(b"%x\r\n" % _WHOLE if framing == "chunked" else b"")
        sent = _send_until_blocked(conversation.sock)
        blocked_after.append(sent)
        blocked.set()
        while sent < _WHOLE:
            sent += conversation.sock.send(_PIECE[: _WHOLE - sent])
        conversation.send(b"\r\n0\r\n\r\n" if framing == "chunked" else b"")

    upstream.begin_anew(pour)
    with node.connect() as client:
        client.send(node.get("/"))
        client.read_until(b"\r\n\r\n")
        assert blocked.wait(PATIENCE)
        assert 0 < blocked_after[0] < _HELD_AT_MOST
        assert _read_body(client, chunked=framing != "length") == _WHOLE


def _read_body(client: Client, *, chunked: bool) -> int:
    if not chunked:
        return _drop(client, _WHOLE)
    got = 0
    while size := int(client.read_until(b"\r\n"), 16):
        got += _drop(client, size)
        assert client.read(2) == b"\r\n"
    return got


def _drop(client: Client, count: int) -> int:
    left = count
    while left:
        left -= len(client.read(min(left, 65_536)))
    return count


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_slow_upstream_holds_the_client_back(
    node: Node, upstream: RecordingUpstream, *, chunked: bool
) -> None:
    """Of 64 MiB that the upstream does not read, the router takes a few; then all of them arrive."""
    blocked = threading.Event()
    arrived: list[int] = []

    def read_late(conversation: Conversation) -> None:
        conversation.read_head()
        assert blocked.wait(PATIENCE)
        arrived.append(_count(conversation, b"\r\n0\r\n\r\n" if chunked else b""))
        conversation.send(OK)

    upstream.begin_anew(read_late)
    line = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % _WHOLE
    with node.connect() as client:
        client.send(node.get("/", line).replace(b"GET", b"POST", 1))
        client.send(b"%x\r\n" % _WHOLE if chunked else b"")
        sent = _send_until_blocked(client.sock)
        assert 0 < sent < _HELD_AT_MOST
        blocked.set()
        while sent < _WHOLE:
            sent += client.sock.send(_PIECE[: _WHOLE - sent])
        client.send(b"\r\n0\r\n\r\n" if chunked else b"")
        assert client.read_answer().body == b"ok"
    assert arrived == [_WHOLE]


def _count(conversation: Conversation, end: bytes) -> int:
    """Count the data of a body, which is all ``x``; past the record, which is not made for 64 MiB."""
    tail = bytes(conversation.seen).partition(b"\r\n\r\n")[2]
    got = tail.count(b"x")
    while got < _WHOLE or not tail.endswith(end):
        piece = conversation.sock.recv(_MIB)
        if not piece:
            break
        got += piece.count(b"x")
        tail = (tail + piece)[-16:]
    return got


def test_a_flood_of_pipelined_requests_is_held_back(node: Node, upstream: RecordingUpstream) -> None:
    """While one request is under way, the router takes few of those behind it."""
    asked, end = threading.Event(), threading.Event()

    def keep_waiting(conversation: Conversation) -> None:
        conversation.read_request()
        asked.set()
        end.wait(PATIENCE)

    upstream.begin_anew(keep_waiting)
    with node.connect() as client:
        client.send(node.get("/"))
        assert asked.wait(PATIENCE)
        assert _send_until_blocked(client.sock) < _HELD_AT_MOST
    end.set()


def test_a_slow_reader_holds_back_no_visit_after_it(node: Node, upstream: RecordingUpstream) -> None:
    """An upstream connection whose last answer is still being read carries the next visit all the same."""

    def answer(conversation: Conversation) -> None:
        while True:
            path = conversation.read_request().split(b" ")[1]
            length = int(path[1:])
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + b"x" * length)

    # At which length the last of an answer finds no room is the kernel's choice.
    for length in range(500_000, 8_000_000, 150_000):
        upstream.begin_anew(answer)
        with node.connect() as slow, node.connect() as other:
            slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            slow.send(node.get(f"/{length}"))
            slow.read_until(b"\r\n\r\n")
            other.sock.settimeout(PATIENCE)
            assert other.ask(node.get("/2")).body == b"xx"
            assert other.ask(node.get("/3")).body == b"xxx"


# -- trailers and HTTP/1.0 ------------------------------------------------------------------------------


def _answer(upstream: RecordingUpstream, answer: bytes, *, then_cut: bool = False) -> None:
    def script(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(answer)
        if then_cut:
            return
        conversation.wait_for_end()

    upstream.begin_anew(script)


_WITH_TRAILERS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    b"0\r\nX-Checksum: abc\r\nContent-Length: 50\r\nX-Router-Tenant: evil\r\nSet-Cookie: a=evil\r\n\r\n"
)


def test_trailers_reach_the_client(node: Node, upstream: RecordingUpstream) -> None:
    """Trailers are passed on, save those that would change how the answer is framed or believed."""
    _answer(upstream, _WITH_TRAILERS)
    with node.connect() as client:
        client.send(node.get("/"))
        client.read_until(b"\r\n\r\n")
        assert client.read_until(b"\r\n\r\n") == b"5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n"


def test_trailers_reach_the_upstream(node: Node, upstream: RecordingUpstream) -> None:
    """A request's trailers are passed on likewise."""
    body = b"5\r\nhello\r\n0\r\nX-Checksum: abc\r\nX-Portal-Email: evil\r\n\r\n"
    with node.connect() as client:
        request = node.get("/", b"Transfer-Encoding: chunked").replace(b"GET", b"POST", 1)
        assert client.ask(request + body).status == 200
    (request_seen,) = upstream.requests
    assert (request_seen.body, request_seen.trailers) == (b"hello", ((b"X-Checksum", b"abc"),))


def _get_as_http10(node: Node, *lines: bytes) -> bytes:
    return node.get("/", *lines).replace(b"HTTP/1.1", b"HTTP/1.0", 1)


@pytest.mark.parametrize(
    "answer",
    [_WITH_TRAILERS, b"HTTP/1.1 103 Early Hints\r\n\r\n" + _WITH_TRAILERS, b"HTTP/1.1 200 OK\r\n\r\nhello"],
    ids=["chunked", "after an interim answer", "until the close"],
)
def test_an_http10_client_reads_until_a_clean_end(
    node: Node, upstream: RecordingUpstream, answer: bytes
) -> None:
    """It gets no chunks, trailers or interim answers: the plain body, and the goodbye of TLS as its end."""
    _answer(upstream, answer, then_cut=True)
    with node.connect() as client:
        client.send(_get_as_http10(node))
        head, _, body = client.read_to_end().partition(b"\r\n\r\n")
        assert client.ended == "closed"
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"chunked" not in head
    assert body == b"hello"


def test_an_http10_client_can_tell_a_cut(node: Node, upstream: RecordingUpstream) -> None:
    """Where the end of the connection is the end of the body, half a body ends without a goodbye."""
    _answer(upstream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", then_cut=True)
    with node.connect() as client:
        client.send(_get_as_http10(node))
        client.read_to_end()
        assert client.ended == "cut"


def test_an_http10_client_keeps_a_length(node: Node, upstream: RecordingUpstream) -> None:
    """A length is a length to everybody; the connection ends after it all the same."""
    with node.connect() as client:
        answer = client.ask(_get_as_http10(node, b"Connection: keep-alive"))
        assert (answer.field("content-length"), answer.body) == ("2", b"ok")
        assert client.read_to_end() == b""
        assert client.ended == "closed"
    assert upstream.requests[0].values("Connection") == []


@pytest.mark.parametrize("step", [1, 7, 100])
def test_how_octets_are_cut_into_segments_makes_no_difference(
    node: Node, upstream: RecordingUpstream, step: int
) -> None:
    """A request and an answer that come in crumbs are the request and the answer."""
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n"
    )

    def crumble(conversation: Conversation) -> None:
        conversation.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conversation.read_request()
        for at in range(0, len(answer), step):
            conversation.send(answer[at : at + step])

    upstream.begin_anew(crumble)
    request = (
        node.get("/", b"Transfer-Encoding: chunked").replace(b"GET", b"POST", 1) + b"5\r\nhello\r\n0\r\n\r\n"
    )
    with node.connect() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(request), step):
            client.send(request[at : at + step])
        came = client.read_answer()
    assert (came.status, came.field("x-a"), came.body) == (200, "b", b"hello")
    assert upstream.requests[0].body == b"hello"
