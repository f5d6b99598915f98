"""What goes wrong between the router, an upstream and a client: told plainly, cut visibly, mixed up never."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest

from router.tenants.form import TenantForm
from tests.journeys.node import DOMAIN, running_node
from tests.journeys.upstream import OK, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.journeys.node import Node
    from tests.journeys.upstream import Conversation, RecordingUpstream

_PAGE = b"Accept: text/html"
_GONE = (ConnectionError, ssl.SSLEOFError)


def _post(node: Node, *lines: bytes, body: bytes = b"") -> bytes:
    head = node.get("/", *lines)
    return head.replace(b"GET", b"POST", 1) + body


# -- away and slow --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def away(node: Node) -> Iterator[str]:
    """Set up a tenant whose upstream refuses every connection; its hostname."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # taken, but nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        form = TenantForm(
            name="Away Tools", theme_colour="#0B6E4F", upstreams=[url], public_paths=["/public"]
        )
        node.operate(node.registry.add("away", form, actor="test"))
        yield f"away.{DOMAIN}"


def test_an_upstream_that_is_away_is_502(node: Node, away: str) -> None:
    """A program gets a code, a person a page in the tenant's look; neither learns where the upstream is."""
    with node.connect(away) as client:
        problem = client.ask(node.get("/public", host=away, signed_in=False))
        page = client.ask(node.get("/public", _PAGE, host=away, signed_in=False))
    assert (problem.status, page.status) == (502, 502)
    assert json.loads(problem.body)["code"] == "upstream_unreachable"
    assert b"Away Tools" in page.body
    assert b"127.0.0.1" not in problem.head + problem.body + page.head + page.body


def test_an_upload_to_an_upstream_that_is_away_is_502(node: Node, away: str) -> None:
    """The answer comes although the body has not, and the rest of it is no request."""
    head = node.get("/public", b"Content-Length: 1000000", host=away, signed_in=False)
    with node.connect(away) as client:
        answer = client.ask(head.replace(b"GET", b"POST", 1))
        assert (answer.status, answer.field("connection")) == (502, "close")


@pytest.fixture(scope="module")
def hasty(_listening_upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Run a node that waits for upstreams for a second only."""
    folder = tmp_path_factory.mktemp("hasty")
    with running_node(folder, _listening_upstream.url, answer_timeout=1, connect_timeout=1) as running:
        yield running


def test_an_upstream_that_is_slow_is_504(hasty: Node, upstream: RecordingUpstream) -> None:
    """No answer in time is 504; the upstream's connection is cut, and the client's goes on."""
    ended = threading.Event()

    def keep_silent(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.wait_for_end()
        ended.set()

    upstream.begin_anew(keep_silent)
    with hasty.connect() as client:
        answer = client.ask(hasty.get("/", _PAGE))
        assert answer.status == 504
        assert b"Acme" in answer.body
        assert ended.wait(PATIENCE)
        upstream.begin_anew()
        assert client.ask(hasty.get("/")).body == b"ok"


def test_an_upstream_that_takes_no_connection_is_told_in_time(hasty: Node) -> None:
    """A dial that hangs ends after the connect timeout with an error, not after the kernel's minutes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # fills the queue: further SYNs are dropped
            url = f"http://127.0.0.1:{port}"
            form = TenantForm(name="Full", theme_colour="#0B6E4F", upstreams=[url], public_paths=["/public"])
            hasty.operate(hasty.registry.add("full", form, actor="test"))
            host = f"full.{DOMAIN}"
            began = time.monotonic()
            with hasty.connect(host) as client:
                assert client.ask(hasty.get("/public", host=host, signed_in=False)).status in (502, 504)
            assert time.monotonic() - began < PATIENCE


def _keep_silent(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.wait_for_end()


def test_an_answer_that_goes_on_slowly_is_not_slow(hasty: Node, upstream: RecordingUpstream) -> None:
    """Once the answer has begun, its pace is its own: a pause longer than the answer timeout is no fault."""
    paused = threading.Event()

    def pause(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        assert paused.wait(PATIENCE)
        conversation.send(b"cd")

    upstream.begin_anew(pause)
    with hasty.connect() as client, hasty.connect() as other:
        client.send(hasty.get("/"))
        client.read_until(b"ab")
        upstream.script = _keep_silent
        assert other.ask(hasty.get("/")).status == 504  # so the time is over
        paused.set()
        assert client.read(2) == b"cd"


# -- broken off -----------------------------------------------------------------------------------------


def _read_and_close(conversation: Conversation) -> None:
    conversation.read_request()


def _read_and_reset(conversation: Conversation) -> None:
    conversation.read_request()
    conversation.reset()


def _close_at_once(_conversation: Conversation) -> None:
    return


@pytest.mark.parametrize("script", [_read_and_close, _read_and_reset, _close_at_once])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_upstream_that_breaks_off_before_it_answers_is_502(
    node: Node, upstream: RecordingUpstream, method: str, script: Callable[[Conversation], None]
) -> None:
    """A fresh connection that is closed or reset before an answer is told as it is, and not tried again."""
    upstream.begin_anew(script)
    request = node.get("/", b"Content-Length: 0").replace(b"GET", method.encode(), 1)
    with node.connect() as client:
        answer = client.ask(request)
        assert (answer.status, json.loads(answer.body)["code"]) == (502, "upstream_broke_off")
        upstream.script = _serve
        assert client.ask(node.get("/")).body == b"ok"
    assert len(upstream.contacts) == 2


def _serve(conversation: Conversation) -> None:
    while True:
        conversation.read_request()
        conversation.send(OK)


_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
_UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        pytest.param(_LENGTH, "close", id="length, close"),
        pytest.param(_LENGTH, "reset", id="length, reset"),
        pytest.param(_CHUNKED, "close", id="chunked, close"),
        pytest.param(_CHUNKED, "reset", id="chunked, reset"),
        pytest.param(_UNTIL_CLOSE, "reset", id="until the close, reset"),
    ],
)
def test_an_answer_that_breaks_off_is_cut(
    node: Node, upstream: RecordingUpstream, answer: bytes, end: str
) -> None:
    """Half an answer is never ended cleanly: the framing is left open, and TLS says no goodbye."""
    read = threading.Event()

    def break_off(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(answer)
        assert read.wait(PATIENCE)
        if end == "reset":
            conversation.reset()

    upstream.begin_anew(break_off)
    with node.connect() as client:
        client.send(node.get("/"))
        came = client.read_until(b"hello")
        read.set()
        came += client.read_to_end()
        assert client.ended == "cut"
    assert b"\r\n0\r\n" not in came


# -- pooled connections ---------------------------------------------------------------------------------


def _die_at_the_second(conversation: Conversation) -> None:
    """Be a server that closes an idle connection just as the next request is on its way."""
    conversation.read_request()
    conversation.send(OK)
    conversation.read_request()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_a_pooled_connection_that_was_dead_is_tried_once_more(
    node: Node, upstream: RecordingUpstream, method: str
) -> None:
    """An idempotent request without a body goes to a fresh connection, and its client notices nothing."""
    upstream.begin_anew(_die_at_the_second)
    with node.connect() as client:
        assert client.ask(node.get("/first")).status == 200
        request = node.get("/second").replace(b"GET", method.encode(), 1)
        assert client.ask(request, to_head=method == "HEAD").status == 200
    assert [request.target for request in upstream.requests] == [b"/first", b"/second", b"/second"]
    assert len(upstream.contacts) == 2


@pytest.mark.parametrize(
    ("method", "body"), [("POST", b""), ("POST", b"hello"), ("PATCH", b"hello"), ("PUT", b"hello")]
)
def test_what_must_not_happen_twice_is_not_tried_again(
    node: Node, upstream: RecordingUpstream, method: str, body: bytes
) -> None:
    """A request that is not idempotent, or whose body has been sent, is told as failed."""
    upstream.begin_anew(_die_at_the_second)
    with node.connect() as client:
        assert client.ask(node.get("/first")).status == 200
        request = node.get("/second", b"Content-Length: %d" % len(body)).replace(b"GET", method.encode(), 1)
        assert client.ask(request + body).status == 502
    assert [request.target for request in upstream.requests] == [b"/first", b"/second"]


def test_one_more_try_is_one(node: Node, upstream: RecordingUpstream) -> None:
    """An upstream that dies again is not asked a third time."""
    scripts = [_read_and_close, _die_at_the_second]

    def follow_the_next(conversation: Conversation) -> None:
        scripts.pop()(conversation)

    upstream.begin_anew(follow_the_next)
    with node.connect() as client:
        assert client.ask(node.get("/first")).status == 200
        assert client.ask(node.get("/second")).status == 502
    assert len(upstream.contacts) == 2


def test_octets_on_an_idle_connection_reach_nobody(node: Node, upstream: RecordingUpstream) -> None:
    """An answer that nobody asked for costs the upstream that connection; the next visit gets its own."""
    ended = threading.Event()

    def chatter(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(OK)
        if len(upstream.contacts) == 1:
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            conversation.wait_for_end()
            ended.set()

    upstream.begin_anew(chatter)
    with node.connect() as client:
        assert client.ask(node.get("/first")).body == b"ok"
        assert ended.wait(PATIENCE)
        assert client.ask(node.get("/second")).body == b"ok"
    assert len(upstream.contacts) == 2


# -- clients --------------------------------------------------------------------------------------------


def _until_cut(
    ended: threading.Event, began: threading.Event, first: bytes = b""
) -> Callable[[Conversation], None]:
    def script(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(first)
        began.set()
        conversation.wait_for_end()
        ended.set()

    return script


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"], ids=["asking", "answering"]
)
@pytest.mark.parametrize("lines", [(), (b"Content-Length: 100",)], ids=["whole", "half a body"])
def test_a_client_that_goes_ends_the_upstreams_work(
    node: Node, upstream: RecordingUpstream, first: bytes, lines: tuple[bytes, ...]
) -> None:
    """When nobody waits for the answer any more, the upstream's connection is cut at once."""
    began, ended = threading.Event(), threading.Event()
    upstream.begin_anew(_until_cut(ended, began, first))
    with node.connect() as client:
        client.send(_post(node, *lines))
        assert began.wait(PATIENCE)
    assert ended.wait(PATIENCE)


def test_an_early_answer_reaches_a_client_that_still_sends(node: Node, upstream: RecordingUpstream) -> None:
    """An upstream may answer before it has the body: the client is told, and the connection ends after it."""

    def refuse(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
        conversation.wait_for_end()

    upstream.begin_anew(refuse)
    with node.connect() as client:
        answer = client.ask(_post(node, b"Content-Length: 1000000", body=b"x" * 10_000))
        assert (answer.status, answer.body, answer.field("connection")) == (413, b"big", "close")
        client.send(b"x" * 10_000 + node.get("/smuggled"))
    with node.connect() as client:
        upstream.script = _serve
        assert client.ask(node.get("/next")).body == b"ok"
    assert [request.target for request in upstream.requests] == [b"/", b"/next"]


def test_a_huge_upload_of_a_stranger_is_answered_at_once(node: Node, upstream: RecordingUpstream) -> None:
    """1 GiB announced without a session: 401 before any of it; what comes is thrown away, then the end."""
    head = node.get("/", b"Content-Length: 1073741824", signed_in=False).replace(b"GET", b"POST", 1)
    with node.connect() as client:
        answer = client.ask(head)
        assert (answer.status, answer.field("connection")) == (401, "close")
        client.send(b"x" * 4_194_304 + node.get("/smuggled"))
        assert client.read_to_end() == b""
        assert client.ended == "closed"
    assert upstream.contacts == []


def test_a_stranger_is_not_told_to_continue(node: Node, upstream: RecordingUpstream) -> None:
    """Who expects 100 and is not signed in gets the final answer, no invitation to send."""
    lines = (b"Content-Length: 5", b"Expect: 100-continue")
    head = node.get("/", *lines, signed_in=False).replace(b"GET", b"POST", 1)
    with node.connect() as client:
        assert client.ask(head).status == 401
    assert upstream.contacts == []


def test_expect_continue_goes_through_both_ways(node: Node, upstream: RecordingUpstream) -> None:
    """The upstream sees the expectation, its 100 reaches the client, and only then is the body sent."""

    def invite(conversation: Conversation) -> None:
        assert b"Expect: 100-continue\r\n" in conversation.read_head()
        assert conversation.seen.endswith(b"\r\n\r\n")
        conversation.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert conversation.read(5) == b"hello"
        conversation.send(OK)

    upstream.begin_anew(invite)
    with node.connect() as client:
        assert client.ask(_post(node, b"Content-Length: 5", b"Expect: 100-continue")).status == 100
        assert client.ask(b"hello").body == b"ok"


def test_an_expectation_that_is_not_met_saves_the_body(node: Node, upstream: RecordingUpstream) -> None:
    """The upstream's refusal reaches a client that waits, which then need not send."""

    def refuse(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        conversation.wait_for_end()

    upstream.begin_anew(refuse)
    with node.connect() as client:
        answer = client.ask(_post(node, b"Content-Length: 5", b"Expect: 100-continue"))
        assert (answer.status, answer.field("connection")) == (403, "close")


def test_a_broken_pipeline_ends_at_the_break(node: Node, upstream: RecordingUpstream) -> None:
    """What came before a bad request is answered, the bad one refused, and nothing after it is forwarded."""
    with node.connect() as client:
        client.send(node.get("/1") + node.get("/2", b"Bad : x") + node.get("/3"))
        assert [client.read_answer().status for _ in range(2)] == [200, 400]
        with pytest.raises(_GONE):
            client.read_answer()
        assert client.ended == "closed"
    assert [request.target for request in upstream.requests] == [b"/1"]


def test_a_request_after_one_that_needed_sign_in_is_served(node: Node, upstream: RecordingUpstream) -> None:
    """An answer of ours to a sound request leaves the connection as it was, pipelined requests included."""
    with node.connect() as client:
        client.send(
            node.get("/1", signed_in=False) + node.get("/2") + node.get("/-/nothing") + node.get("/3")
        )
        assert [client.read_answer().status for _ in range(4)] == [401, 200, 404, 200]
    assert [request.target for request in upstream.requests] == [b"/2", b"/3"]
