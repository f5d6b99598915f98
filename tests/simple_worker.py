"""A worker as small as can be, for the tests of the supervisor: it tells each client its process id.

Like the real one it is ready when it says so, drains on SIGTERM and SIGHUP, and ends with its supervisor.
Told ``fail=N`` in its environment it exits with N before it is ready; a client that sends ``die`` ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys


async def _serve(listen: str, lifeline: int, ready: int) -> None:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(lifeline, end.set)
    loop.add_signal_handler(signal.SIGHUP, end.set)
    if "stubborn" in os.environ:
        loop.add_signal_handler(signal.SIGTERM, lambda: None)
    else:
        loop.add_signal_handler(signal.SIGTERM, end.set)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline() == b"die\n":
            os._exit(7)
        writer.write(b"%d\n" % os.getpid())
        await writer.drain()
        writer.close()

    servers = []
    for pair in listen.split(","):
        number = int(pair.partition("=")[2])
        servers.append(await asyncio.start_server(answer, sock=socket.socket(fileno=number)))
    os.write(ready, b"+")
    os.close(ready)
    await end.wait()
    for server in servers:
        server.close()
    while answering := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(answering)


def main() -> None:
    """Read what the supervisor says, and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--lifeline", type=int, required=True)
    parser.add_argument("--ready", type=int, required=True)
    parser.add_argument("--slot", type=int, required=True)
    told = parser.parse_args()
    fail = os.environ.get("fail")  # noqa: SIM112 - not a variable of anyone's environment but ours
    if fail is not None and (not fail.startswith("/") or os.path.exists(fail)):  # noqa: PTH110 - starts sooner so
        sys.exit(int(os.environ.get("code", fail)))  # noqa: SIM112
    asyncio.run(_serve(told.listen, told.lifeline, told.ready))


if __name__ == "__main__":
    main()
