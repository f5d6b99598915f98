"""A trusted load balancer in front: whom it speaks for, and that nobody else can say so."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from router.edge.visit import Door
from tests.journeys.node import PATIENCE, Client, running_node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.node import Node
    from tests.journeys.upstream import RecordingUpstream


_TRUSTED = "127.0.0.0/8,10.9.0.0/16"


@pytest.fixture(scope="module")
def behind(
    _listening_upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """Run a node that trusts this machine and one network to be load balancers that speak HTTP."""
    folder = tmp_path_factory.mktemp("behind")
    with running_node(folder, _listening_upstream.url, trusted_proxies=_TRUSTED) as running:
        yield running


@pytest.fixture(scope="module")
def announced_to(
    _listening_upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """Run a node that is told by the PROXY protocol who connects."""
    settings = {"trusted_proxies": _TRUSTED, "proxy_protocol": True}
    with running_node(tmp_path_factory.mktemp("told"), _listening_upstream.url, **settings) as running:
        yield running


@contextmanager
def _announced(node: Node, header: bytes) -> Iterator[Client]:
    """Connect as a load balancer does that says in a PROXY header for whom."""
    with socket.create_connection(("127.0.0.1", node.ports[Door.HTTPS]), timeout=PATIENCE) as raw:
        raw.sendall(header)
        with node.trust.wrap_socket(raw, server_hostname=node.host) as secured:
            yield Client(secured)


def _v2(source: str, *, local: bool = False) -> bytes:
    address = ip_address(source)
    family = 0x11 if address.version == 4 else 0x21
    addresses = address.packed * 2 + b"\x04\xd2\x01\xbb"
    head = bytes([0x20 if local else 0x21, family]) + len(addresses).to_bytes(2, "big")
    return b"\r\n\r\n\x00\r\nQUIT\n" + head + addresses


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (b"PROXY TCP4 192.0.2.7 10.9.0.1 1234 443\r\n", b"192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 1234 443\r\n", b"2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", b"127.0.0.1"),
        (_v2("192.0.2.7"), b"192.0.2.7"),
        (_v2("2001:db8::7"), b"2001:db8::7"),
        (_v2("192.0.2.7", local=True), b"127.0.0.1"),
    ],
    ids=["v1 TCP4", "v1 TCP6", "v1 UNKNOWN", "v2 TCP4", "v2 TCP6", "v2 LOCAL"],
)
def test_a_proxy_header_says_who_connected(
    announced_to: Node, upstream: RecordingUpstream, header: bytes, client: bytes
) -> None:
    """Both versions of the PROXY protocol are read before TLS, from those who are trusted."""
    with _announced(announced_to, header) as announced:
        assert announced.ask(announced_to.get("/")).status == 200
    assert upstream.requests[0].value("X-Forwarded-For") == client


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 192.0.2.7 10.9.0.1 1234\r\n",
        b"PROXY TCP4 2001:db8::7 10.9.0.1 1234 443\r\n",
        b"PROXY TCP4 192.0.2.7 10.9.0.1 1234 443" + b" " * 80,
        b"PROXY TCP4 192.0.2.7 10.9.0.1 1234 443\n\r\n",
        b"\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c" + b"\x00" * 12,
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x04" + b"\x00" * 4,
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff" + b"\x00" * 12,
    ],
    ids=["a port missing", "another family", "no end", "a bare LF", "version 3", "too short", "too long"],
)
def test_a_malformed_proxy_header_ends_the_connection(
    announced_to: Node, upstream: RecordingUpstream, header: bytes
) -> None:
    """A balancer that is not understood is not guessed at: nothing is answered."""
    with socket.create_connection(("127.0.0.1", announced_to.ports[Door.HTTPS]), timeout=PATIENCE) as raw:
        raw.sendall(header)
        assert Client(raw).read_to_end() == b""
    assert upstream.contacts == []


@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.7 10.9.0.1 1234 443\r\n", _v2("192.0.2.7")])
def test_a_strangers_proxy_header_is_no_hello(node: Node, upstream: RecordingUpstream, header: bytes) -> None:
    """From anybody who is not trusted it is garbage where a ClientHello should be: decode_error."""
    with socket.create_connection(("127.0.0.1", node.ports[Door.HTTPS]), timeout=PATIENCE) as raw:
        raw.sendall(header)
        assert Client(raw).read_to_end() == bytes.fromhex("15030300020232")
    assert upstream.contacts == []


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("192.0.2.7", b"192.0.2.7"),
        ("6.6.6.6, 192.0.2.7", b"192.0.2.7"),
        ("6.6.6.6, 192.0.2.7, 10.9.1.1", b"192.0.2.7"),
        ("6.6.6.6,192.0.2.7 ,\t10.9.1.1, 127.0.0.1", b"192.0.2.7"),
        ("2001:DB8::7", b"2001:db8::7"),
        ("10.9.1.1", b"10.9.1.1"),
        ("6.6.6.6, nonsense", b"127.0.0.1"),
        ("6.6.6.6, nonsense, 10.9.1.1", b"10.9.1.1"),
        ("6.6.6.6, ", b"127.0.0.1"),
        ("192.0.2.7\r\nX-Forwarded-For: 192.0.2.8", b"192.0.2.8"),
        ("192.0.2.7\r\nX_Forwarded_For: 6.6.6.6", b"192.0.2.7"),
    ],
)
def test_the_client_is_the_first_untrusted_from_the_right(
    behind: Node, upstream: RecordingUpstream, value: str, client: bytes
) -> None:
    """What stands left of an address that is not trusted, or not readable, is anybody's word."""
    with behind.connect() as balancer:
        assert balancer.ask(behind.get("/", f"X-Forwarded-For: {value}".encode())).status == 200
    (request,) = upstream.requests
    forwarded_for = request.value("X-Forwarded-For")
    assert forwarded_for.split(b",")[0].strip() == client
    assert b"6.6.6.6" not in upstream.seen
