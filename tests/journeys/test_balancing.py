"""Several upstreams for one portal: shared out, stood in for, taken out and brought back."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from router.edge.balance import Turns
from tests.journeys.node import running_node
from tests.journeys.portals import add_portal, answering, break_off, request
from tests.journeys.upstream import PATIENCE, RecordingUpstream
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.journeys.node import Node
    from tests.journeys.upstream import Conversation


@pytest.fixture
def upstreams() -> Iterator[list[RecordingUpstream]]:
    """Run three upstreams that answer with their names: a, b and c."""
    running = [RecordingUpstream() for _ in range(3)]
    for upstream, name in zip(running, (b"a", b"b", b"c"), strict=True):
        upstream.script = answering(name)
    yield running
    for upstream in running:
        upstream.close()
        upstream.judge()
        if not upstream.faults.empty():
            raise upstream.faults.get()


@pytest.fixture
def nobody() -> Iterator[str]:
    """Hold a port on which nobody listens; its URL."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def _ask(node: Node, host: str, sent: bytes | None = None) -> bytes:
    with node.connect(host) as client:
        answer = client.ask(sent or request(host))
        assert answer.status == 200, answer.body
        return answer.body


def _ask_until(node: Node, host: str, expected: bytes) -> None:
    """Visit again and again, until the upstream of that name answers."""
    asyncio.run(until(lambda: _ask(node, host) == expected))


# -- who gets a visit -----------------------------------------------------------------------------------


def test_visits_go_round_by_weight(node: Node, upstreams: list[RecordingUpstream]) -> None:
    """Of eight visits, an upstream of weight 2 gets four and two of weight 1 get two each."""
    a, b, c = upstreams
    host = add_portal(node, [f"{a.url} weight=2", b.url, c.url])
    with node.connect(host) as client:
        answers = [client.ask(request(host)).body for _ in range(8)]
    assert Counter(answers) == {b"a": 4, b"b": 2, b"c": 2}
    assert answers[:4] == answers[4:]
    assert b"aaa" not in b"".join(answers)


def test_a_session_stays_with_its_upstream(node: Node, upstreams: list[RecordingUpstream]) -> None:
    """By affinity each session has one upstream, whatever connection its visits come over.

    It is the one that the rule says; when that is away, the next by the rule steps in.
    """
    names = {upstream.url: name for upstream, name in zip(upstreams, (b"a", b"b", b"c"), strict=True)}
    host = add_portal(node, list(names), public_paths=[], balance="session_affinity")

    def visit(token: str) -> bytes:
        cookie = f"Cookie: __Host-portal-session={token}".encode()
        return _ask(node, host, request(host, cookie))

    def expected(key: str) -> list[bytes]:
        order = Turns().order(
            "",
            "session_affinity",
            list(names),
            name=lambda url: url,
            weight=lambda _url: 1,
            busy=lambda _url: 0,
            key=key,
        )
        return [names[url] for url in order]

    signed_in = [node.sign_in(host.partition(".")[0], f"user{number}@example.com") for number in range(4)]
    for token, session in signed_in:
        assert [visit(token) for _ in range(3)] == expected(session.key)[:1] * 3
    token, session = signed_in[0]
    home, second = expected(session.key)[:2]
    next(upstream for upstream in upstreams if names[upstream.url] == home).close()
    assert visit(token) == second


def test_strangers_have_affinity_by_their_address(node: Node, upstreams: list[RecordingUpstream]) -> None:
    """Without a session it is the client's address that stays with one upstream."""
    host = add_portal(node, [each.url for each in upstreams], balance="session_affinity")
    assert len({_ask(node, host) for _ in range(6)}) == 1


def test_the_least_busy_gets_the_visit(node: Node, upstreams: list[RecordingUpstream]) -> None:
    """While one upstream is at work on a visit, the next ones go to the other."""
    a, b, _ = upstreams
    begun, done = threading.Event(), threading.Event()

    def work(conversation: Conversation) -> None:
        conversation.read_request()
        begun.set()
        assert done.wait(PATIENCE)
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        answering(b"a")(conversation)

    a.script = work
    host = add_portal(node, [a.url, b.url], balance="least_connections")
    with node.connect(host) as busy:
        busy.send(request(host))
        assert begun.wait(PATIENCE)
        assert [_ask(node, host) for _ in range(3)] == [b"b"] * 3
        done.set()
        assert busy.read_answer().body == b"done"
    assert _ask(node, host) == b"a"


def test_an_open_websocket_is_work(node: Node, upstreams: list[RecordingUpstream]) -> None:
    """While one upstream holds a WebSocket, the next visits go to the other, which has none."""
    a, b, _ = upstreams
    a.script = b.script = _switching
    host = add_portal(node, [a.url, b.url], balance="least_connections")
    opening = request(
        host,
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"Origin: https://" + host.encode(),
    )
    with node.connect(host) as tunnel:
        assert tunnel.ask(opening).status == 101
        holder = next(each for each in (a, b) if each.contacts)
        other = b if holder is a else a
        assert {_ask(node, host) for _ in range(4)} == {b"visit"}
        assert (len(holder.contacts), len(other.requests)) == (1, 4)


def _switching(conversation: Conversation) -> None:
    while True:
        asked = conversation.read_request()
        if b"websocket" in asked.lower():
            accept = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
            conversation.send(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%b\r\n"
                % accept
            )
            conversation.wait_for_end()
            return
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nvisit")


# -- who steps in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({}, id="GET"),
        pytest.param({"method": b"POST", "body": b"hello"}, id="POST"),
        pytest.param(
            {
                "method": b"POST",
                "lines": (b"Transfer-Encoding: chunked",),
                "body": b"5\r\nhello\r\n0\r\n\r\n",
            },
            id="chunked POST",
        ),
    ],
)
def test_a_dial_that_fails_goes_to_the_next(
    node: Node, upstreams: list[RecordingUpstream], nobody: str, sent: dict[str, Any]
) -> None:
    """Until a connection is made nothing has been asked of anybody: a POST may go to another as well."""
    host = add_portal(node, [nobody, upstreams[0].url])
    options = dict(sent)
    lines = options.pop("lines", ())
    with node.connect(host) as client:
        for _ in range(4):
            assert client.ask(request(host, *lines, **options)).body == b"a"
    seen = upstreams[0].requests
    assert len(seen) == 4
    assert {each.body for each in seen} == {b"hello" if sent else b""}


_ONE_SHOT = [
    pytest.param(b"GET", b"", 200, id="GET"),
    pytest.param(b"PUT", b"", 200, id="PUT of nothing"),
    pytest.param(b"PUT", b"hello", 502, id="PUT"),
    pytest.param(b"POST", b"", 502, id="POST of nothing"),
    pytest.param(b"POST", b"hello", 502, id="POST"),
    pytest.param(b"PATCH", b"hello", 502, id="PATCH"),
]


@pytest.mark.parametrize(("method", "body", "status"), _ONE_SHOT)
def test_a_connection_lost_after_asking(
    node: Node,
    upstreams: list[RecordingUpstream],
    method: bytes,
    body: bytes,
    status: int,
) -> None:
    """What may be asked twice goes to the next upstream; anything else is told as it is, and asked once."""
    a, b, _ = upstreams
    a.script = break_off
    host = add_portal(node, [a.url, b.url])
    with node.connect(host) as client:
        answer = client.ask(request(host, method=method, body=body))
    assert answer.status == status
    assert (len(a.requests), len(b.requests)) == (1, 1 if status == 200 else 0)
    assert status == 200 or json.loads(answer.body)["code"] == "upstream_broke_off"


def test_who_steps_in_is_asked_over_a_connection_that_is_there(
    upstreams: list[RecordingUpstream], nobody: str, tmp_path: Path
) -> None:
    """A full upstream with an idle connection is no full one: whoever is turned to it gets that."""
    a = upstreams[0]
    with running_node(tmp_path, a.url, max_upstream_connections=1, upstream_queue=0) as node:
        host = add_portal(node, [a.url, nobody])
        with node.connect(host) as client:
            assert [client.ask(request(host)).status for _ in range(4)] == [200] * 4
    assert len(a.contacts) == 1


def test_an_outage_is_not_doubled(node: Node, upstreams: list[RecordingUpstream]) -> None:
    """Of a hundred visits to two upstreams that break off, only what the budgets grant is tried again."""
    a, b, _ = upstreams
    a.script = b.script = break_off
    host = add_portal(node, [a.url, b.url])
    with node.connect(host) as client:
        assert {client.ask(request(host)).status for _ in range(100)} == {502}
    asked = len(a.requests) + len(b.requests)
    assert 100 + 35 <= asked <= 100 + 2 * 20 + 100 // 10


# -- who is out -----------------------------------------------------------------------------------------


def test_three_failures_take_an_upstream_out_and_time_brings_it_back(
    node: Node, upstreams: list[RecordingUpstream]
) -> None:
    """No client notices; the failing one is asked three times, and again when its 5 seconds are over."""
    a, b, _ = upstreams
    a.script = break_off
    host = add_portal(node, [a.url, b.url])
    began = time.monotonic()
    assert [_ask(node, host) for _ in range(20)] == [b"b"] * 20
    assert len(a.requests) == 3
    a.script = answering(b"a")
    _ask_until(node, host, b"a")
    assert time.monotonic() - began > 4
    assert Counter(_ask(node, host) for _ in range(4)) == {b"a": 2, b"b": 2}


def _checked(name: bytes, well: threading.Event) -> Callable[[Conversation], None]:
    """Make the script of an upstream whose health path says how it is, and which answers visits anyway."""

    def script(conversation: Conversation) -> None:
        while True:
            asked_for = conversation.read_request().split(b" ")[1]
            status = b"204 No Content" if well.is_set() else b"503 Service Unavailable"
            if asked_for == b"/app/healthz?full":
                conversation.send(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
            else:
                conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name)

    return script


def test_checks_take_an_upstream_out_and_bring_it_back(
    node: Node, upstreams: list[RecordingUpstream]
) -> None:
    """The status of the health path decides, below the upstream's own path; visits never fail for it."""
    a, b, _ = upstreams
    a_well, b_well = threading.Event(), threading.Event()
    b_well.set()
    a.script, b.script = _checked(b"a", a_well), _checked(b"b", b_well)
    host = add_portal(
        node,
        [f"{a.url}/app", f"{b.url}/app"],
        health_path="/healthz?full",
        health_interval=2,
        health_status=204,
    )

    def only(name: bytes) -> bool:
        return {_ask(node, host) for _ in range(4)} == {name}

    asyncio.run(until(lambda: only(b"b")))
    a_well.set()
    _ask_until(node, host, b"a")
    b_well.clear()
    asyncio.run(until(lambda: only(b"a")))
    probe = next(each for each in a.requests if each.target == b"/app/healthz?full")
    assert probe.value("host") == host.encode()
    assert probe.value("user-agent") == b"tenant-router"


def test_a_check_asks_for_the_host_that_visits_ask_for(
    node: Node, upstreams: list[RecordingUpstream]
) -> None:
    """Where the Host is rewritten the check has the upstream's own too: it would be refused otherwise."""
    a = upstreams[0]
    host = add_portal(node, [a.url], health_path="/healthz", keep_host=False)
    _ask(node, host)
    asyncio.run(until(lambda: any(each.target == b"/healthz" for each in a.requests)))
    assert {each.value("host") for each in a.requests} == {b"127.0.0.1:%d" % a.port}


def test_checks_are_each_tenants_own(node: Node, upstreams: list[RecordingUpstream]) -> None:
    """Two tenants that name the same upstreams and check otherwise say nothing for one another.

    One asks for a path that fails at the first upstream; the other's path is well, and its visits go there.
    Each check asks for its own tenant's Host.
    """
    a, b, _ = upstreams
    unwell, well = threading.Event(), threading.Event()
    well.set()
    a.script, b.script = _checked(b"a", unwell), _checked(b"b", well)
    urls = [f"{a.url}/app", f"{b.url}/app"]
    strict = add_portal(node, urls, health_path="/healthz?full", health_interval=2, health_status=204)
    easy = add_portal(node, urls, health_path="/healthz", health_interval=2)
    asyncio.run(until(lambda: {_ask(node, strict) for _ in range(4)} == {b"b"}))
    for _ in range(3):
        assert Counter(_ask(node, easy) for _ in range(4)) == {b"a": 2, b"b": 2}
        assert {_ask(node, strict) for _ in range(4)} == {b"b"}
    hosts = {each.target: each.value("host") for each in a.requests if b"healthz" in each.target}
    assert hosts == {b"/app/healthz?full": strict.encode(), b"/app/healthz": easy.encode()}


def test_a_check_asks_for_the_host_in_one_spelling(node: Node, upstreams: list[RecordingUpstream]) -> None:
    """However visitors spell the Host, there is one check, and it asks for the portal's address."""
    a = upstreams[0]
    host = add_portal(node, [a.url], health_path="/healthz")
    for spelled in (host.upper(), f"{host}:8443", f"{host}."):
        with node.connect(host) as client:
            assert client.ask(request(spelled)).status == 200
    asyncio.run(until(lambda: any(each.target == b"/healthz" for each in a.requests)))
    checks = [each.value("host") for each in a.requests if each.target == b"/healthz"]
    assert checks == [host.encode()]


def test_one_tenants_impatience_is_not_held_against_an_upstream(
    node: Node, upstreams: list[RecordingUpstream]
) -> None:
    """Who waits for seconds where the platform waits for a minute takes no upstream out for others."""
    a, b, _ = upstreams
    hasty, patient = (
        add_portal(node, [a.url, b.url], answer_timeout=20),
        add_portal(node, [a.url, b.url]),
    )

    def slow_for_the_hasty(conversation: Conversation) -> None:
        while True:
            asked = conversation.read_request()
            if hasty.encode() in asked:
                node.pass_time(21)
                conversation.wait_for_end()
                return
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")

    a.script = slow_for_the_hasty
    statuses = []
    for _ in range(8):
        with node.connect(hasty) as client:
            statuses.append(client.ask(request(hasty)).status)
    assert statuses.count(504) == 4
    assert Counter(_ask(node, patient) for _ in range(4)) == {b"a": 2, b"b": 2}


def test_when_none_is_well_all_are_tried(node: Node, upstreams: list[RecordingUpstream]) -> None:
    """A health path that fails everywhere closes no portal: the visits themselves are answered."""
    a, b, _ = upstreams
    unwell = threading.Event()
    a.script, b.script = _checked(b"a", unwell), _checked(b"b", unwell)
    host = add_portal(node, [a.url, b.url], health_path="/app/healthz?full", health_status=204)
    for _ in range(2):
        _ask(node, host)
    asyncio.run(until(lambda: b"healthz" in a.seen and b"healthz" in b.seen))
    assert Counter(_ask(node, host) for _ in range(4)) == {b"a": 2, b"b": 2}


# -- kinds of upstream ----------------------------------------------------------------------------------


def test_a_unix_socket_is_an_upstream(node: Node, short_path: Path) -> None:
    """``unix:`` forwards over the socket, under the portal's own Host."""
    path = short_path / "upstream.sock"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    upstream = RecordingUpstream(listening)
    upstream.script = answering(b"unix")
    host = add_portal(node, [f"unix:{path}"])
    assert _ask(node, host) == b"unix"
    assert upstream.requests[0].value("host") == host.encode()
    upstream.close()


@pytest.mark.parametrize(
    ("prefix", "target", "expected"),
    [
        (b"/app", b"/", b"/app/"),
        (b"/app/", b"/x?y=/z", b"/app/x?y=/z"),
        (b"/a/b", b"/c%20d/", b"/a/b/c%20d/"),
        (b"/", b"/x", b"/x"),
    ],
)
def test_a_path_goes_before_the_visits_own(
    node: Node,
    upstreams: list[RecordingUpstream],
    prefix: bytes,
    target: bytes,
    expected: bytes,
) -> None:
    """An upstream below a path sees it before each target, with one slash between."""
    host = add_portal(node, [upstreams[0].url + prefix.decode()])
    _ask(node, host, request(host, target=target))
    assert [each.target for each in upstreams[0].requests] == [expected]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make a company's own authority, which no system knows."""
    return trustme.CA()


class SecuredUpstream(RecordingUpstream):
    """Speaks TLS with a certificate for ``name``; ``asked_for`` are the server names that were sent."""

    def __init__(self, authority: trustme.CA, name: str) -> None:
        self.asked_for: list[str | None] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        context.sni_callback = lambda _sock, server_name, _context: self.asked_for.append(server_name)
        listening = socket.create_server(("127.0.0.1", 0))
        # The handshake is the conversation's own, so that one that fails ends nothing else.
        super().__init__(context.wrap_socket(listening, server_side=True, do_handshake_on_connect=False))
        self.script = answering(b"secured")


def _pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def test_an_https_upstream_is_verified_by_its_own_bundle(node: Node, authority: trustme.CA) -> None:
    """With the company's authority the upstream is believed; it learns by SNI for whom it is asked."""
    upstream = SecuredUpstream(authority, "localhost")
    url = f"https://localhost:{upstream.port}"
    host = add_portal(node, [url], upstream_ca=_pem(authority))
    assert _ask(node, host) == b"secured"
    assert _ask(node, host) == b"secured"
    assert upstream.asked_for == ["localhost"]
    upstream.close()


@pytest.mark.parametrize(
    ("name", "trusted"),
    [
        pytest.param("localhost", False, id="an authority that nobody named"),
        pytest.param("other.example", True, id="another host's certificate"),
    ],
)
def test_an_https_upstream_that_cannot_be_believed_is_asked_nothing(
    node: Node, authority: trustme.CA, name: str, *, trusted: bool
) -> None:
    """Whoever cannot show a certificate for its host gets no request, and the visitor 502."""
    upstream = SecuredUpstream(authority, name)
    ca = _pem(authority if trusted else trustme.CA())
    host = add_portal(node, [f"https://localhost:{upstream.port}"], upstream_ca=ca)
    without = add_portal(node, [f"https://localhost:{upstream.port}"])
    for each in (host, without):
        with node.connect(each) as client:
            answer = client.ask(request(each))
        assert (answer.status, json.loads(answer.body)["code"]) == (502, "upstream_unreachable")
    upstream.close()
    assert upstream.seen == b""


# -- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [True, False])
def test_the_host_is_kept_or_rewritten(node: Node, upstreams: list[RecordingUpstream], *, keep: bool) -> None:
    """Kept, the upstream sees the portal's; rewritten its own, and the portal's in X-Forwarded-Host."""
    a = upstreams[0]
    host = add_portal(node, [a.url], keep_host=keep)
    _ask(node, host)
    seen = a.requests[0]
    assert seen.value("host") == (host.encode() if keep else b"127.0.0.1:%d" % a.port)
    assert seen.value("x-forwarded-host") == host.encode()


def test_an_answer_is_left_alone_unless_asked(node: Node, upstreams: list[RecordingUpstream]) -> None:
    """Location and a cookie's Domain arrive as the upstream wrote them."""
    a = upstreams[0]
    location = b"Location: " + a.url.encode() + b"/next"
    a.script = answering(b"a", location, b"Set-Cookie: s=1; Domain=127.0.0.1; Path=/")
    host = add_portal(node, [a.url], keep_host=False)
    with node.connect(host) as client:
        answer = client.ask(request(host))
    assert answer.field("location") == f"{a.url}/next"
    assert answer.field("set-cookie") == "s=1; Domain=127.0.0.1; Path=/"


@pytest.mark.parametrize(
    ("prefix", "location", "expected"),
    [
        ("", "{url}/next?a=b#c", "https://{host}/next?a=b#c"),
        ("", "{url}", "https://{host}"),
        ("", "/next", "/next"),
        ("", "next", "next"),
        ("", "https://elsewhere.example/next", "https://elsewhere.example/next"),
        ("", "{url}0/next", "{url}0/next"),
        ("", "{url}@elsewhere.example/", "{url}@elsewhere.example/"),
        ("/app", "{url}/app/next", "https://{host}/next"),
        ("/app", "{url}/app", "https://{host}/"),
        ("/app", "/app/next", "https://{host}/next"),
        ("/app", "/app?a=b", "https://{host}/?a=b"),
        ("/app", "/app//evil.example/", "https://{host}//evil.example/"),
        ("/app", "/App/next", "/App/next"),
        ("/app", "{url}/other", "{url}/other"),
        ("/app", "/application", "/application"),
    ],
)
def test_an_answer_speaks_of_the_portal_where_asked(
    node: Node,
    upstreams: list[RecordingUpstream],
    prefix: str,
    location: str,
    expected: str,
) -> None:
    """A Location on the upstream's own origin leads to the portal, as the visitor would ask for it."""
    a = upstreams[0]
    host = add_portal(node, [a.url + prefix], keep_host=False, rewrite_location=True)
    names = {"url": a.url, "host": host}
    cookie = b"Set-Cookie: s=1; Domain=127.0.0.1; Path=/"
    a.script = answering(b"a", b"Location: " + location.format(**names).encode(), cookie)
    with node.connect(host) as client:
        answer = client.ask(request(host))
    assert answer.field("location") == expected.format(**names)
    assert answer.field("set-cookie") == "s=1; Path=/"
