"""New TLS connections, one after the other: hands shaken, then closed in good order, nothing asked."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from generators.client import connect, read_job, read_page, report, tls_context, wait_for_go

if TYPE_CHECKING:
    import ssl

    from generators.client import Job


def main() -> None:
    """Open connections for ``seconds``; with an ``amount``, resume the session of a first visit each time."""
    job, context = read_job(), tls_context()
    session = _visit(job, context) if job.amount else None
    wait_for_go()
    start, made, resumed = time.monotonic(), 0, 0
    while time.monotonic() < start + job.seconds:
        connection = connect(job, context, session=session)
        made += 1
        resumed += bool(connection.session_reused)
        _close(connection)
    report(made=made, resumed=resumed, seconds=time.monotonic() - start)


def _visit(job: Job, context: ssl.SSLContext) -> ssl.SSLSession | None:
    # TLS 1.3 hands out tickets after the handshake: they are there once an answer is.
    with connect(job, context) as connection:
        connection.sendall(job.head(0, "GET /invoices"))
        read_page(connection)
        return connection.session


def _close(connection: ssl.SSLSocket) -> None:
    # Waits for the other end to close as well, which it does once it has finished its own handshake.
    # Some do so without a word of TLS, which Python takes for a fault.
    with contextlib.suppress(OSError):
        connection.unwrap()
    connection.close()


if __name__ == "__main__":
    main()
