"""What a portal and a worker take, and what whoever brings more is told."""

from __future__ import annotations

import asyncio
import json
import queue
import select
import socket
import ssl
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from router.edge.visit import Door
from tests.journeys.node import running_node
from tests.journeys.portals import add_portal, answering, request
from tests.journeys.upstream import OK, PATIENCE, answer_all
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.journeys.node import Answer, Client, Node
    from tests.journeys.upstream import Conversation, RecordingUpstream

_GONE = (ConnectionError, ssl.SSLError)
_PAGE = b"Accept: text/html"
_CHUNKED = b"Transfer-Encoding: chunked"


def _code(answer: Answer) -> str:
    code: str = json.loads(answer.body)["code"]
    return code


# -- bodies ---------------------------------------------------------------------------------------------


def _post(host: str, *lines: bytes, body: bytes = b"") -> bytes:
    return request(host, *lines, method=b"POST", body=body)


def test_a_body_that_is_announced_too_large_is_413(node: Node, upstream: RecordingUpstream) -> None:
    """The announcement is enough: nothing is forwarded, the connection ends; one octet less is fine."""
    host = add_portal(node, [upstream.url], max_body="10")
    with node.connect(host) as client:
        assert client.ask(_post(host, body=b"x" * 10)).status == 200
        answer = client.ask(_post(host, b"Content-Length: 11"))
        assert (answer.status, _code(answer)) == (413, "body_too_large")
        assert answer.field("connection") == "close"
    assert [each.body for each in upstream.requests] == [b"x" * 10]


def test_a_person_is_told_on_a_page(node: Node, upstream: RecordingUpstream) -> None:
    """A form with too much in it is answered in the portal's look."""
    host = add_portal(node, [upstream.url], max_body="10")
    with node.connect(host) as client:
        answer = client.ask(_post(host, _PAGE, b"Content-Length: 11"))
    assert (answer.status, answer.field("content-type")) == (413, "text/html; charset=utf-8")
    assert host.partition(".")[0].title().encode() in answer.body
    assert upstream.contacts == []


@pytest.mark.parametrize(
    "body",
    [b"b\r\nhello world\r\n0\r\n\r\n", b"6\r\nhello \r\n5\r\nworld\r\n", b"b\r\nhello world"],
    ids=["in one chunk", "in two", "without an end"],
)
def test_a_chunked_body_that_grows_too_large_is_413(
    node: Node, upstream: RecordingUpstream, body: bytes
) -> None:
    """Nobody could know: the upstream's request is never made whole, and the client is told."""
    host = add_portal(node, [upstream.url], max_body="10")
    with node.connect(host) as client:
        client.send(_post(host, _CHUNKED) + body)
        answer = client.read_answer()
        assert (answer.status, _code(answer), answer.field("connection")) == (413, "body_too_large", "close")
        client.send(request(host, target=b"/smuggled"))
        node.pass_time(2.5)  # what still comes has been thrown away for long enough
        assert client.read_to_end() == b""
    assert not any(each.whole for each in upstream.requests)


def test_a_chunked_body_within_the_limit_passes(node: Node, upstream: RecordingUpstream) -> None:
    """Ten octets in three chunks are ten octets, and each body is counted anew."""
    host = add_portal(node, [upstream.url], max_body="10")
    body = b"3\r\nabc\r\n3\r\ndef\r\n4\r\nghij\r\n0\r\n\r\n"
    with node.connect(host) as client:
        for _ in range(2):
            assert client.ask(_post(host, _CHUNKED, body=body)).status == 200
    assert [each.body for each in upstream.requests] == [b"abcdefghij"] * 2


# -- rates ----------------------------------------------------------------------------------------------


def test_more_visits_than_a_portal_may_have_are_429(upstream: RecordingUpstream, tmp_path: Path) -> None:
    """Of a crowd in one second the limit is forwarded; the rest are asked to come back, and then are served.

    The crowd may fall into two seconds, in which the limit holds for each.
    """
    with running_node(tmp_path, upstream.url, workers=1) as own:
        host = add_portal(own, [upstream.url], requests_per_second=5)
        free = add_portal(own, [upstream.url])
        with own.connect(host) as client, own.connect(free) as other:
            client.send(request(host) * 30)
            answers = [client.read_answer() for _ in range(30)]
            statuses = Counter(answer.status for answer in answers)
            assert set(statuses) == {200, 429}
            assert statuses[200] >= 5
            refused = next(answer for answer in answers if answer.status == 429)
            assert (_code(refused), refused.field("retry-after")) == ("too_many_requests", "1")
            assert len(upstream.requests) == statuses[200]
            assert other.ask(request(free)).status == 200
            asyncio.run(until(lambda: client.ask(request(host)).status == 200))


# -- connections ----------------------------------------------------------------------------------------


def test_a_connection_ends_after_its_share_of_requests(upstream: RecordingUpstream, tmp_path: Path) -> None:
    """The last answer says so, the end is clean, and what was sent after it is nobody's."""
    with running_node(tmp_path, upstream.url, max_requests_per_connection=3) as own:
        host = add_portal(own, [upstream.url])
        with own.connect(host) as client:
            client.send(request(host) * 2 + request(host, method=b"POST", body=b"last") + request(host))
            answers = [client.read_answer() for _ in range(3)]
            assert [answer.field("connection") for answer in answers] == [None, None, "close"]
            assert client.read_to_end() == b""
            assert client.ended == "closed"
    assert len(upstream.requests) == 3


@pytest.fixture
def crowded(upstream: RecordingUpstream, tmp_path: Path) -> Iterator[Node]:
    """Run a node that takes three connections, two of them from one address."""
    limits = {"max_connections": 3, "max_connections_per_address": 2}
    balancer = {"trusted_proxies": ["127.0.0.9/32"], "proxy_protocol": True}
    with running_node(tmp_path, upstream.url, **limits, **balancer) as own:
        yield own


def _stay(stack: ExitStack, node: Node, source: str, door: Door = Door.HTTPS) -> Client:
    """Connect from ``source`` and be served; the connection stays until ``stack`` ends."""
    client = stack.enter_context(node.connect(source=source, door=door))
    assert client.ask(node.get()).status in (200, 308)
    return client


def _refused(node: Node, source: str, door: Door = Door.HTTPS) -> bool:
    try:
        with node.connect(source=source, door=door) as client:
            client.ask(node.get())
    except _GONE:
        return True
    return False


@pytest.mark.parametrize("door", [Door.HTTPS, Door.HTTP])
def test_one_address_does_not_take_every_place(crowded: Node, door: Door) -> None:
    """A third connection of one address is turned away at once, on every door; others are let in."""
    with ExitStack() as stack:
        _stay(stack, crowded, "127.0.0.2", door)
        _stay(stack, crowded, "127.0.0.2")
        assert _refused(crowded, "127.0.0.2", door)
        _stay(stack, crowded, "127.0.0.3", door)
    assert crowded.edge.refused == 1


def test_those_who_connect_and_say_nothing_make_room(upstream: RecordingUpstream, tmp_path: Path) -> None:
    """Of too many connections without a handshake the oldest goes: a client in earnest is served."""
    with running_node(tmp_path, upstream.url, max_handshakes=3) as own, ExitStack() as stack:
        address = ("127.0.0.1", own.ports[Door.HTTPS])
        silent = [stack.enter_context(socket.create_connection(address, timeout=PATIENCE)) for _ in range(5)]
        assert [connection.recv(1) for connection in silent[:2]] == [b"", b""]
        _stay(stack, own, "127.0.0.1")
        assert silent[2].recv(1) == b""
        assert own.edge.refused == 3


def test_a_client_behind_a_load_balancer_is_one_address(crowded: Node) -> None:
    """Whom a PROXY header names is counted, an IPv6 network of one person's as one; the others are let in."""

    def announce(stack: ExitStack, client: bytes) -> bytes:
        door = ("127.0.0.1", crowded.ports[Door.HTTP])
        sock = stack.enter_context(socket.create_connection(door, PATIENCE, ("127.0.0.9", 0)))
        sock.sendall(b"PROXY TCP6 " + client + b" 2001:db8::1 1234 443\r\n" + crowded.get())
        try:
            return bytes(sock.recv(12))
        except ConnectionResetError:
            return b""

    with ExitStack() as stack:
        assert announce(stack, b"2001:db8:1::1") == b"HTTP/1.1 308"
        assert announce(stack, b"2001:db8:1::2") == b"HTTP/1.1 308"
        assert announce(stack, b"2001:db8:1::3") == b""
        assert announce(stack, b"2001:db8:2::1") == b"HTTP/1.1 308"
    assert crowded.edge.refused == 1


def test_a_load_balancer_is_many_clients(upstream: RecordingUpstream, tmp_path: Path) -> None:
    """The limit for one address is not for trusted proxies; the limit for all is."""
    limits = {"max_connections": 3, "max_connections_per_address": 2, "trusted_proxies": ["127.0.0.9/32"]}
    with running_node(tmp_path, upstream.url, **limits) as own, ExitStack() as stack:
        for _ in range(3):
            _stay(stack, own, "127.0.0.9")
        assert _refused(own, "127.0.0.9")


def test_a_full_worker_turns_away_all_but_the_health_checks(crowded: Node) -> None:
    """When every place is taken a new address is refused as well, health is told, and places come free."""
    with ExitStack() as stack:
        client, *_ = [_stay(stack, crowded, f"127.0.0.{number}") for number in (2, 3, 4)]
        assert _refused(crowded, "127.0.0.5")
        with crowded.connect(door=Door.HEALTH, source="127.0.0.5") as probe:
            assert probe.ask(crowded.get("/readyz", signed_in=False)).status == 200
        client.ask(crowded.get("/", b"Connection: close"))
        client.read_to_end()
        client.sock.close()
        asyncio.run(until(lambda: not _refused(crowded, "127.0.0.5")))


# -- an upstream that is full ---------------------------------------------------------------------------


@contextmanager
def _full(upstream: RecordingUpstream, folder: Path, queued: int) -> Iterator[tuple[Node, threading.Event]]:
    """Run a node whose one connection to the upstream is in use until the event is set."""
    begun, done = threading.Event(), threading.Event()

    def work(conversation: Conversation) -> None:
        conversation.read_request()
        begun.set()
        assert done.wait(PATIENCE)
        conversation.send(OK)
        answer_all(conversation)

    upstream.begin_anew(work)
    limits = {"max_upstream_connections": 1, "upstream_queue": queued, "connect_timeout": 10}
    with running_node(folder, upstream.url, **limits) as own, own.connect() as busy:
        busy.send(own.get("/busy"))
        assert begun.wait(PATIENCE)
        yield own, done
        done.set()
        assert busy.read_answer().status == 200


@pytest.mark.parametrize("lines", [(), (_PAGE,)], ids=["program", "person"])
def test_a_full_queue_is_told_at_once(
    upstream: RecordingUpstream, tmp_path: Path, lines: tuple[bytes, ...]
) -> None:
    """Whoever would have to wait behind a full queue gets 503 and a time to come back, and no wait at all."""
    with _full(upstream, tmp_path, 0) as (own, done), own.connect() as client:
        answer = client.ask(own.get("/next", *lines))  # while the upstream is still at work
        assert not done.is_set()
        assert (answer.status, answer.field("retry-after")) == (503, "5")
        assert answer.field("connection") is None
        assert b"Acme" in answer.body if lines else _code(answer) == "upstream_busy"
    assert [each.target for each in upstream.requests] == [b"/busy"]


def test_whoever_is_in_the_queue_is_served_in_turn(upstream: RecordingUpstream, tmp_path: Path) -> None:
    """Of two visits to a queue for one, one is refused at once, and the other served when it can be."""
    with _full(upstream, tmp_path, 1) as (own, done), own.connect() as first, own.connect() as second:
        for client in (first, second):
            assert client.ask(own.get("/-/nothing")).status == 404  # TLS has said all that it has to say
        for client in (first, second):
            client.send(own.get("/next"))
        (readable,), _, _ = select.select([first.sock, second.sock], [], [], PATIENCE)
        told, waits = (first, second) if readable is first.sock else (second, first)
        assert told.read_answer().status == 503
        done.set()
        assert waits.read_answer().status == 200
    assert len(upstream.contacts) == 1


# -- slow bodies ----------------------------------------------------------------------------------------


class Uploads:
    """An upstream that reads uploads as they come, and says how much of one there is, and when it is cut."""

    def __init__(self, upstream: RecordingUpstream) -> None:
        self._arrived: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.cut = threading.Event()
        upstream.begin_anew(self._take)

    def wait_for(self, octets: int) -> None:
        """Return when so much of the body has come."""
        while self._arrived.get(timeout=PATIENCE) < octets:
            pass

    def _take(self, conversation: Conversation) -> None:
        head = conversation.read_head()
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        try:
            for octets in range(1, length + 1):
                conversation.read(1)
                self._arrived.put(octets)
        except ConnectionError:
            self.cut.set()
            raise
        conversation.send(OK)


@pytest.fixture(scope="module")
def patient(
    _listening_upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """Run a node for which an octet a second is enough: 60 in the minute after which it looks."""
    with running_node(
        tmp_path_factory.mktemp("patient"), _listening_upstream.url, min_body_rate=1
    ) as running:
        yield running


def test_a_slow_upload_that_moves_lives(patient: Node, upstream: RecordingUpstream) -> None:
    """Ten minutes at the least rate: the upload takes as long as it takes."""
    uploads = Uploads(upstream)
    with patient.connect() as client:
        client.send(patient.get("/", b"Content-Length: 602").replace(b"GET", b"POST", 1) + b"x")
        uploads.wait_for(1)
        for minute in range(1, 11):
            client.send(b"x" * 60)
            uploads.wait_for(1 + 60 * minute)
            patient.pass_time(61 * minute)
        client.send(b"x")
        assert client.read_answer().status == 200
    assert not uploads.cut.is_set()


@pytest.mark.parametrize("moved", [0, 1, 59])
def test_an_upload_that_stalls_is_408(patient: Node, upstream: RecordingUpstream, moved: int) -> None:
    """Fewer octets than the least rate in a minute, after a good one: told, cut, and nothing is left open."""
    uploads = Uploads(upstream)
    with patient.connect() as client:
        client.send(patient.get("/", b"Content-Length: 1000").replace(b"GET", b"POST", 1) + b"x")
        uploads.wait_for(1)
        client.send(b"x" * 60)
        uploads.wait_for(61)
        patient.pass_time(61)
        if moved:
            client.send(b"x" * moved)
            uploads.wait_for(61 + moved)
        patient.pass_time(122)
        answer = client.read_answer()
        assert (answer.status, _code(answer), answer.field("connection")) == (408, "body_slow", "close")
        assert uploads.cut.wait(PATIENCE)
    assert not upstream.requests[0].whole


def test_an_upload_whose_upstream_does_not_read_is_not_the_client_s_fault(
    patient: Node, upstream: RecordingUpstream
) -> None:
    """While the upstream is what is waited for, the client is not told 408, but after a minute 504."""
    cut = threading.Event()

    def take_nothing(conversation: Conversation) -> None:
        conversation.read_head()
        assert cut.wait(PATIENCE)

    upstream.begin_anew(take_nothing)
    with patient.connect() as client:
        client.send(patient.get("/", b"Content-Length: 100000000").replace(b"GET", b"POST", 1))
        client.sock.settimeout(2)
        with suppress(TimeoutError):
            while client.sock.send(b"x" * 65_536):
                pass
        client.sock.settimeout(PATIENCE)
        patient.pass_time(61)
        assert client.read_answer().status == 504
        cut.set()


def test_answers_are_framed_whatever_the_limit(node: Node, upstream: RecordingUpstream) -> None:
    """The limit is for what is sent to the portal; what the portal sends is as large as it likes."""
    upstream.begin_anew(answering(b"x" * 100_000))
    host = add_portal(node, [upstream.url], max_body="10")
    with node.connect(host) as client:
        assert client.ask(request(host)).body == b"x" * 100_000
