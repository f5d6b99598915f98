"""Requests that are as they should be, on their way to the upstream and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.edge.visit import Door

if TYPE_CHECKING:
    from tests.journeys.node import Node
    from tests.journeys.upstream import Conversation, RecordingUpstream


def test_a_signed_in_get_reaches_the_upstream(node: Node, upstream: RecordingUpstream) -> None:
    """A signed-in visit is forwarded with who is asking, and without the session cookie."""
    with node.connect() as client:
        answer = client.ask(node.get("/invoices?page=2", b"Accept: */*"))
    assert (answer.status, answer.body) == (200, b"ok")
    seen = upstream.seen
    assert seen.startswith(b"GET /invoices?page=2 HTTP/1.1\r\nHost: acme.portal.example\r\n")
    assert b"X-Portal-Email: ada@example.com\r\n" in seen
    assert b"X-Portal-Customer: C-1001\r\n" in seen
    assert seen.count(b"X-Portal-Jwt-Assertion: ey") == 1
    assert b"__Host-portal-session" not in seen


def test_bodies_keep_their_framing(node: Node, upstream: RecordingUpstream) -> None:
    """A body with a length arrives with that length; a chunked one arrives chunked, extensions gone."""
    head = b"POST /form HTTP/1.1\r\nHost: acme.portal.example\r\n" + node.cookie
    with node.connect() as client:
        assert client.ask(head + b"Content-Length: 5\r\n\r\nhello").status == 200
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\n\r\n"
        assert client.ask(chunked).status == 200
    assert b"Content-Length: 5\r\n" in upstream.seen
    assert b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n" in upstream.seen


def test_pipelined_requests_are_answered_in_order(node: Node, upstream: RecordingUpstream) -> None:
    """Three requests in one segment get three answers, in their order."""

    def echo_path(conversation: Conversation) -> None:
        while True:
            path = conversation.read_head().split(b" ")[1]
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    upstream.begin_anew(echo_path)
    with node.connect() as client:
        client.send(node.get("/1") + node.get("/2") + node.get("/3"))
        assert [client.read_answer().body for _ in range(3)] == [b"/1", b"/2", b"/3"]


def test_plain_http_redirects(node: Node) -> None:
    """The plain port sends known hosts to HTTPS, path and query kept."""
    with node.connect(door=Door.HTTP) as client:
        answer = client.ask(node.get("/a?b=c", signed_in=False))
    assert answer.status == 308
    assert answer.field("location") == "https://acme.portal.example/a?b=c"


def test_websocket_passes_both_ways(node: Node, upstream: RecordingUpstream) -> None:
    """After a 101, octets pass both ways, those included that came with the head."""

    def switch(conversation: Conversation) -> None:
        head = conversation.read_head()
        assert b"Upgrade: websocket\r\n" in head
        conversation.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly"
        )
        conversation.send(conversation.read(4))
        conversation.wait_for_end()

    upstream.begin_anew(switch)
    with node.connect() as client:
        client.send(
            node.get(
                "/live",
                b"Connection: Upgrade",
                b"Upgrade: websocket",
                b"Origin: https://acme.portal.example",
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                b"Sec-WebSocket-Version: 13",
            )
        )
        assert client.read_answer().status == 101
        assert client.read(5) == b"early"
        client.send(b"ping")
        assert client.read(4) == b"ping"
