"""Many connections that have each been of use once, and now are kept open by a browser that does nothing."""

from __future__ import annotations

from contextlib import ExitStack

from generators.client import connect, read_job, read_page, report, tls_context, wait_for_go


def main() -> None:
    """Open ``amount`` connections, ask each for a page, and hold them until told to go on."""
    job, context = read_job(), tls_context()
    request = job.head(0, "GET /invoices")
    with ExitStack() as stack:
        connections = []
        for _ in range(job.amount):
            connection = stack.enter_context(connect(job, context))
            connection.sendall(request)
            read_page(connection)
            connections.append(connection)
        wait_for_go()
        # All are still there: whoever let them go would have had it easy.
        for connection in connections:
            connection.sendall(request)
            read_page(connection)
    report(kept=len(connections))


if __name__ == "__main__":
    main()
