"""How a node goes: it says so first, finishes what is under way, and is gone in bounded time."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from router.hostname import Hostname
from router.storage.bell import PollBell
from router.storage.database import Database
from router.storage.migrate import migrate
from router.tenants.form import TenantForm
from router.tenants.registry import Registry
from tests.free_ports import free_port
from tests.journeys.node import DOMAIN, PATIENCE, Client, running_node
from tests.journeys.upstream import OK
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.journeys.upstream import Conversation, RecordingUpstream

_ROOT = Path(__file__).resolve().parents[2]
_HOST = f"acme.{DOMAIN}"
_START_WITHIN = 60.0


def _wait_until(condition: Callable[[], bool], within: float = PATIENCE) -> None:
    asyncio.run(until(condition, within=within))


@dataclass(frozen=True)
class Process:
    """``tenant-router serve`` as an operator runs it, and how to reach it."""

    running: subprocess.Popen[bytes]
    ports: dict[str, int]
    authority: trustme.CA

    @contextmanager
    def connect(self) -> Iterator[Client]:
        """Open a connection to the tenant's portal."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        raw = socket.create_connection(("127.0.0.1", self.ports["HTTPS"]), timeout=PATIENCE)
        with context.wrap_socket(raw, server_hostname=_HOST, suppress_ragged_eofs=False) as secured:
            yield Client(secured)

    def health(self, path: str) -> int:
        """Ask the health port on a connection of its own; 0 where nobody answers."""
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        try:
            with socket.create_connection(("127.0.0.1", self.ports["HEALTH"]), timeout=PATIENCE) as raw:
                return Client(raw).ask(request).status
        except ConnectionError:
            return 0

    def refuses(self) -> bool:
        """Whether the HTTPS port takes no connection any more."""
        try:
            socket.create_connection(("127.0.0.1", self.ports["HTTPS"]), timeout=PATIENCE).close()
        except ConnectionRefusedError:
            return True
        return False


async def _seed(url: str, upstream_url: str) -> None:
    await migrate(url)
    database = Database(url)
    await database.open()
    bell = PollBell()
    registry = Registry(database, bell, platform_domain=Hostname.parse(DOMAIN), allow_private_upstreams=True)
    form = TenantForm(name="Acme", theme_colour="#0B6E4F", upstreams=[upstream_url], public_paths=["/public"])
    await registry.add("acme", form, actor="test")
    await bell.close()
    await database.close()


@contextmanager
def _serving(folder: Path, upstream_url: str, **settings: str) -> Iterator[Process]:
    authority = trustme.CA()
    (folder / "certs").mkdir()
    issued = authority.issue_cert(f"*.{DOMAIN}", DOMAIN)
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "certs" / "portal.pem"))
    asyncio.run(_seed(f"sqlite:///{folder / 'router.db'}", upstream_url))
    ports = {name: free_port() for name in ("HTTPS", "HTTP", "HEALTH")}
    chosen = {
        "platform_domain": DOMAIN,
        "data_dir": str(folder),
        "certs_dir": str(folder / "certs"),
        "bind": "127.0.0.1",
        "workers": "1",
        "allow_private_upstreams": "true",
        **{f"{name}_port": str(port) for name, port in ports.items()},
        **settings,
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROUTER_")}
    environment |= {f"ROUTER_{name.upper()}": value for name, value in chosen.items()}
    environment["PYTHONPATH"] = str(_ROOT)
    with (folder / "told.txt").open("wb") as told:
        running = subprocess.Popen(
            [sys.executable, "-m", "router", "serve"], env=environment, cwd=folder, stdout=told, stderr=told
        )
    process = Process(running, ports, authority)
    try:
        _wait_until(lambda: process.health("/readyz") == 200 or running.poll() is not None, _START_WITHIN)
        yield process
    finally:
        with suppress(ProcessLookupError):
            running.kill()
        running.wait()


def _get(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET /public/{path} HTTP/1.1", f"Host: {_HOST}", *lines, "", ""]).encode()


@dataclass(frozen=True)
class Work:
    """What the upstream does by path: it begins, and ends when it is let."""

    begun: threading.Semaphore
    let: threading.Event

    def __call__(self, conversation: Conversation) -> None:
        """Follow one connection."""
        while True:
            path = conversation.read_head().split(b" ")[1].removeprefix(b"/public/")
            if path == b"stream":
                conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
            elif path == b"live":
                conversation.send(
                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
                )
                conversation.wait_for_end()
            elif path == b"upload":
                assert conversation.read(5) == b"hello"
            if path != b"now":
                self.begun.release()
                assert self.let.wait(PATIENCE)
            if path == b"upload":
                assert conversation.read(5) == b"world"
            conversation.send(b"-last" if path == b"stream" else OK)


def test_it_finishes_what_is_under_way(tmp_path: Path, upstream: RecordingUpstream) -> None:
    """On SIGTERM readiness fails first, then the ports close; what had begun ends well, then exit 0."""
    work = Work(threading.Semaphore(0), threading.Event())
    upstream.begin_anew(work)
    with ExitStack() as stack:
        process = stack.enter_context(_serving(tmp_path, upstream.url, drain_grace="1", drain_timeout="3"))
        idle, waiting, streaming, uploading, live = (stack.enter_context(process.connect()) for _ in range(5))
        assert idle.ask(_get("now")).body == b"ok"
        waiting.send(_get("wait"))
        streaming.send(_get("stream"))
        uploading.send(_get("upload", "Content-Length: 10").replace(b"GET", b"POST", 1) + b"hello")
        live.send(_get("live", "Connection: Upgrade", "Upgrade: websocket", f"Origin: https://{_HOST}"))
        for _ in range(3):
            assert work.begun.acquire(timeout=PATIENCE)
        assert live.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert streaming.read_until(b"first")

        process.running.send_signal(signal.SIGTERM)
        _wait_until(lambda: process.health("/readyz") == 503)
        assert process.health("/healthz") == 200
        with process.connect() as late:  # load balancers may not have noticed yet
            assert late.ask(_get("now")).body == b"ok"

        _wait_until(process.refuses)
        assert (idle.read_to_end(), idle.ended) == (b"", "closed")
        uploading.send(b"world")
        work.let.set()
        assert streaming.read(5) == b"-last"
        for client in (waiting, uploading):
            answer = client.read_answer()
            assert (answer.status, answer.body) == (200, b"ok")
            assert answer.field("connection") == "close"
        for client in (streaming, waiting, uploading):
            assert (client.read_to_end(), client.ended) == (b"", "closed")

        assert live.read(4) == b"\x88\x02\x03\xe9"  # 1001, RFC 6455 section 7.4.1
        live.sock.close()
        assert process.running.wait(PATIENCE) == 0


def test_it_ends_though_something_goes_on_for_ever(tmp_path: Path, upstream: RecordingUpstream) -> None:
    """An answer without an end is cut visibly when the drain's time is over; nothing waits longer."""
    begun = threading.Event()

    def stream(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\n\r\nfirst")
        begun.set()
        conversation.wait_for_end()

    upstream.begin_anew(stream)
    with ExitStack() as stack:
        with running_node(tmp_path, upstream.url) as node:
            client = stack.enter_context(node.connect())
            client.send(node.get("/"))
            client.read_until(b"first")
            began = time.monotonic()
        assert time.monotonic() - began < PATIENCE / 2
        client.read_to_end()
        assert client.ended == "cut"
    assert begun.is_set()


@pytest.mark.parametrize("asked_before", [True, False])
def test_who_connected_in_time_is_answered(
    tmp_path: Path, upstream: RecordingUpstream, *, asked_before: bool
) -> None:
    """A connection that was taken but has not asked yet gets its one answer; one that has asked is closed."""
    with running_node(tmp_path, upstream.url) as node, node.connect() as client:
        if asked_before:
            assert client.ask(node.get("/")).status == 200
        else:
            # The handshake is over for the router as well once it answers others.
            with node.connect() as other:
                assert other.ask(node.get("/")).status == 200

        async def stop() -> None:
            node.edge.stop_accepting()

        node.operate(stop())
        if asked_before:
            assert (client.read_to_end(), client.ended) == (b"", "closed")
        else:
            answer = client.ask(node.get("/"))
            assert (answer.status, answer.field("connection")) == (200, "close")
