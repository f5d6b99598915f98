"""One large body: GET /down/BYTES or, told to send, POST /up."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from generators.client import (
    Failed,
    connect,
    read_head,
    read_job,
    read_page,
    report,
    tls_context,
    wait_for_go,
)

if TYPE_CHECKING:
    import ssl

    from generators.client import Job

_PIECE = 256 * 1024


def main() -> None:
    """Move ``amount`` bytes down, or up if the command line says so."""
    job = read_job()
    move = _send if sys.argv[1:] == ["up"] else _fetch
    with connect(job, tls_context()) as connection:
        wait_for_go()
        start = time.monotonic()
        move(connection, job)
        report(seconds=time.monotonic() - start)


def _fetch(connection: ssl.SSLSocket, job: Job) -> None:
    connection.sendall(job.head(0, f"GET /down/{job.amount}"))
    _, begun, length = read_head(connection)
    if length != job.amount:
        raise Failed(f"{length} bytes were announced instead of {job.amount}.")
    received, piece = len(begun), bytearray(_PIECE)
    while received < length:
        read = connection.recv_into(piece)
        if not read:
            raise Failed(f"The connection ended after {received} bytes of {length}.")
        received += read


def _send(connection: ssl.SSLSocket, job: Job) -> None:
    connection.sendall(job.head(0, "POST /up", f"Content-Length: {job.amount}"))
    piece = memoryview(bytes(_PIECE))
    left = job.amount
    while left:
        connection.sendall(piece[: min(left, _PIECE)])
        left -= min(left, _PIECE)
    # The upstream answers with what it received, filled up to 1 KiB.
    if int(read_page(connection)) != job.amount:
        raise Failed(f"Not all of {job.amount} bytes arrived.")


if __name__ == "__main__":
    main()
