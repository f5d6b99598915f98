"""Clients that take their time: cut when it is over, all of them at once, while others are served."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from router.edge.visit import Door
from tests.journeys.node import PATIENCE, Client, running_node
from tests.journeys.upstream import OK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.journeys.node import Node
    from tests.journeys.upstream import Conversation, RecordingUpstream

_CUT_WITHIN = 20.0
_ENOUGH = 6  # visits, for a median
"""Seconds: the timeouts of this node are 1, a sweep may be late by as much, and this machine slow."""

_LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 8_000_000


@dataclass(frozen=True)
class Ending:
    """How a slow connection ended: what came before, how long it lasted, cleanly or not."""

    octets: bytes
    seconds: float
    ended: str


@dataclass(frozen=True)
class Siege:
    """What came of all slow clients, and how long the well-behaved one waited for each answer meanwhile."""

    endings: dict[str, Ending]
    waits: list[float]


@pytest.fixture(scope="module")
def impatient(
    _listening_upstream: RecordingUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    """Run a node that waits for a second where others wait for ten, or more."""
    folder = tmp_path_factory.mktemp("impatient")
    with running_node(folder, _listening_upstream.url, head_timeout=1, idle_timeout=1) as running:
        yield running


def _raw(octets: bytes, door: Door = Door.HTTPS) -> Callable[[Node], Ending]:
    """Connect without TLS, say this much, and wait."""

    def wait(node: Node) -> Ending:
        with socket.create_connection(("127.0.0.1", node.ports[door]), timeout=PATIENCE) as sock:
            sock.sendall(node.hello()[: len(octets)] if octets == b"?" * len(octets) else octets)
            return _wait_for_end(Client(sock))

    return wait


def _secured(octets: bytes, *, answers: int = 0) -> Callable[[Node], Ending]:
    """Connect with TLS, say this much, read some answers, and wait."""

    def wait(node: Node) -> Ending:
        with node.connect() as client:
            client.send(octets.replace(b"@cookie@\r\n", node.cookie))
            for _ in range(answers):
                client.read_answer()
            return _wait_for_end(client)

    return wait


def _wait_for_end(client: Client) -> Ending:
    began = time.monotonic()
    octets = client.read_to_end()
    return Ending(octets, time.monotonic() - began, client.ended)


def _stall_in_handshake(node: Node) -> Ending:
    with socket.create_connection(("127.0.0.1", node.ports[Door.HTTPS]), timeout=PATIENCE) as sock:
        sock.sendall(node.hello())
        return _wait_for_end(Client(sock))


def _drip(node: Node) -> Ending:
    """Send a head octet by octet, as long as somebody listens."""
    ended = threading.Event()
    with node.connect() as client:

        def send() -> None:
            with suppress(OSError):
                for octet in node.get("/slow"):
                    client.send(bytes([octet]))
                    if ended.wait(0.1):  # the pace of the attack
                        return

        dripping = threading.Thread(target=send)
        dripping.start()
        ending = _wait_for_end(client)
        ended.set()
        dripping.join()
    return ending


def _read_late(node: Node) -> Ending:
    """Ask for much, let it pile up in the router, read it all, then ask for nothing more."""
    with node.connect() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.send(node.get("/large"))
        client.read_answer()
        return _wait_for_end(client)


_GET = b"GET /public HTTP/1.1\r\nHost: acme.portal.example\r\n\r\n"

_SLOW: dict[str, Callable[[Node], Ending]] = {
    "no octet": _raw(b""),
    "one octet of a ClientHello": _raw(b"?"),
    "half a ClientHello": _raw(b"?" * 200),
    "nothing after the ClientHello": _stall_in_handshake,
    "no request": _secured(b""),
    "half a request head": _secured(b"GET / HTTP/1.1\r\nHost: acme"),
    "an empty line": _secured(b"\r\n"),
    "a head in drops": _drip,
    "idle after an answer": _secured(_GET, answers=1),
    "half a head after an answer": _secured(_GET + b"GET / HT", answers=1),
    "idle after an answer of ours": _secured(_GET.replace(b"/public", b"/private"), answers=1),
    "idle after a page of the portal": _secured(_GET.replace(b"/public", b"/-/sign-in"), answers=1),
    # Whether the last of an answer piles up is a matter of chance: four times.
    **{f"idle after reading late, {number}": _read_late for number in range(4)},
    "no request, plain": _raw(b"", Door.HTTP),
    "half a head, plain": _raw(b"GET / HTTP/1.1\r\n", Door.HTTP),
    "half a head, health": _raw(b"GET /healthz", Door.HEALTH),
}


@pytest.fixture(scope="module")
def siege(impatient: Node, _listening_upstream: RecordingUpstream) -> Siege:
    """Let all slow clients come at once, and one that behaves ask for as long as any of them is there."""

    def answer(conversation: Conversation) -> None:
        while True:
            request = conversation.read_request()
            conversation.send(_LARGE if request.startswith(b"GET /large ") else OK)

    _listening_upstream.begin_anew(answer)
    with ThreadPoolExecutor(len(_SLOW)) as pool:
        coming = {name: pool.submit(visit, impatient) for name, visit in _SLOW.items()}
        waits: list[float] = []
        while len(waits) < _ENOUGH or not all(future.done() for future in coming.values()):
            began = time.monotonic()
            with impatient.connect() as client:
                assert client.ask(impatient.get("/")).body == b"ok"
            waits.append(time.monotonic() - began)
        return Siege({name: future.result() for name, future in coming.items()}, waits)


@pytest.mark.parametrize("name", _SLOW)
def test_a_slow_client_is_cut(siege: Siege, name: str) -> None:
    """Whatever it was that never came, the connection does not outlive the timeout for it."""
    ending = siege.endings[name]
    assert ending.seconds < _CUT_WITHIN
    assert ending.seconds > 0.1 or "late" in name  # its wait began while it was still reading
    if name.startswith(("half a", "a head", "an empty")) and "Hello" not in name:
        assert ending.octets.startswith(b"HTTP/1.1 408 ")
        assert ending.ended == "closed"
    elif name.startswith("idle"):
        assert (ending.octets, ending.ended) == (b"", "closed")
    else:
        assert b"HTTP" not in ending.octets


def test_others_are_served_meanwhile(siege: Siege) -> None:
    """A client that behaves gets its answers, over new connections, in no time."""
    assert len(siege.waits) >= _ENOUGH
    assert sorted(siege.waits)[len(siege.waits) // 2] < 1.0


def test_a_long_answer_outlives_the_idle_timeout(impatient: Node, upstream: RecordingUpstream) -> None:
    """An answer under way, silent for longer than idle connections may be, is no idle connection."""
    idle_over = threading.Event()

    def pause(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\nfirst")
        assert idle_over.wait(PATIENCE)
        conversation.send(b"last")

    with impatient.connect() as streaming, impatient.connect() as idle:
        upstream.begin_anew(pause)
        streaming.send(impatient.get("/events"))
        streaming.read_until(b"first")
        idle.ask(impatient.get("/-/sign-in"))
        assert idle.read_to_end() == b""  # now the idle timeout is over
        idle_over.set()
        assert b"last" in streaming.read_to_end()
        assert streaming.ended == "closed"


_TWELVE = 12
"""So many seconds are one below: those that a busy machine takes do not count beside them."""


@pytest.mark.parametrize(("seconds", "moved", "status"), [(4, 0, 200), (6, 0, 408), (6, 1_200, 200)])
def test_how_long_a_body_may_stall_is_a_setting(
    upstream: RecordingUpstream, tmp_path: Path, seconds: float, moved: int, status: int
) -> None:
    """Within the stall timeout it may pause; after it, it must have moved at the least rate, 200 a second."""
    head = b"POST /public HTTP/1.1\r\nHost: acme.portal.example\r\nContent-Length: 24000\r\n\r\n"
    settings = {"stall_timeout": 5 * _TWELVE, "min_body_rate": 200}
    with running_node(tmp_path, upstream.url, **settings) as own, own.connect() as client:
        client.send(head + b"x")
        while b"\r\n\r\nx" not in upstream.seen:
            time.sleep(0.01)
        own.pass_time(0)
        client.send(b"x" * (moved * _TWELVE))
        while upstream.seen.count(b"x" * (moved * _TWELVE)) < 1:
            time.sleep(0.01)
        own.pass_time(seconds * _TWELVE)
        if status == 200:
            client.send(b"x" * (23_999 - moved * _TWELVE))
        assert client.read_answer().status == status
