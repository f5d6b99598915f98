"""The end of a WebSocket that the router brings about: said properly, between two frames, to both ends."""

from __future__ import annotations

import asyncio
import queue
import select
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from router.identity.sessions import key_of
from tests.journeys.node import PATIENCE, running_node
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.identity.session import Session
    from tests.journeys.node import Client, Node
    from tests.journeys.upstream import Conversation, RecordingUpstream

_ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
_TO_CLIENT = b"\x81\x05hello"
_TO_UPSTREAM = b"\x81\x85\x01\x02\x03\x04hello"
_POLICY = b"\x88\x02\x03\xf0"  # 1008, RFC 6455 section 7.4.1
_POLICY_MASKED = b"\x88\x82\x00\x00\x00\x00\x03\xf0"
_GOING_AWAY = b"\x88\x02\x03\xe9"  # 1001
_GOING_AWAY_MASKED = b"\x88\x82\x00\x00\x00\x00\x03\xe9"


class Far:
    """The upstream's end of each tunnel in the order of opening: what it is to send, what it was sent."""

    def __init__(self, upstream: RecordingUpstream) -> None:
        self.conversations: queue.SimpleQueue[Conversation] = queue.SimpleQueue()
        self.ended = threading.Event()
        upstream.begin_anew(self._accept)

    def _accept(self, conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(_ACCEPTED)
        self.conversations.put(conversation)
        assert self.ended.wait(PATIENCE * 2)

    @contextmanager
    def tunnel(
        self, node: Node, token: str, host: str | None = None
    ) -> Iterator[tuple[Client, Conversation]]:
        """Open a tunnel; both its ends."""
        opening = node.get(
            "/live",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            f"Origin: https://{host or node.host}".encode(),
            f"Cookie: __Host-portal-session={token}".encode(),
            host=host,
            signed_in=False,
        )
        with node.connect(host) as client:
            client.send(opening)
            client.read_until(b"\r\n\r\n")
            yield client, self.conversations.get(timeout=PATIENCE)


@pytest.fixture
def far(upstream: RecordingUpstream) -> Iterator[Far]:
    """Let the upstream accept every WebSocket."""
    made = Far(upstream)
    yield made
    made.ended.set()


def _cross(client: Client, conversation: Conversation) -> None:
    """Let a whole frame pass each way."""
    client.send(_TO_UPSTREAM)
    assert conversation.read(len(_TO_UPSTREAM)) == _TO_UPSTREAM
    conversation.send(_TO_CLIENT)
    assert client.read(len(_TO_CLIENT)) == _TO_CLIENT


def _rest(conversation: Conversation) -> bytes:
    """Whatever comes to the upstream until the end."""
    begun = len(conversation.seen)
    conversation.wait_for_end()
    return bytes(conversation.seen[begun:])


@pytest.mark.parametrize("cut", range(1, len(_TO_CLIENT)))
def test_a_frame_under_way_is_finished_before_the_goodbye(node: Node, far: Far, cut: int) -> None:
    """Wherever in a frame its session ends, the frame arrives whole, the close frame after it, then nothing.

    A second tunnel of the session, in which nothing is under way, shows when the end has come.
    """
    token, _ = node.sign_in("acme", f"frame{cut}@example.com")
    with far.tunnel(node, token) as (client, conversation), far.tunnel(node, token) as (idle, _):
        client.send(_TO_UPSTREAM[:cut])
        assert conversation.read(cut) == _TO_UPSTREAM[:cut]
        conversation.send(_TO_CLIENT[:cut])
        assert client.read(cut) == _TO_CLIENT[:cut]
        node.operate(node.sessions.revoke(key_of(token)))
        assert idle.read(len(_POLICY)) == _POLICY
        client.send(_TO_UPSTREAM[cut:])
        conversation.send(_TO_CLIENT[cut:])
        assert client.read(len(_TO_CLIENT) - cut) == _TO_CLIENT[cut:]
        assert client.read(len(_POLICY)) == _POLICY
        assert conversation.read(len(_TO_UPSTREAM) - cut) == _TO_UPSTREAM[cut:]
        assert conversation.read(len(_POLICY_MASKED)) == _POLICY_MASKED
        client.send(_TO_UPSTREAM)
        conversation.send(_TO_CLIENT)
        node.pass_time(2.5)  # both ends have had time to answer
        assert client.read_to_end() == b""
        assert _rest(conversation) == b""


def test_whoever_has_said_goodbye_is_not_sent_another(node: Node, far: Far) -> None:
    """A close frame that went by is that way's last: ours goes the other way only."""
    token, _ = node.sign_in("acme", "goodbye@example.com")
    said = b"\x88\x82\x00\x00\x00\x00\x03\xe8"  # 1000
    with far.tunnel(node, token) as (client, conversation):
        client.send(said)
        assert conversation.read(len(said)) == said
        node.operate(node.sessions.revoke(key_of(token)))
        assert client.read(len(_POLICY)) == _POLICY
        node.pass_time(2.5)
        assert client.read_to_end() == b""
        assert _rest(conversation) == b""


def test_a_frame_that_is_never_finished_delays_no_end(node: Node, far: Far) -> None:
    """Where no close frame fits in, the connections are closed all the same."""
    token, _ = node.sign_in("acme", "stuck@example.com")
    with far.tunnel(node, token) as (client, conversation), far.tunnel(node, token) as (idle, _):
        client.send(_TO_UPSTREAM[:-1])
        assert conversation.read(len(_TO_UPSTREAM) - 1) == _TO_UPSTREAM[:-1]
        conversation.send(_TO_CLIENT[:-1])
        assert client.read(len(_TO_CLIENT) - 1) == _TO_CLIENT[:-1]
        node.operate(node.sessions.revoke(key_of(token)))
        assert idle.read(len(_POLICY)) == _POLICY
        node.pass_time(2.5)
        assert client.read_to_end() == b""
        assert _rest(conversation) == b""


def test_a_drain_says_that_the_endpoint_goes_away(
    far: Far, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    """A tunnel has half of the drain's time, then both ends are told 1001; when they go, all is over."""
    with running_node(tmp_path, upstream.url) as own, far.tunnel(own, own.token) as (client, conversation):
        began = time.monotonic()
        drained = asyncio.run_coroutine_threadsafe(_drain(own), own.loop)
        _cross(client, conversation)
        assert client.read(len(_GOING_AWAY)) == _GOING_AWAY
        assert time.monotonic() - began >= _DRAIN / 2
        assert conversation.read(len(_GOING_AWAY_MASKED)) == _GOING_AWAY_MASKED
        client.sock.close()
        drained.result(PATIENCE)
        assert _rest(conversation) == b""


_DRAIN = 2.0


async def _drain(node: Node) -> None:
    node.edge.stop_accepting()
    await node.edge.drain(_DRAIN)


@pytest.fixture
def impatient(upstream: RecordingUpstream, tmp_path: Path) -> Iterator[Node]:
    """Run a node of our own, whose sessions' time the test can let pass."""
    with running_node(tmp_path, upstream.url, session_idle=600) as own:
        yield own


def _pass_idle_time(node: Node, seconds: int) -> None:
    """Let so much time pass, by the clock of the worker's sessions too, and have it look at them."""
    sessions = node.edge._house.tunnels._sessions  # noqa: SLF001 - the worker's, not this test's
    sessions._clock = lambda: time.time() + seconds  # noqa: SLF001
    node.pass_time(seconds)


async def _use_elsewhere(node: Node, session: Session, after: int) -> None:
    """Use a session so many seconds from now, as another worker would, and write that down."""
    node.sessions.touch(session, time.time() + after)
    await node.sessions.flush()


def test_a_session_in_use_elsewhere_keeps_its_tunnels(far: Far, impatient: Node) -> None:
    """What counts is when any worker last saw the user: only the tunnel of one who was not seen ends."""
    (busy, session), (idle, _) = (impatient.sign_in("acme", f"{who}@example.com") for who in ("busy", "idle"))
    with far.tunnel(impatient, busy) as (client, conversation), far.tunnel(impatient, idle) as (other, _):
        impatient.operate(_use_elsewhere(impatient, session, 500))
        _pass_idle_time(impatient, 700)
        assert other.read(len(_POLICY)) == _POLICY
        _cross(client, conversation)
        impatient.pass_time(1_000)
        _cross(client, conversation)


def test_a_tunnel_in_use_ends_with_the_life_of_its_session(
    far: Far, upstream: RecordingUpstream, tmp_path: Path
) -> None:
    """The absolute end counts whatever is sent: 1008 to both ends, and not before it."""
    with running_node(tmp_path, upstream.url, session_idle=600, session_life=600) as own:
        token, session = own.sign_in("acme", "life@example.com")
        with far.tunnel(own, token) as (client, conversation):
            _pass_idle_time(own, 550)  # looked at, and found alive
            own.operate(_use_elsewhere(own, session, 550))
            _cross(client, conversation)
            _pass_idle_time(own, 601)
            assert client.read(len(_POLICY)) == _POLICY
            assert conversation.read(len(_POLICY_MASKED)) == _POLICY_MASKED


def test_an_event_stream_ends_with_the_time_of_its_session(
    impatient: Node, upstream: RecordingUpstream
) -> None:
    """Nobody is told anything in the name of a session that is over, by whatever was opened in time."""

    def stream(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        conversation.wait_for_end()

    upstream.begin_anew(stream)
    with impatient.connect() as client:
        client.send(impatient.get("/events"))
        client.read_until(b"data: 1\n\n\r\n")
        _pass_idle_time(impatient, 500)
        assert not select.select([client.sock], [], [], 0.1)[0]
        _pass_idle_time(impatient, 700)
        assert client.read_to_end() == b""
        assert client.ended == "cut"


def test_an_upstream_that_never_reads_is_given_up(node: Node, far: Far) -> None:
    """What was sent to it last waits for a minute; then the connection is closed, not held for ever."""
    token, _ = node.sign_in("acme", "unread@example.com")
    with far.tunnel(node, token) as (client, conversation):
        client.sock.settimeout(0.4)
        with suppress(TimeoutError):
            while True:
                client.send(b"\x82\xff\0\0\0\0\0\x01\0\0\0\0\0\0" + bytes(65_536))
        node.operate(node.sessions.revoke(key_of(token)))
        client.sock.settimeout(PATIENCE)
        client.read_until(_POLICY)
        node.pass_time(2.5)  # the end of the last words
        assert _is_open(conversation)
        node.pass_time(70)
        asyncio.run(until(lambda: not _is_open(conversation)))


def _is_open(conversation: Conversation) -> bool:
    """Whether the router still holds its end, as the kernel has it: nothing of that can be seen from ours."""
    ours, theirs = conversation.sock.getsockname()[1], conversation.sock.getpeername()[1]
    lines = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    states = {(line[1][-4:], line[2][-4:]): line[3] for line in lines}
    return states.get((f"{theirs:04X}", f"{ours:04X}")) == "01"  # TCP_ESTABLISHED, include/net/tcp_states.h
