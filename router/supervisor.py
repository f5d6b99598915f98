"""The supervisor: owns the ports, starts the workers, watches, replaces and drains them.

It serves nothing itself, so it has nothing to crash on. The signals it heeds:

    SIGTERM, SIGINT   drain every worker, then exit 0; a second SIGINT kills them
    SIGHUP            replace the workers one by one, each once its successor is ready

and those it sends to a worker (worker.py): SIGTERM to drain because the node goes away, SIGHUP to drain
because a successor accepts from the same sockets already.
"""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import structlog

from router.errors import Unavailable
from router.observe import logs
from router.observe.tasks import Tasks
from router.ports import Sockets, as_argument, open_ports
from router.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.settings import Settings

START_SECONDS: Final = 120.0
"""A worker that is not ready by then has failed to start; migrations count too."""

STOP_MARGIN: Final = 10.0
"""Seconds beyond its own drain that a worker gets before it is killed."""

SETTLED_SECONDS: Final = 60.0
"""A worker that lived this long is restarted without delay when it dies."""

FIRST_BACK_OFF: Final = 0.1
MAX_BACK_OFF: Final = 5.0
"""Seconds between restarts: connections wait in the slot's queue meanwhile."""

WORKER_COMMAND: Final = (sys.executable, "-m", "router.worker")

# OpenSSL before 3.5 lets a client choose key exchanges of 8192 bits, which cost two hundred times the usual
# ones (D(HE)at, CVE-2002-20001), and Python can set one curve or all. Since 3.5 its own choice is a good one.
_OPENSSL: Final[Mapping[str, str]] = (
    {"OPENSSL_CONF": str(Path(__file__).with_name("openssl.cnf"))}
    if ssl.OPENSSL_VERSION_INFO < (3, 5)
    else {}
)

_KILLED: Final = 128 + signal.SIGINT

_log = structlog.get_logger(__name__)


def run(settings: Settings, overrides: Mapping[str, object] | None = None) -> int:
    """Serve until told to stop, as ``tenant-router serve`` does; answer the exit code.

    ``overrides`` are settings that came from the command line: the workers, which read the environment and
    the files themselves, are told of them by their environment. Raises as :meth:`Supervisor.run` does.
    """
    logs.configure(settings.log_level, json=not sys.stderr.isatty())
    told = {f"{PREFIX}{name.upper()}": str(value) for name, value in (overrides or {}).items()}

    async def supervise() -> int:
        supervisor = of_settings(settings, os.environ | told)
        async with Tasks() as tasks:
            tasks.start(_tell_first_link(settings, supervisor.ready), name="the first operator's link")
            return await supervisor.run()

    return asyncio.run(supervise())


async def _tell_first_link(settings: Settings, ready: asyncio.Event) -> None:
    """Print how the first operator comes in, once the workers serve; not into the log, which is kept."""
    await ready.wait()
    # Here, because nothing of the database is needed by who has operators, once this is known.
    from router.console.first_link import first_link  # noqa: PLC0415 - SQLAlchemy is slow to import

    try:
        link = await first_link(settings)
    except Unavailable as fault:
        _log.warning("whether there is an operator is not known", code=fault.code)
        return
    if link is not None:
        sys.stderr.write(
            f"\nThere is no operator yet. The first one comes in here, once, within a day:\n  {link}\n\n"
        )
        sys.stderr.flush()


def of_settings(settings: Settings, environment: Mapping[str, str], folder: Path | None = None) -> Supervisor:
    """Make the supervisor that these settings ask for; ``folder`` is where the workers run.

    Unless the environment says otherwise, OpenSSL is configured by our own file, for what Python has no call.
    """
    ports = {"https": settings.https_port, "http": settings.http_port, "health": settings.health_port}
    if settings.admin_port is not None:
        ports["admin"] = settings.admin_port
    return Supervisor(
        bind=settings.bind,
        ports=ports,
        workers=settings.workers,
        drain_seconds=settings.drain_grace + settings.drain_timeout,
        environment={**_OPENSSL, **environment},
        folder=folder,
    )


class Worker:
    """One worker process, from its start to its end."""

    def __init__(self, process: asyncio.subprocess.Process, readiness: asyncio.StreamReader) -> None:
        self.started_at = time.monotonic()
        self._process = process
        self._readiness = readiness

    def __repr__(self) -> str:
        code = self._process.returncode
        return f"<Worker pid {self.pid} {'running' if code is None else f'ended {code}'}>"

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        slot: int,
        sockets: Sockets,
        lifeline: int,
        environment: Mapping[str, str],
        folder: Path | None,
    ) -> Self:
        """Start a process that inherits the sockets and the read end of the supervisor's lifeline.

        ``slot`` is the number that it goes by in the log, whichever process serves there.
        """
        theirs, ours = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                f"--listen={as_argument(sockets)}",
                f"--lifeline={lifeline}",
                f"--ready={ours}",
                f"--slot={slot}",
                env=dict(environment),
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[lifeline, ours, *(sock.fileno() for sock in sockets.values())],
                process_group=0,  # Ctrl-C is for the supervisor, which drains its workers in good order
            )
            return cls(process, await _reader(os.dup(theirs)))
        finally:
            os.close(ours)
            os.close(theirs)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def became_ready(self) -> bool:
        """Wait until it serves (true), or ended or took too long without getting there (false)."""
        try:
            async with asyncio.timeout(START_SECONDS):
                return bool(await self._readiness.read(1))
        except TimeoutError:
            self.signal(signal.SIGKILL)
            return False

    async def ended(self) -> int:
        """Wait for its end; answer its exit code as a shell would, 128 and more for a signal."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self._process.returncode is None:
            try:
                self._process.send_signal(number)
            except ProcessLookupError:
                return  # it ended a moment ago; ended() tells


async def _reader(pipe: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    file = os.fdopen(pipe, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    return reader


@dataclass(slots=True)
class _Slot:
    """A place for one worker: its sockets, who serves there now, and who may change that."""

    number: int
    sockets: Sockets
    worker: Worker | None = None
    failures: int = 0
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def back_off(self) -> float:
        """Count one more restart, and say how many seconds to wait before it."""
        self.failures += 1
        return 0.0 if self.failures == 1 else min(MAX_BACK_OFF, FIRST_BACK_OFF * 2 ** (self.failures - 2))


class Supervisor:
    """Runs ``workers`` processes on shared ports until it is told to stop.

    ``drain_seconds`` is how long a worker may take from SIGTERM to its end; ``environment`` is what the
    workers read their settings from, and ``folder`` (none: the current one) where they run. ``ready`` is
    set once every worker serves.
    """

    def __init__(
        self,
        *,
        bind: str,
        ports: Mapping[str, int],
        workers: int,
        drain_seconds: float,
        environment: Mapping[str, str],
        folder: Path | None = None,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        self.ready = asyncio.Event()
        self._bind = bind
        self._ports = ports
        self._workers = workers
        self._drain_seconds = drain_seconds
        self._environment = environment
        self._folder = folder
        self._command = command
        self._slots: list[_Slot] = []
        self._living: set[Worker] = set()
        self._watching = asyncio.TaskGroup()
        self._stopping = asyncio.Event()
        self._reload_asked = asyncio.Event()
        self._killed = False
        self._lifeline = -1

    async def run(self) -> int:
        """Serve until a signal says otherwise; answer the exit code.

        Raises ``BadSettings`` for ports it cannot have. A worker that cannot start at first says why on
        standard error, and its exit code is ours; nothing is tried again then.
        """
        with ExitStack() as stack:
            self._open(stack)
            async with self._watching:
                failed = await self._start_all()
                if failed is None:
                    await self._oversee()
                self.stop()
                clean = await self._all_ended()
        if self._killed:
            return _KILLED
        return failed or (0 if clean else 1)

    def stop(self) -> None:
        """Begin the end: the workers drain, and with the last of them the ports close."""
        if not self._stopping.is_set():
            _log.info("stopping", workers=len(self._living))
        self._stopping.set()
        for slot in self._slots:
            for sock in slot.sockets.values():
                sock.close()
        for worker in self._living:
            worker.signal(signal.SIGTERM)

    def _interrupt(self) -> None:
        if not self._stopping.is_set():
            self.stop()
            return
        self._killed = True
        for worker in self._living:
            worker.signal(signal.SIGKILL)

    def _open(self, stack: ExitStack) -> None:
        for number, sockets in enumerate(open_ports(self._bind, self._ports, self._workers)):
            self._slots.append(_Slot(number, sockets))
            for sock in sockets.values():
                stack.enter_context(sock)
        # The workers hold the other end, and drain when ours closes, however we come to die.
        self._lifeline, held = os.pipe()
        stack.callback(os.close, self._lifeline)
        stack.callback(os.close, held)
        loop = asyncio.get_running_loop()
        for number, action in (
            (signal.SIGTERM, self.stop),
            (signal.SIGINT, self._interrupt),
            (signal.SIGHUP, self._reload_asked.set),
        ):
            loop.add_signal_handler(number, action)
            stack.callback(loop.remove_signal_handler, number)

    async def _start_all(self) -> int | None:
        """Start the first worker, then the others; answer the exit code of one that failed.

        The first goes alone, so that it migrates the database and whatever is wrong is said once.
        """
        first, *others = self._slots
        failed = await self._seat(first)
        if failed is None and others:
            codes = await asyncio.gather(*(self._seat(slot) for slot in others))
            failed = next((code for code in codes if code is not None), None)
        if self._stopping.is_set():
            return None  # told to stop while starting: that is no failure
        return failed

    async def _oversee(self) -> None:
        if not self._stopping.is_set():
            self.ready.set()
            _log.info("serving", workers=len(self._slots), bind=self._bind, **self._ports)
        reloading = self._watching.create_task(self._reload_when_asked())
        await self._stopping.wait()
        reloading.cancel()

    async def _seat(self, slot: _Slot) -> int | None:
        """Start a worker and make it the slot's once it is ready; else answer its exit code, never 0."""
        if self._stopping.is_set():
            return 1
        worker = await Worker.start(
            self._command, slot.number, slot.sockets, self._lifeline, self._environment, self._folder
        )
        self._living.add(worker)
        self._watching.create_task(self._watch(slot, worker))
        if self._stopping.is_set():
            worker.signal(signal.SIGTERM)
        if await worker.became_ready():
            slot.worker = worker
            _log.info("worker ready", slot=slot.number, pid=worker.pid)
            return None
        return await worker.ended() or 1

    async def _watch(self, slot: _Slot, worker: Worker) -> None:
        code = await worker.ended()
        self._living.discard(worker)
        if self._stopping.is_set() or slot.worker is not worker:
            return
        _log.error("worker died", slot=slot.number, pid=worker.pid, exit_code=code)
        if time.monotonic() - worker.started_at > SETTLED_SECONDS:
            slot.failures = 0
        async with slot.changing:
            while slot.worker is worker and not self._stopping.is_set():
                await self._pause(slot.back_off())
                await self._seat(slot)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _reload_when_asked(self) -> None:
        while True:
            await self._reload_asked.wait()
            self._reload_asked.clear()
            _log.info("reloading", workers=len(self._slots))
            for slot in self._slots:
                if not await self._replace(slot):
                    _log.error("reload given up: the worker serving is kept", slot=slot.number)
                    break

    async def _replace(self, slot: _Slot) -> bool:
        async with slot.changing:
            predecessor = slot.worker
            if await self._seat(slot) is not None:
                return False
            if predecessor is not None:
                predecessor.signal(signal.SIGHUP)
            return True

    async def _all_ended(self) -> bool:
        """Wait for the workers to end in good order; kill those that do not, and answer whether none did."""
        living = list(self._living)
        try:
            async with asyncio.timeout(self._drain_seconds + STOP_MARGIN):
                await asyncio.gather(*(worker.ended() for worker in living))
        except TimeoutError:
            _log.error(
                "workers killed: they did not end in time", pids=[worker.pid for worker in self._living]
            )
            for worker in self._living:
                worker.signal(signal.SIGKILL)
            return False
        return True
