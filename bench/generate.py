"""Running the generators: the benchmark's end of the talk with them."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from generators.client import Job
from processes import BenchError, find_program
from stage import HOSTNAME, SESSION_COOKIE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from peers.peer import Peer
    from stage import Stage

_BENCH = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Generator:
    """One or several processes that are ready and wait for :meth:`go`."""

    name: str
    children: tuple[subprocess.Popen[str], ...]

    def go(self) -> dict[str, float]:
        """Let them work; return what they counted, added up. Raises ``BenchError`` if one of them fails."""
        for child in self.children:
            _pipe(child.stdin).write("go\n")
            _pipe(child.stdin).flush()
        counts = [json.loads(self._line(child)) for child in self.children]
        return {name: sum(count[name] for count in counts) for name in counts[0]}

    def wait(self) -> None:
        """Return once all of them are ready."""
        for child in self.children:
            self._line(child)

    def _line(self, child: subprocess.Popen[str]) -> str:
        line = _pipe(child.stdout).readline()
        if not line:
            raise BenchError(f"The load generator “{self.name}” failed: {_pipe(child.stderr).read()[-1500:]}")
        return line


@contextmanager
def generating(
    peer: Peer,
    stage: Stage,
    name: str,
    *arguments: str,
    seconds: float = 0,
    amount: int = 0,
    processes: int = 1,
    visitors: Sequence[tuple[str, str]] = (),
) -> Iterator[Generator]:
    """Have a generator ready for ``peer`` on the load core; end it on leaving.

    ``visitors`` are hostnames and session tokens; without any, the one of the stage.
    """
    shown = [
        [hostname, f"{SESSION_COOKIE}={token}"] for hostname, token in visitors or [(HOSTNAME, peer.token)]
    ]
    job = json.dumps(asdict(Job(peer.port, shown, seconds, amount)))
    command = [find_program("taskset"), "--cpu-list", str(stage.cores.load), sys.executable]
    command += ["-m", f"generators.{name}", *arguments]
    with ExitStack() as stack:
        children = [stack.enter_context(_started(command)) for _ in range(processes)]
        for child in children:
            _pipe(child.stdin).write(job + "\n")
            _pipe(child.stdin).flush()
        generator = Generator(name, tuple(children))
        generator.wait()
        yield generator


@contextmanager
def _started(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command,
        cwd=_BENCH,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise BenchError("A load generator was started without pipes.")
    return pipe
