"""WebSockets that send a small message and wait for its echo, over and over."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from generators.client import Failed, connect, read_job, report, tls_context, wait_for_go

if TYPE_CHECKING:
    import ssl

    from generators.client import Job

_MESSAGE = b"a message of 32 bytes, like this"
_MASK = b"\x5a\x17\xc4\x9e"
_FIN_TEXT = 0x81
_MASKED = 0x80
_SENT = bytes((_FIN_TEXT, _MASKED | len(_MESSAGE))) + _MASK
_SENT += bytes(octet ^ _MASK[position % 4] for position, octet in enumerate(_MESSAGE))
_EXPECTED = bytes((_FIN_TEXT, len(_MESSAGE))) + _MESSAGE


def main() -> None:
    """Open ``amount`` WebSockets and have messages echoed for ``seconds``."""
    job, context = read_job(), tls_context()
    with ExitStack() as stack:
        sockets = [stack.enter_context(_open(job, context)) for _ in range(job.amount)]
        _exchange(sockets)
        wait_for_go()
        start, messages = time.monotonic(), 0
        while time.monotonic() < start + job.seconds:
            _exchange(sockets)
            messages += len(sockets)
        report(messages=messages, seconds=time.monotonic() - start)


def _open(job: Job, context: ssl.SSLContext) -> ssl.SSLSocket:
    connection = connect(job, context)
    fields = (
        f"Origin: https://{job.visitors[0][0]}:{job.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    connection.sendall(job.head(0, "GET /echo", *fields))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = connection.recv(65536)
        if not data:
            raise Failed(f"No WebSocket: {head[:300]!r}")
        head += data
    if not head.startswith(b"HTTP/1.1 101"):
        raise Failed(f"No WebSocket: {head[:300]!r}")
    return connection


def _exchange(sockets: list[ssl.SSLSocket]) -> None:
    for connection in sockets:
        connection.sendall(_SENT)
    for connection in sockets:
        received = connection.recv(1024)
        while len(received) < len(_EXPECTED):
            more = connection.recv(1024)
            if not more:
                raise Failed("A WebSocket ended.")
            received += more
        if received != _EXPECTED:
            raise Failed(f"Not an echo: {received!r}")


if __name__ == "__main__":
    main()
