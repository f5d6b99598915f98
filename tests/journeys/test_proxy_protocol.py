"""Behind load balancers: who the client is, said by those who are trusted to say so, and by nobody else."""

from __future__ import annotations

import re
import socket
import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from router.edge.visit import Door
from tests.journeys.node import PATIENCE, Client, running_node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.node import Node
    from tests.journeys.upstream import RecordingUpstream

_BALANCER, _STRANGER = "127.0.0.2", "127.0.0.3"
_CDN = "192.0.2.9"
_CLIENT, _OTHER, _CLIENT6 = "198.51.100.7", "203.0.113.5", "2001:db8::7"


@pytest.fixture(scope="module")
def behind(
    _listening_upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """Run a node behind a load balancer, in front of which there is a CDN."""
    trusted = [f"{_BALANCER}/32", "192.0.2.0/24"]
    folder = tmp_path_factory.mktemp("behind")
    settings = {"trusted_proxies": trusted, "proxy_protocol": True}
    with running_node(folder, _listening_upstream.url, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def behind_http(
    _listening_upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """Run a node behind a load balancer that speaks HTTP, in front of which there is a CDN."""
    trusted = [f"{_BALANCER}/32", "192.0.2.0/24"]
    folder = tmp_path_factory.mktemp("behind-http")
    with running_node(folder, _listening_upstream.url, trusted_proxies=trusted) as running:
        yield running


def _v1(source: str) -> bytes:
    if ":" in source:
        return f"PROXY TCP6 {source} 2001:db8::1 56324 443\r\n".encode()
    return f"PROXY TCP4 {source} 198.51.100.1 56324 443\r\n".encode()


def _v2(source: str, *, extra: bytes = b"") -> bytes:
    address = ip_address(source)
    family, mine = (0x11, "198.51.100.1") if address.version == 4 else (0x21, "2001:db8::1")
    block = address.packed + ip_address(mine).packed + b"\xdc\x04\x01\xbb" + extra
    return b"\r\n\r\n\x00\r\nQUIT\n" + bytes([0x21, family]) + len(block).to_bytes(2, "big") + block


_LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
_TLV = b"\x04\x00\x03abc"  # a NOOP field, section 2.2.4 of the specification
_HEADERS = [
    pytest.param(_v1(_CLIENT), _CLIENT, id="version 1"),
    pytest.param(_v1(_CLIENT6), _CLIENT6, id="version 1, IPv6"),
    pytest.param(b"PROXY UNKNOWN\r\n", _BALANCER, id="version 1, unknown"),
    pytest.param(_v2(_CLIENT), _CLIENT, id="version 2"),
    pytest.param(_v2(_CLIENT6), _CLIENT6, id="version 2, IPv6"),
    pytest.param(_v2(f"::ffff:{_CLIENT}"), _CLIENT, id="version 2, IPv4 in IPv6"),
    pytest.param(_v2(_CLIENT, extra=_TLV), _CLIENT, id="version 2, with more"),
    pytest.param(_LOCAL, _BALANCER, id="version 2, local"),
]


@pytest.mark.parametrize(("header", "expected"), _HEADERS)
def test_a_trusted_balancer_says_who_connects(
    behind: Node, upstream: RecordingUpstream, header: bytes, expected: str
) -> None:
    """The upstream learns the address in the PROXY header, for every request of the connection."""
    with behind.connect(source=_BALANCER, first=header) as client:
        for _ in range(2):
            assert client.ask(behind.get()).status == 200
    assert [each.value("x-forwarded-for") for each in upstream.requests] == [expected.encode()] * 2


@pytest.mark.parametrize(("header", "expected"), _HEADERS)
def test_the_plain_doors_read_the_header_too(behind: Node, header: bytes, expected: str) -> None:
    """It is consumed before the first request, on the door that redirects and on that of health checks."""
    del expected
    with behind.connect(door=Door.HTTP, source=_BALANCER, first=header) as client:
        assert client.ask(behind.get(signed_in=False)).status == 308
    with behind.connect(door=Door.HEALTH, source=_BALANCER, first=header) as client:
        assert client.ask(behind.get("/healthz", signed_in=False)).status == 200


@pytest.mark.parametrize("header", [_v1(_CLIENT), _v2(_CLIENT, extra=_TLV)], ids=["version 1", "version 2"])
def test_a_header_may_come_in_pieces(behind: Node, upstream: RecordingUpstream, header: bytes) -> None:
    """Octet by octet it is the same header, and what follows in the same piece is TLS."""
    address = ("127.0.0.1", behind.ports[Door.HTTPS])
    raw = socket.create_connection(address, timeout=PATIENCE, source_address=(_BALANCER, 0))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for octet in header[:-1]:
        raw.sendall(bytes([octet]))
    hello = ssl.MemoryBIO()
    incoming = ssl.MemoryBIO()
    tls = behind.trust.wrap_bio(incoming, hello, server_hostname=behind.host)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    with raw:
        raw.sendall(header[-1:] + hello.read())
        while True:
            incoming.write(raw.recv(65_536))
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(hello.read())
        tls.write(behind.get())
        raw.sendall(hello.read())
        answer = b""
        while not answer.startswith(b"HTTP/1.1 200 "):
            incoming.write(raw.recv(65_536))
            try:
                answer += tls.read()
            except ssl.SSLWantReadError:
                continue
    assert upstream.requests[0].value("x-forwarded-for") == _CLIENT.encode()


def _told(node: Node, door: Door, source: str, header: bytes) -> bytes:
    """All that is said to whoever says ``header``, and then begins as a client would."""
    rest = node.hello() if door is Door.HTTPS else node.get()
    address = ("127.0.0.1", node.ports[door])
    with socket.create_connection(address, timeout=PATIENCE, source_address=(source, 0)) as raw:
        raw.sendall(header + rest)
        return Client(raw).read_to_end()


_NO_TLS, _NO_HTTP = re.compile(rb"(\x15.*)?", re.DOTALL), re.compile(rb"(HTTP/1.1 (400|501) .*)?", re.DOTALL)
"""Nothing or an alert; nothing or a refusal."""


@pytest.mark.parametrize("header", [_v1(_CLIENT), _v2(_CLIENT)], ids=["version 1", "version 2"])
def test_a_stranger_s_header_is_garbage(behind: Node, upstream: RecordingUpstream, header: bytes) -> None:
    """Whoever is not trusted cannot say that it is somebody else: no TLS begins so, and no request."""
    assert _NO_TLS.fullmatch(_told(behind, Door.HTTPS, _STRANGER, header))
    told = _told(behind, Door.HTTP, _STRANGER, header)
    assert told
    assert _NO_HTTP.fullmatch(told)
    assert upstream.contacts == []


@pytest.mark.parametrize("header", [_v1(_CLIENT), _v2(_CLIENT)], ids=["version 1", "version 2"])
def test_clients_of_a_balancer_that_speaks_http_cannot_send_one(
    behind_http: Node, upstream: RecordingUpstream, header: bytes
) -> None:
    """Where the protocol is off, a header is garbage from the trusted too: it may be a client's own."""
    assert _NO_TLS.fullmatch(_told(behind_http, Door.HTTPS, _BALANCER, header))
    assert _NO_HTTP.fullmatch(_told(behind_http, Door.HTTP, _BALANCER, header))
    assert upstream.contacts == []


@pytest.mark.parametrize("door", [Door.HTTPS, Door.HTTP])
def test_a_balancer_that_sends_no_header_is_not_served(
    behind: Node, upstream: RecordingUpstream, door: Door
) -> None:
    """Where the protocol is on, a connection without a header could have had a client's own: it is closed."""
    assert _told(behind, door, _BALANCER, b"") == b""
    with behind.connect(source=_STRANGER) as client:  # who is not trusted needs none
        assert client.ask(behind.get()).status == 200
    assert len(upstream.contacts) == 1


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", _LOCAL], ids=["unknown", "local"])
def test_whoever_is_not_named_names_nobody(behind: Node, upstream: RecordingUpstream, header: bytes) -> None:
    """A balancer that cannot say who connects is no reason to believe what the client says of itself."""
    with behind.connect(source=_BALANCER, first=header) as client:
        assert client.ask(behind.get("/", f"X-Forwarded-For: {_OTHER}".encode())).status == 200
    assert upstream.requests[0].value("x-forwarded-for") == _BALANCER.encode()


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 evil 198.51.100.1 56324 443\r\n",
        b"PROXY TCP4 198.51.100.7 198.51.100.1 56324\r\n",
        b"PROXY " + b"x" * 120,
        _v2(_CLIENT)[:13] + b"\x31" + _v2(_CLIENT)[14:],
        _v1(_CLIENT) * 2,
    ],
    ids=["no address", "no port", "without an end", "a Unix socket", "two headers"],
)
@pytest.mark.parametrize("door", [Door.HTTPS, Door.HTTP])
def test_a_bad_header_of_a_trusted_balancer_is_not_guessed_at(
    behind: Node, upstream: RecordingUpstream, door: Door, header: bytes
) -> None:
    """A header with another reading costs the connection: nothing after it is served."""
    told = _told(behind, door, _BALANCER, header)
    assert (_NO_TLS if door is Door.HTTPS else _NO_HTTP).fullmatch(told)
    assert upstream.contacts == []


@pytest.mark.parametrize(
    ("source", "header", "lines", "expected"),
    [
        pytest.param(_BALANCER, b"", [_OTHER], _OTHER, id="one"),
        pytest.param(_BALANCER, b"", [f"1.2.3.4, {_OTHER}"], _OTHER, id="the first from the right"),
        pytest.param(_BALANCER, b"", [f"1.2.3.4, {_OTHER}, {_CDN}"], _OTHER, id="past the trusted"),
        pytest.param(_BALANCER, b"", ["1.2.3.4", _OTHER, _CDN], _OTHER, id="over several lines"),
        pytest.param(_BALANCER, b"", [f"{_OTHER}, unknown"], _BALANCER, id="what cannot be read"),
        pytest.param(_BALANCER, b"", [_CDN], _CDN, id="nobody but the trusted"),
        pytest.param(_BALANCER, _v1(_CDN), [_OTHER], _OTHER, id="the CDN's word"),
        pytest.param(_BALANCER, _v2(_CLIENT), [_OTHER], _CLIENT, id="not the client's own word"),
        pytest.param(_STRANGER, b"", [_OTHER], _STRANGER, id="not a stranger's word"),
    ],
)
def test_only_trusted_peers_say_whom_they_speak_for(
    request: pytest.FixtureRequest,
    upstream: RecordingUpstream,
    source: str,
    header: bytes,
    lines: list[str],
    expected: str,
) -> None:
    """The client is the first untrusted address from the right, and the upstream is told of no other."""
    behind: Node = request.getfixturevalue("behind" if header else "behind_http")
    fields = [f"X-Forwarded-For: {line}".encode() for line in lines]
    with behind.connect(source=source, first=header) as client:
        assert client.ask(behind.get("/", *fields)).status == 200
    assert upstream.requests[0].value("x-forwarded-for") == expected.encode()


def test_the_health_door_believes_no_better(behind: Node) -> None:
    """A probe that speaks at once and without a header is answered, trusted or not."""
    for source in (_BALANCER, _STRANGER):
        address = ("127.0.0.1", behind.ports[Door.HEALTH])
        with socket.create_connection(address, timeout=PATIENCE, source_address=(source, 0)) as raw:
            assert Client(raw).ask(behind.get("/readyz", signed_in=False)).status == 200
