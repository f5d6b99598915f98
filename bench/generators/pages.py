"""Page visits over many kept connections, those of all visitors in turn."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from generators.client import connect, read_job, read_page, report, tls_context, wait_for_go

if TYPE_CHECKING:
    import ssl

_AT_ONCE = 32


def main() -> None:
    """Open ``amount`` connections, shared out among the visitors, and ask 32 of them at a time."""
    job, context = read_job(), tls_context()
    many = len(job.visitors)
    heads = [job.head(visitor, "GET /invoices") for visitor in range(many)]
    with ExitStack() as stack:
        opened = []
        for each in range(job.amount):
            connection = stack.enter_context(connect(job, context, each % many))
            opened.append((connection, heads[each % many]))
            _ask(opened[-1:])
        turns = [opened[first : first + _AT_ONCE] for first in range(0, len(opened), _AT_ONCE)]
        wait_for_go()
        start, requests, round_robin = time.monotonic(), 0, 0
        while time.monotonic() < start + job.seconds:
            turn = turns[round_robin % len(turns)]
            _ask(turn)
            requests += len(turn)
            round_robin += 1
        report(requests=requests, seconds=time.monotonic() - start)


def _ask(turn: list[tuple[ssl.SSLSocket, bytes]]) -> None:
    for connection, head in turn:
        connection.sendall(head)
    for connection, _ in turn:
        read_page(connection)


if __name__ == "__main__":
    main()
