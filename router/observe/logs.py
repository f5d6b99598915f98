"""Two streams of lines: what happened, on standard error; who asked for what, on standard output."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import stat
import sys
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

FLUSH_BYTES: Final = 64 * 1024
"""The access log is handed on once this much is waiting,"""

FLUSH_SECONDS: Final = 0.1
"""or this long after the first line of a batch, whichever comes first."""

MAX_WAITING_BYTES: Final = 4 * 1024 * 1024
"""A reader that stalls costs this much memory; lines beyond it are lost and counted."""

_CLOSE_SECONDS = 2.0


def configure(level: str, *, json: bool, slot: int | None = None) -> None:
    """Send the router's events, and those of the libraries below it, to standard error.

    ``level`` is debug, info, warning or error. Each is one line of JSON with ``json``, else text for people.
    ``slot`` is the worker's, among those of its node, and stands in each of its lines.
    Tracebacks never show local variables: those may hold keys and passwords.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    before: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if slot is not None:
        before.append(_in_slot(slot))
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=_render(json=json))
    )
    logging.basicConfig(level=threshold, handlers=[handler], force=True)
    logging.raiseExceptions = False  # a full disk under standard error is no reason to fail a visit
    for noisy in ("aiohttp.access", "sqlalchemy.engine", "alembic", "asyncio"):
        logging.getLogger(noisy).setLevel(max(threshold, logging.WARNING))


def _in_slot(slot: int) -> structlog.typing.Processor:
    def add(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event.setdefault("slot", slot)
        return event

    return add


def _render(*, json: bool) -> list[structlog.typing.Processor]:
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if json:
        traces = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        return [strip, structlog.processors.ExceptionRenderer(traces), structlog.processors.JSONRenderer()]
    plain = structlog.dev.plain_traceback
    return [strip, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]


class AccessLog:
    """Writes lines in batches from a thread of its own, so that a slow disk or pipe never holds up a visit.

    Lines that cannot be written are counted in ``lost`` and never raise. Several workers may share one pipe:
    what they write is cut at line ends into pieces that the kernel does not interleave (PIPE_BUF).
    """

    def __init__(self, descriptor: int) -> None:
        self.lost = 0
        self._descriptor = descriptor
        self._lines: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._batches: SimpleQueue[bytes | None] = SimpleQueue()
        # One counter for each side, so that neither needs a lock.
        self._handed_on = 0
        self._written = 0
        self._thread = threading.Thread(target=self._write_batches, name="access-log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Add one line, which ends in a newline already; called on the loop."""
        if self._handed_on - self._written + self._size > MAX_WAITING_BYTES:
            self.lost += 1
            return
        self._lines.append(line)
        self._size += len(line)
        if self._size >= FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Hand on what is waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            self._batches.put(b"".join(self._lines))
            self._handed_on += self._size
            self._lines.clear()
            self._size = 0

    async def close(self) -> None:
        """Write what is waiting, for two seconds at most: a reader that stalls does not hold up the end."""
        self.flush()
        self._batches.put(None)
        await asyncio.to_thread(self._thread.join, _CLOSE_SECONDS)

    def _write_batches(self) -> None:
        while (batch := self._batches.get()) is not None:
            try:
                for piece in self._pieces(batch):
                    _write_all(self._descriptor, piece)
            except OSError:
                self.lost += batch.count(b"\n")
            self._written += len(batch)

    def _pieces(self, batch: bytes) -> Iterator[bytes]:
        if not stat.S_ISFIFO(os.fstat(self._descriptor).st_mode):
            yield batch
            return
        start = 0
        while start < len(batch):
            end = (
                batch.rfind(b"\n", start, start + select.PIPE_BUF) + 1
                or batch.find(b"\n", start) + 1
                or len(batch)
            )
            yield batch[start:end]
            start = end


def _write_all(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # somebody who shares our standard output made it non-blocking
            select.select([], [descriptor], [])
