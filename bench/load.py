"""The load generator: wrk, a fixed number of connections, each asking again once it is answered."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from processes import BenchError, find_program
from stage import BROWSER_HEADERS, HOSTNAME, SESSION_COOKIE

if TYPE_CHECKING:
    from peers.peer import Peer
    from stage import Stage

CONNECTIONS = 32
PACED_CONNECTIONS = 128
_PAGE = "/invoices"

# wrk takes the server name and Host from the address; only where it connects to is said here.
_SCRIPT = """\
function wrk.resolve(host, service)
   wrk.addrs = wrk.lookup("127.0.0.1", service)
end
function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format(
      '\\n{"requests": %d, "microseconds": %d, "failed": %d, "refused": %d, "p50": %d, "p99": %d}\\n',
      summary.requests, summary.duration, e.connect + e.read + e.write + e.timeout, e.status,
      latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk counted. Latencies are in milliseconds, as the client saw them."""

    requests: int
    seconds: float
    p50: float
    p99: float


# A pause before each request, of whole milliseconds: what a connection waits does not depend on how soon it
# was answered, and with so many of them hardly any is waiting for an answer when its turn comes. The first
# pauses keep requests apart from the handshakes.
_PAUSES = """\
local pauses = 0
function delay()
   pauses = pauses + 1
   return math.random(0, {longest}) + (pauses <= {connections} and {quiet} or 0)
end
"""
_QUIET = 500


def put_load(peer: Peer, stage: Stage, seconds: int, path: str = _PAGE, *, signed_in: bool = True) -> Load:
    """Ask ``peer`` for a page for ``seconds``, over connections that are kept and ask again once answered.

    Raises ``BenchError`` if a single request failed or was refused: the figures would be of other work.
    """
    return _run(peer, stage, seconds, CONNECTIONS, _SCRIPT, path, signed_in=signed_in)


def put_paced_load(peer: Peer, stage: Stage, seconds: int, rate: float) -> Load:
    """Ask ``peer`` for about ``rate`` pages a second, each connection when it chooses to.

    The rate counts from when the handshakes are over. Raises as ``put_load`` does.
    """
    longest = 2000 * PACED_CONNECTIONS / rate
    pauses = _PAUSES.format(longest=round(longest), connections=PACED_CONNECTIONS, quiet=_QUIET)
    load = _run(peer, stage, seconds + 1, PACED_CONNECTIONS, _SCRIPT + pauses)
    return replace(load, seconds=load.seconds - (_QUIET + longest / 2) / 1000)


def _run(
    peer: Peer,
    stage: Stage,
    seconds: int,
    connections: int,
    lua: str,
    path: str = _PAGE,
    *,
    signed_in: bool = True,
) -> Load:
    script = stage.folder / "load.lua"
    script.write_text(lua)
    headers = BROWSER_HEADERS | ({"Cookie": f"{SESSION_COOKIE}={peer.token}"} if signed_in else {})
    command = [find_program("taskset"), "--cpu-list", str(stage.cores.load), find_program("wrk")]
    command += ["--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    command += [part for name, value in headers.items() for part in ("--header", f"{name}: {value}")]
    command += ["--script", str(script), f"https://{HOSTNAME}:{peer.port}{path}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 20)
    if ran.returncode != 0:
        raise BenchError(f"wrk ended with {ran.returncode}: {ran.stdout}{ran.stderr}")
    return _read(peer, json.loads(ran.stdout.strip().splitlines()[-1]))


def _read(peer: Peer, counted: dict[str, int]) -> Load:
    if counted["failed"] or counted["refused"] or not counted["requests"]:
        raise BenchError(f"{peer.process.name} did not answer all: {counted}\n{peer.process.last_words()}")
    return Load(
        requests=counted["requests"],
        seconds=counted["microseconds"] / 1e6,
        p50=counted["p50"] / 1e3,
        p99=counted["p99"] / 1e3,
    )
