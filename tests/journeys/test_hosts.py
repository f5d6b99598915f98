"""Whose hostname a request is for: what the Host header, the server name and the certificate say together."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from router.edge.visit import Door
from router.hostname import Hostname
from router.observe.logs import AccessLog
from router.tenants.form import TenantForm
from tests.journeys.node import PATIENCE, Client, running_node

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.journeys.node import Answer, Node
    from tests.journeys.upstream import RecordingUpstream

_PAGE = b"Accept: text/html"


@pytest.fixture(scope="module")
def _odd_tenants(node: Node, _listening_upstream: RecordingUpstream) -> None:
    """Set up a tenant whose claim is pending, one that gave its hostname up, and one that is suspended."""
    form = TenantForm(name="Initech", theme_colour="#0B6E4F", upstreams=[_listening_upstream.url])
    pending = replace(form, external_domain="pending.example.test")
    held = replace(form, external_domain="given-up.example.test")

    async def set_up() -> None:
        registry = node.registry
        await registry.add("initech", pending, actor="test")
        await registry.add("hooli", held, actor="test")
        await registry.activate_domain(Hostname.parse("given-up.example.test"), reason="a test", actor="test")
        await registry.change("hooli", TenantForm(external_domain=""), actor="test")
        await registry.add("umbrella", replace(form, name="Umbrella Tools"), actor="test")
        await registry.suspend("umbrella", actor="test")

    node.operate(set_up())


def _undated(answer: Answer) -> bytes:
    return re.sub(rb"\r\nDate: [^\r]*", b"", answer.head) + answer.body


@pytest.mark.parametrize("accept", [b"Accept: */*", _PAGE], ids=["program", "person"])
@pytest.mark.usefixtures("_odd_tenants")
def test_nobodys_hostnames_look_alike(node: Node, upstream: RecordingUpstream, accept: bytes) -> None:
    """Never existed, pending, given up, or below our own domain: the same 404, octet by octet."""
    answers = set()
    for host in (
        "never.example.test",
        "pending.example.test",
        "given-up.example.test",
        "nobody.portal.example",
    ):
        with node.connect() as client:
            answer = client.ask(node.get("/a", accept, host=host))
        assert answer.status == 404
        answers.add(_undated(answer))
    assert len(answers) == 1
    assert upstream.contacts == []


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8081",
        "127.0.0.1",
        "127.0.0.1:5432",
        "169.254.169.254",
        "metadata.google.internal",
        "[::1]",
        "10.0.0.1",
        "portal.example",
        "acme.portal.example.evil.test",
        "evilacme.portal.example",
        "sub.acme.portal.example",
    ],
)
def test_no_host_is_fetched_because_it_was_named(node: Node, upstream: RecordingUpstream, host: str) -> None:
    """Whatever the Host names, the upstreams are those of tenants alone."""
    with node.connect() as client:
        assert client.ask(node.get("/", host=host)).status == 404
    assert upstream.contacts == []


@pytest.mark.parametrize(
    ("server_name", "host"),
    [
        ("billing.globex.test", "acme.portal.example"),
        ("acme.portal.example", "billing.globex.test"),
        ("acme.portal.example", "globex.portal.example"),
    ],
)
def test_a_host_that_the_connection_is_not_for_is_misdirected(
    node: Node, upstream: RecordingUpstream, server_name: str, host: str
) -> None:
    """A known host of another tenant than the server name's is 421, and the connection ends."""
    with node.connect(server_name) as client:
        assert client.ask(node.get("/", host=host)).status == 421
        assert client.read_to_end() == b""
        assert client.ended == "closed"
    assert upstream.contacts == []


@pytest.mark.usefixtures("_odd_tenants")
def test_two_tenants_on_one_certificate_keep_apart(node: Node, upstream: RecordingUpstream) -> None:
    """A connection for one tenant serves no other, though one wildcard certificate covers both."""
    with node.connect("initech.portal.example") as client:
        assert client.ask(node.get("/", host="initech.portal.example")).status == 401
        answer = client.ask(node.get("/"))
    assert (answer.status, answer.field("connection")) == (421, "close")
    assert upstream.contacts == []


@pytest.mark.usefixtures("_odd_tenants")
def test_a_suspended_tenant_says_so(node: Node, upstream: RecordingUpstream) -> None:
    """A suspended portal answers 503 under its own name, and says when to try again."""
    with node.connect("umbrella.portal.example") as client:
        answer = client.ask(node.get("/", _PAGE, host="umbrella.portal.example"))
    assert answer.status == 503
    assert answer.field("retry-after")
    assert b"Umbrella Tools" in answer.body
    assert upstream.contacts == []


@pytest.mark.parametrize(
    "spelling", ["ACME.Portal.Example", "acme.portal.example.", "acme.portal.example:443"]
)
def test_spellings_of_one_name_are_one_tenant(node: Node, upstream: RecordingUpstream, spelling: str) -> None:
    """Case, one trailing dot and the port make no difference."""
    with node.connect() as client:
        assert client.ask(node.get("/", host=spelling)).status == 200
    assert upstream.requests[0].value("X-Portal-Tenant") == b"acme"


def test_a_server_name_in_upper_case_is_the_same(node: Node) -> None:
    """The server name is compared without case, as names are."""
    raw = socket.create_connection(("127.0.0.1", node.ports[Door.HTTPS]), timeout=PATIENCE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    node.authority.configure_trust(context)
    context.check_hostname = False  # OpenSSL would compare without case as well; here only the wire matters
    with context.wrap_socket(raw, server_hostname="ACME.PORTAL.EXAMPLE") as secured:
        assert Client(secured).ask(node.get()).status == 200


# -- probes ---------------------------------------------------------------------------------------------


@contextmanager
def _unnamed(node: Node) -> Iterator[Client]:
    """Connect as a load balancer that probes an address: no server name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    node.authority.configure_trust(context)
    context.check_hostname = False
    raw = socket.create_connection(("127.0.0.1", node.ports[Door.HTTPS]), timeout=PATIENCE)
    with context.wrap_socket(raw) as secured:
        yield Client(secured)


def test_a_connection_without_a_name_gets_the_platforms_certificate(node: Node) -> None:
    """Whoever names nobody is shown the platform's certificate, never a tenant's."""
    with _unnamed(node) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        certificate = client.sock.getpeercert()
    assert certificate is not None
    assert ("DNS", "portal.example") in certificate["subjectAltName"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8443", "[::1]", "never.example.test"])
def test_a_connection_without_a_name_reaches_health_only(
    node: Node, upstream: RecordingUpstream, host: str
) -> None:
    """By address, or by nobody's name, the health paths answer and nothing else does."""
    with _unnamed(node) as client:
        assert client.ask(node.get("/healthz", host=host, signed_in=False)).status == 200
        ready = client.ask(node.get("/readyz", host=host, signed_in=False))
        assert (ready.status, ready.body) == (200, b'{"status": "ready"}\n')  # and nothing about its parts
        for path in ("/", "/-/sign-in", "/.well-known/portal-jwks.json", "/healthz/", "/healthz/../x"):
            assert client.ask(node.get(path, host=host)).status == 404
        post = f"POST /healthz HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode()
        assert client.ask(post).status == 404
    assert upstream.contacts == []


def test_a_connection_without_a_name_reaches_no_tenant(node: Node, upstream: RecordingUpstream) -> None:
    """Naming a tenant in the Host alone does not open it, not even with a session."""
    with _unnamed(node) as client:
        assert client.ask(node.get("/")).status == 421
    assert upstream.contacts == []


@pytest.mark.parametrize("host", ["127.0.0.1", "acme.portal.example", "anything.example"])
def test_the_health_port_tells_health_only(node: Node, upstream: RecordingUpstream, host: str) -> None:
    """The health port answers for every Host, and knows no tenant."""
    with node.connect(door=Door.HEALTH) as client:
        assert client.ask(node.get("/healthz", host=host)).status == 200
        ready = client.ask(node.get("/readyz", host=host))
        assert (ready.status, "database" in json.loads(ready.body)["checks"]) == (200, True)
        for path in ("/", "/public", "/-/sign-in"):
            assert client.ask(node.get(path, host=host)).status == 404
    assert upstream.contacts == []


@pytest.mark.parametrize("path", ["/", "/public", "/-/sign-in", "/.well-known/portal-jwks.json"])
def test_the_plain_port_only_redirects(node: Node, upstream: RecordingUpstream, path: str) -> None:
    """Without TLS nothing is served: known hosts are sent to HTTPS, all others are not found."""
    with node.connect(door=Door.HTTP) as client:
        answer = client.ask(node.get(path))
        assert (answer.status, answer.field("location")) == (308, f"https://acme.portal.example{path}")
        assert client.ask(node.get(path, host="never.example.test")).status == 404
    assert upstream.contacts == []


def test_a_redirect_names_no_other_host(node: Node) -> None:
    """Neither an odd port nor forwarded headers choose where the redirect leads."""
    with node.connect(door=Door.HTTP) as client:
        answer = client.ask(
            node.get("/", b"X-Forwarded-Host: evil.example", host="ACME.portal.example.:8080")
        )
    assert answer.field("location") == "https://acme.portal.example/"


@pytest.mark.parametrize("spelling", ["ACME.portal.example", "acme.portal.example.", "acme.portal.example:1"])
def test_backends_see_one_spelling_of_a_host(node: Node, upstream: RecordingUpstream, spelling: str) -> None:
    """Whatever port and case a client writes, it does not choose what a backend puts into its links."""
    with node.connect() as client:
        assert client.ask(node.get("/", host=spelling)).status == 200
    (request,) = upstream.requests
    assert request.values("Host") == request.values("X-Forwarded-Host") == [b"acme.portal.example"]


# -- TLS ------------------------------------------------------------------------------------------------


def _answer_to(node: Node, octets: bytes) -> bytes:
    """All that comes back on the HTTPS port before it closes the connection."""
    with socket.create_connection(("127.0.0.1", node.ports[Door.HTTPS]), timeout=PATIENCE) as raw:
        raw.sendall(octets)
        came = b""
        while piece := raw.recv(65_536):
            came += piece
        return came


@pytest.mark.parametrize(
    "name", ["unknown.example", "example", "portal.example.evil.test", "a.b.portal.example"]
)
def test_an_unknown_server_name_gets_an_alert(node: Node, name: str) -> None:
    """No certificate of anybody's is shown: the alert unrecognized_name, then the end."""
    assert _answer_to(node, node.hello(name)) == bytes.fromhex("15030300020270")


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\nHost: acme.portal.example\r\n\r\n",
        b"\x00" * 64,
        b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
    ids=["HTTP", "zeros", "another handshake message", "a hello of 16 MiB", "SSH"],
)
def test_what_is_no_hello_gets_an_alert(node: Node, octets: bytes) -> None:
    """Whatever does not begin a TLS handshake is told decode_error, and nothing else."""
    assert _answer_to(node, octets) == bytes.fromhex("15030300020232")


def test_a_hello_in_many_pieces_is_one_hello(node: Node) -> None:
    """A ClientHello that trickles in is answered like one that comes at once."""
    hello = node.hello("unknown.example")
    with socket.create_connection(("127.0.0.1", node.ports[Door.HTTPS]), timeout=PATIENCE) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in hello:
            raw.sendall(bytes([octet]))
        assert raw.recv(100) == bytes.fromhex("15030300020270")


def _visit_as(
    node: Node, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLSession, bool]:
    """Visit a host, resuming a TLS session; the session to resume next, and whether this one was resumed."""
    raw = socket.create_connection(("127.0.0.1", node.ports[Door.HTTPS]), timeout=PATIENCE)
    with context.wrap_socket(raw, server_hostname=host, session=session) as secured:
        Client(secured).ask(node.get("/", host=host, signed_in=False))  # with it come TLS 1.3's tickets
        found = secured.session
        assert found is not None
        return found, bool(secured.session_reused)


@pytest.mark.usefixtures("_odd_tenants")
@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda each: each.name
)
def test_a_tls_session_is_resumed_at_its_own_tenant_only(node: Node, version: ssl.TLSVersion) -> None:
    """A session begun at one tenant is resumed there and nowhere else, one certificate for both or not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    node.authority.configure_trust(context)
    context.minimum_version = context.maximum_version = version
    session, _ = _visit_as(node, context, node.host)
    for other in ("billing.globex.test", "initech.portal.example"):
        assert _visit_as(node, context, other, session)[1] is False
    assert _visit_as(node, context, node.host, session)[1] is True


@pytest.mark.parametrize("minor", [1, 2], ids=["TLS 1.0", "TLS 1.1"])
def test_old_tls_is_refused(node: Node, minor: int) -> None:
    """TLS 1.0 and 1.1 end before any certificate is shown."""
    hello = bytearray(node.hello())
    hello[9:11] = bytes([3, minor])  # the version asked for (RFC 5246 section 7.4.1.2)
    at = hello.index(bytes.fromhex("002b")) + 1  # supported_versions, which would overrule it
    hello[at] = 0xFA
    handshake = b"\x16"
    assert not _answer_to(node, bytes(hello)).startswith(handshake)


# -- the account ----------------------------------------------------------------------------------------


def test_the_account_names_the_tenant_whoever_answered(upstream: RecordingUpstream, tmp_path: Path) -> None:
    """Redirects and refusals of a portal are its own in the access log; a stranger's host is nobody's."""
    asked = [
        (Door.HTTPS, [b"Accept: text/html"], 303),
        (Door.HTTPS, [b"Accept: application/json"], 401),
        (Door.HTTPS, [b"Connection: Upgrade", b"Upgrade: websocket", b"Cookie: x=y"], 401),
        (Door.HTTP, [], 308),
    ]
    read, write = os.pipe()
    with running_node(tmp_path, upstream.url) as own, open(read, "rb") as lines, open(write, "wb"):  # noqa: PTH123

        async def tap() -> None:
            own.edge._house.access_log = AccessLog(write)  # noqa: SLF001 - standard output is the test's own

        own.operate(tap())
        acme = own.operate(own.registry.get("acme")).tenant.id
        for door, fields, status in asked:
            with own.connect(door=door) as client:
                assert client.ask(own.get("/", *fields, signed_in=False)).status == status
            line = json.loads(lines.readline())
            assert (line["tenant"], line["status"], line["path"]) == (acme, status, "/")
        with own.connect(door=Door.HTTP) as client:
            assert client.ask(own.get("/", host="never.example.test", signed_in=False)).status == 404
        assert json.loads(lines.readline())["tenant"] == ""
