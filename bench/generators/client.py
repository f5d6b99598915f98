"""What the generators share: the job, the two-step start, TLS connections, and pages over them.

Blocking sockets in turn, because that costs a client less than an event loop does, and the load must not be
the bottleneck.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
from dataclasses import dataclass

_TIMEOUT = 60.0
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_OK = b"HTTP/1.1 200"


class Failed(Exception):  # noqa: N818 - said of one answer
    """An answer was not what it should have been: what is measured would be of other work."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to do to the proxy on ``port``.

    ``visitors`` are the hostnames to ask for and the session cookie to show at each. ``seconds`` is how long,
    ``amount`` how much; what of it a generator heeds is its own business.
    """

    port: int
    visitors: list[list[str]]
    seconds: float
    amount: int

    def head(self, visitor: int, request: str, *fields: str) -> bytes:
        """Return the head of a request by one of the visitors, with more fields of its own."""
        hostname, cookie = self.visitors[visitor]
        lines = (f"{request} HTTP/1.1", f"Host: {hostname}:{self.port}", f"Cookie: {cookie}", *fields, "", "")
        return "\r\n".join(lines).encode()


def read_job() -> Job:
    """Read the job from standard input."""
    return Job(**json.loads(sys.stdin.readline()))


def wait_for_go() -> None:
    """Say that everything is ready, and wait until it is time."""
    print("ready", flush=True)
    sys.stdin.readline()


def report(**counted: float) -> None:
    """Say what was counted."""
    print(json.dumps(counted), flush=True)


def tls_context() -> ssl.SSLContext:
    """Make a context that does not verify, which would only slow the client down; the probe has verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    return context


def connect(
    job: Job, context: ssl.SSLContext, visitor: int = 0, session: ssl.SSLSession | None = None
) -> ssl.SSLSocket:
    """Open a connection and shake hands; resume ``session`` if there is one."""
    plain = socket.create_connection(("127.0.0.1", job.port), timeout=_TIMEOUT)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname=job.visitors[visitor][0], session=session)


def read_page(connection: ssl.SSLSocket) -> bytes:
    """Read one answer, 200 and of a stated length, and return its body."""
    head, body, length = read_head(connection)
    while len(body) < length:
        body += _receive(connection, head)
    return body


def read_head(connection: ssl.SSLSocket) -> tuple[bytes, bytes, int]:
    """Read an answer's head: the head, what of the body came with it, and the body's length."""
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += _receive(connection, received)
    head = received[: end + 2]
    length = _LENGTH.search(head)
    if not head.startswith(_OK) or length is None:
        raise Failed(f"The answer was: {head[:300]!r}")
    return head, received[end + 4 :], int(length.group(1))


def _receive(connection: ssl.SSLSocket, so_far: bytes) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise Failed(f"The connection ended after: {so_far[:300]!r}")
    return data
