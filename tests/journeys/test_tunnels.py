"""WebSockets: who may open one, what passes, and when it ends."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from router.identity.sessions import key_of
from tests.journeys.upstream import OK, PATIENCE

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from tests.journeys.node import Client, Node
    from tests.journeys.upstream import Conversation, RecordingUpstream

_ORIGIN = "https://acme.portal.example"
_SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
_ACCEPTED = _SWITCHING + b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
_FROM_CLIENT = b"\x81\x82\x00\x00\x00\x00hi"
_FROM_UPSTREAM = b"\x81\x02ho"

_MIB = 1_048_576
_WHOLE = 64 * _MIB
_HELD_AT_MOST = 24 * _MIB
_BLOCKED = 0.4  # seconds without a single octet taken, on a loopback interface


def _opening(
    node: Node, *more: bytes, path: str = "/live", origin: str | None = _ORIGIN, token: str | None = ""
) -> bytes:
    """Write the opening handshake as a browser would; by Ada, unless another token is given, or none."""
    lines = [
        b"Connection: keep-alive, Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"Sec-WebSocket-Version: 13",
        *more,
    ]
    if origin is not None:
        lines.append(f"Origin: {origin}".encode())
    if token:
        lines.append(f"Cookie: __Host-portal-session={token}".encode())
    return node.get(path, *lines, signed_in=token == "")


def _accept(conversation: Conversation) -> None:
    conversation.read_head()
    conversation.send(_ACCEPTED)


def _open(node: Node, client: Client, request: bytes | None = None) -> None:
    client.send(request or _opening(node))
    assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")


# -- who may --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "https://evil.example",
        "http://acme.portal.example",
        "https://acme.portal.example:8443",
        "https://portal.example",
        "https://globex.portal.example",
        "https://billing.globex.test",
        "https://sub.acme.portal.example",
        "https://acme.portal.example.evil.example",
        "https://evilacme.portal.example",
        "https://acme.portal.example@evil.example",
        "https://evil.example/https://acme.portal.example",
        "https://acme.portal.example, https://evil.example",
        "https://[::1",
        "acme.portal.example",
        "wss://acme.portal.example",
    ],
)
def test_a_foreign_origin_is_refused(node: Node, upstream: RecordingUpstream, origin: str | None) -> None:
    """A page of another site cannot open a WebSocket with the visitor's session: 403, and no contact."""
    with node.connect() as client:
        assert client.ask(_opening(node, origin=origin)).status == 403
    assert upstream.contacts == []


def test_two_origins_are_refused(node: Node, upstream: RecordingUpstream) -> None:
    """Whoever names two origins does not choose which one is believed."""
    for origins in ((_ORIGIN, "https://evil.example"), ("https://evil.example", _ORIGIN)):
        with node.connect() as client:
            request = _opening(node, f"Origin: {origins[0]}".encode(), origin=origins[1])
            assert client.ask(request).status == 403
    assert upstream.contacts == []


@pytest.mark.parametrize("token", [None, "A" * 43], ids=["no session", "nobody's session"])
def test_a_stranger_is_refused(node: Node, upstream: RecordingUpstream, token: str | None) -> None:
    """Without a session it is 401, never a redirect, and no contact."""
    with node.connect() as client:
        answer = client.ask(_opening(node, b"Accept: text/html", token=token))
    assert (answer.status, answer.field("location")) == (401, None)
    assert upstream.contacts == []


def test_another_tenants_session_is_refused(node: Node, upstream: RecordingUpstream) -> None:
    """A session of acme's opens no WebSocket at globex's."""
    host = "billing.globex.test"
    request = _opening(node, origin=f"https://{host}").replace(
        b"Host: acme.portal.example", b"Host: " + host.encode()
    )
    with node.connect(host) as client:
        assert client.ask(request).status == 401
    assert upstream.contacts == []


# -- how it begins --------------------------------------------------------------------------------------


def test_the_upstream_is_asked_for_a_websocket_in_our_words(node: Node, upstream: RecordingUpstream) -> None:
    """The handshake goes on with exactly one Connection and Upgrade, and with who is asking."""

    def accept(conversation: Conversation) -> None:
        _accept(conversation)
        conversation.wait_for_end()

    upstream.begin_anew(accept)
    with node.connect() as client:
        _open(node, client, _opening(node, b"Connection: X-Drop", b"X-Drop: evil", b"HTTP2-Settings: evil"))
    (request,) = upstream.requests
    assert request.value("Connection") == b"Upgrade"
    assert request.value("Upgrade") == b"websocket"
    assert request.value("Sec-WebSocket-Key") == b"dGhlIHNhbXBsZSBub25jZQ=="
    assert request.value("X-Portal-Email") == b"ada@example.com"
    assert request.values("Content-Length") == request.values("Transfer-Encoding") == []
    assert b"evil" not in upstream.seen


@pytest.mark.parametrize(
    "status", [b"200 OK", b"403 Forbidden", b"426 Upgrade Required", b"503 Service Unavailable"]
)
def test_an_upstream_that_does_not_switch_makes_no_tunnel(
    node: Node, upstream: RecordingUpstream, status: bytes
) -> None:
    """Its answer is an answer like any other: what follows on the connection is read as HTTP, and judged."""

    def decline(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\nno" % status)
        conversation.wait_for_end()

    upstream.begin_anew(decline)
    with node.connect() as client:
        client.send(_opening(node) + node.get("/-/nothing") + _FROM_CLIENT + b"\r\n\r\n")
        answers = [client.read_answer() for _ in range(3)]
        assert client.read_to_end() == b""
    assert answers[0].status == int(status[:3])
    assert answers[0].body == b"no"
    assert [answer.status for answer in answers[1:]] == [404, 400]
    assert _FROM_CLIENT not in upstream.seen


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
        b"HTTP/1.0 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    ],
    ids=["nothing said", "to h2c", "to two", "HTTP/1.0"],
)
def test_a_switch_to_something_else_is_502(node: Node, upstream: RecordingUpstream, answer: bytes) -> None:
    """Only a switch to what was asked for makes a tunnel; anything else costs the upstream its connection."""
    ended = threading.Event()

    def switch(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(answer + _FROM_UPSTREAM)
        conversation.wait_for_end()
        ended.set()

    upstream.begin_anew(switch)
    with node.connect() as client:
        told = client.ask(_opening(node))
    assert told.status == 502
    assert _FROM_UPSTREAM not in told.head + told.body
    assert ended.wait(PATIENCE)


# -- what passes ----------------------------------------------------------------------------------------


def test_octets_in_a_tunnel_are_nobodys_requests(node: Node, upstream: RecordingUpstream) -> None:
    """What looks like HTTP in a tunnel passes as it stands, both ways, and is neither read nor answered."""
    request, answer = node.get("/smuggled"), OK

    def converse(conversation: Conversation) -> None:
        _accept(conversation)
        assert conversation.read(len(request)) == request
        conversation.send(answer)
        conversation.wait_for_end()

    upstream.begin_anew(converse)
    with node.connect() as client:
        _open(node, client)
        client.send(request)
        assert client.read(len(answer)) == answer
    assert len(upstream.contacts) == 1


def test_what_was_said_before_the_end_arrives(node: Node, upstream: RecordingUpstream) -> None:
    """The upstream's last words reach the client, then the connection ends."""
    last = _FROM_UPSTREAM * 10_000 + b"\x88\x02\x03\xe8"

    def say_goodbye(conversation: Conversation) -> None:
        _accept(conversation)
        conversation.send(last)

    upstream.begin_anew(say_goodbye)
    with node.connect() as client:
        _open(node, client)
        assert client.read_to_end() == last


def test_a_client_that_goes_ends_the_upstreams_side(node: Node, upstream: RecordingUpstream) -> None:
    """The client's last words reach the upstream, then its connection ends as well."""
    ended = threading.Event()

    def listen(conversation: Conversation) -> None:
        _accept(conversation)
        assert conversation.read(len(_FROM_CLIENT)) == _FROM_CLIENT
        conversation.wait_for_end()
        ended.set()

    upstream.begin_anew(listen)
    with node.connect() as client:
        _open(node, client)
        client.send(_FROM_CLIENT)
    assert ended.wait(PATIENCE)


def _send_until_blocked(sock: socket.socket, header: bytes) -> int:
    """Send one frame of 64 MiB until nobody has taken anything for a while; how much went."""
    patience, sent = sock.gettimeout(), 0
    sock.sendall(header)
    sock.settimeout(_BLOCKED)
    try:
        while sent < _WHOLE:
            sent += sock.send(b"x" * min(65_536, _WHOLE - sent))
    except TimeoutError:
        pass
    sock.settimeout(patience)
    return sent


def _count_x(sock: socket.socket) -> int:
    got = 0
    while got < _WHOLE and (piece := sock.recv(_MIB)):
        got += piece.count(b"x")
    return got


def test_a_client_that_does_not_read_holds_the_upstream_back(node: Node, upstream: RecordingUpstream) -> None:
    """Of a frame of 64 MiB the router takes a few; once the client reads, all of it arrives."""
    blocked = threading.Event()
    blocked_after: list[int] = []

    def pour(conversation: Conversation) -> None:
        _accept(conversation)
        sent = _send_until_blocked(conversation.sock, b"\x82\x7f" + _WHOLE.to_bytes(8, "big"))
        blocked_after.append(sent)
        blocked.set()
        conversation.send(b"x" * (_WHOLE - sent))
        conversation.wait_for_end()

    upstream.begin_anew(pour)
    with node.connect() as client:
        _open(node, client)
        assert blocked.wait(PATIENCE)
        assert 0 < blocked_after[0] < _HELD_AT_MOST
        assert client.read(2) == b"\x82\x7f"
        # What came with the head is held by the client; the rest is counted past it.
        assert client.held.count(b"x") + _count_rest(client) == _WHOLE


def _count_rest(client: Client) -> int:
    wanted, got = _WHOLE - client.held.count(b"x"), 0
    while got < wanted and (piece := client.sock.recv(65_536)):
        got += piece.count(b"x")
    return got


def test_an_upstream_that_does_not_read_holds_the_client_back(
    node: Node, upstream: RecordingUpstream
) -> None:
    """The same the other way."""
    blocked = threading.Event()
    arrived: list[int] = []
    done = threading.Event()

    def read_late(conversation: Conversation) -> None:
        _accept(conversation)
        assert blocked.wait(PATIENCE)
        arrived.append(_count_x(conversation.sock))
        done.set()
        conversation.wait_for_end()

    upstream.begin_anew(read_late)
    with node.connect() as client:
        _open(node, client)
        sent = _send_until_blocked(client.sock, b"\x82\xff" + _WHOLE.to_bytes(8, "big") + b"\x00" * 4)
        assert 0 < sent < _HELD_AT_MOST
        blocked.set()
        client.send(b"x" * (_WHOLE - sent))
        assert done.wait(PATIENCE * 2)
    assert arrived == [_WHOLE]


# -- when it ends ---------------------------------------------------------------------------------------


def _until_told_to_go(ended: threading.Event) -> tuple[list[bytes], Callable[[Conversation], None]]:
    told: list[bytes] = []

    def converse(conversation: Conversation) -> None:
        _accept(conversation)
        assert conversation.read(len(_FROM_CLIENT)) == _FROM_CLIENT
        conversation.send(_FROM_UPSTREAM)
        begun = len(conversation.seen)
        conversation.wait_for_end()
        told.append(bytes(conversation.seen[begun:]))
        ended.set()

    return told, converse


@pytest.mark.parametrize(
    "end", ["revoked", "all of a user's", "all of a tenant's", "disabled", "new password"]
)
def test_a_tunnel_ends_with_its_session(node: Node, upstream: RecordingUpstream, end: str) -> None:
    """Within a second of the session's end both sides are told to close, and nothing more passes."""
    slug = "globex" if end == "all of a tenant's" else "acme"
    host = "billing.globex.test" if slug == "globex" else node.host
    email = f"tunnel-{end.replace(' ', '-').replace(chr(39), '')}@example.com"
    token, session = node.sign_in(slug, email)
    ways = {
        "revoked": node.sessions.revoke(key_of(token)),
        "all of a user's": node.sessions.revoke_user(session.user_id),
        "all of a tenant's": node.sessions.revoke_tenant(session.tenant_id),
        "disabled": node.users.disable(session.user_id, actor="test"),
        "new password": node.users.set_password(session.user_id, "another fine staple 9", actor="test"),
    }
    chosen = ways.pop(end)
    for other in ways.values():
        other.close()
    ended = threading.Event()
    told, converse = _until_told_to_go(ended)
    upstream.begin_anew(converse)
    opening = _opening(node, origin=f"https://{host}", token=token)
    with node.connect(host) as client:
        _open(node, client, opening.replace(b"Host: " + node.host.encode(), b"Host: " + host.encode()))
        client.send(_FROM_CLIENT)
        assert client.read(len(_FROM_UPSTREAM)) == _FROM_UPSTREAM
        node.operate(chosen)
        assert client.read(4) == b"\x88\x02\x03\xf0"  # 1008, RFC 6455 section 7.4.1
        client.send(_FROM_CLIENT)
    assert ended.wait(PATIENCE)
    assert told == [b"\x88\x82\x00\x00\x00\x00\x03\xf0"]


def test_a_tunnel_ends_though_nobody_answers(node: Node, upstream: RecordingUpstream) -> None:
    """A client that ignores the close frame is cut off all the same."""
    token, _ = node.sign_in("acme", "tunnel-stubborn@example.com")
    ended = threading.Event()
    _, converse = _until_told_to_go(ended)
    upstream.begin_anew(converse)
    with node.connect() as client:
        _open(node, client, _opening(node, token=token))
        client.send(_FROM_CLIENT)
        client.read(len(_FROM_UPSTREAM))
        node.operate(node.sessions.revoke(key_of(token)))
        assert client.read_to_end() == b"\x88\x02\x03\xf0"
        assert ended.wait(PATIENCE)


async def test_a_tunnel_of_another_session_goes_on(node: Node, upstream: RecordingUpstream) -> None:
    """The end of one session closes its own tunnels only."""
    token, _ = node.sign_in("acme", "tunnel-first@example.com")
    other, _ = node.sign_in("acme", "tunnel-second@example.com")

    def echo(conversation: Conversation) -> None:
        _accept(conversation)
        while True:
            conversation.send(conversation.read(1))

    upstream.begin_anew(echo)
    with node.connect() as first, node.connect() as second:
        _open(node, first, _opening(node, token=token))
        _open(node, second, _opening(node, token=other))
        await asyncio.to_thread(node.operate, node.sessions.revoke(key_of(token)))
        assert first.read(2) == b"\x88\x02"
        second.send(_FROM_CLIENT)
        assert second.read(len(_FROM_CLIENT)) == _FROM_CLIENT
