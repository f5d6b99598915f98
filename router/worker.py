"""One worker as a process: started by the supervisor, told to drain by its signals.

The supervisor runs ``python -m router.worker`` and hands it listening sockets; what it serves with is joined
by serve.py.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Final

import structlog
import uvloop
from aiohttp import http_parser

from router.edge.visit import Door
from router.errors import BadSettings, RouterError
from router.observe import logs
from router.ports import Sockets, from_argument
from router.serve import assembled
from router.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

_log = structlog.get_logger(__name__)

BAD_SETTINGS: Final = 3
UNAVAILABLE: Final = 6
"""Exit codes of a worker that could not start: those of the command line for the same faults."""

_TURN: Final = 0.0005
"""Seconds for which a thread that runs Python may keep the event loop waiting (Python's own: 5 ms).

Threads write mails (mail/letters.py): so the loop waits for a millisecond or two
where it stood still for 20."""


async def serve(settings: Settings, sockets: Sockets, orders: Orders, ready: int) -> None:
    """Serve on these sockets until an order comes, then finish what is under way.

    ``ready`` is the descriptor that tells the supervisor. Readiness fails first, while connections are still
    accepted for ``drain_grace`` seconds, so that load balancers notice before anything is closed. A worker
    that was replaced stays ready to the last: its successor accepts already, and the node goes nowhere.
    """
    async with assembled(settings) as (edge, health):
        edge.serve({Door(name): sock for name, sock in sockets.items()})
        health.ready()
        gc.freeze()  # what is alive now lives to the end: the collector need not look at it again
        os.write(ready, b"+")
        os.close(ready)
        replaced = await orders.wait()
        _log.info("draining", replaced=replaced, pid=os.getpid())
        if not replaced:
            health.drain()
            await asyncio.sleep(settings.drain_grace)
        edge.stop_accepting()
        await edge.drain(settings.drain_timeout)


class Orders:
    """What the supervisor tells a worker: to go (SIGTERM, or its own end); that it was replaced (SIGHUP)."""

    def __init__(self, lifeline: int) -> None:
        loop = asyncio.get_running_loop()
        self._order: asyncio.Future[bool] = loop.create_future()
        self._lifeline = lifeline
        loop.add_signal_handler(signal.SIGTERM, self._give, False)  # noqa: FBT003 - a callback's argument
        loop.add_signal_handler(signal.SIGHUP, self._give, True)  # noqa: FBT003
        loop.add_reader(lifeline, self._give, False)  # noqa: FBT003

    async def wait(self) -> bool:
        """Wait for an order, and say whether a successor serves already."""
        return await self._order

    def _give(self, replaced: bool) -> None:  # noqa: FBT001
        asyncio.get_running_loop().remove_reader(self._lifeline)
        if not self._order.done():
            self._order.set_result(replaced)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker for the supervisor; answer its exit code."""
    parser = argparse.ArgumentParser(prog="router.worker", description="A worker; the supervisor starts it.")
    parser.add_argument("--listen", required=True, type=from_argument)
    parser.add_argument("--lifeline", required=True, type=int)
    parser.add_argument("--ready", required=True, type=int)
    parser.add_argument("--slot", type=int)
    told = parser.parse_args(arguments)
    try:
        settings = load_settings()
        logs.configure(settings.log_level, json=not sys.stderr.isatty(), slot=told.slot)
        _check_build()
        _allow_many_files()
        sys.setswitchinterval(_TURN)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(settings, told.listen, told.lifeline, told.ready))
    except RouterError as fault:
        sys.stderr.write(f"Error: {fault.sentence}\n")
        return BAD_SETTINGS if isinstance(fault, BadSettings) else UNAVAILABLE
    return 0


async def _work(settings: Settings, sockets: Sockets, lifeline: int, ready: int) -> None:
    # Signals do what they always do until the loop runs: a worker that has not begun may just end.
    await serve(settings, sockets, Orders(lifeline), ready)


def _check_build() -> None:
    # aiohttp's parser in Python answers 500 to a target that is not ASCII, and is slow.
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise BadSettings("aiohttp_without_c", "aiohttp was built without its C parser: reinstall its wheel.")


def _allow_many_files() -> None:
    """Raise the soft limit of open files to the hard one: each connection is one, or two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
