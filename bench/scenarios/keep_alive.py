"""Signed-in page visits over TLS connections that are kept: what a proxy does all day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from load import CONNECTIONS, put_load
from processes import core_seconds

from scenarios.scenario import Sample, Scenario

if TYPE_CHECKING:
    from peers.peer import Peer
    from stage import Stage


def _measure(peer: Peer, stage: Stage, seconds: int) -> Sample:
    # The handshakes that open the connections are inside: 32 among tens of thousands of requests.
    before, busy_before = peer.process.cpu_seconds(), core_seconds(stage.cores.proxy)
    load = put_load(peer, stage, seconds)
    used, busy = peer.process.cpu_seconds() - before, core_seconds(stage.cores.proxy) - busy_before
    return Sample(
        cost=used / load.requests * 1e6,
        per_second=load.requests / load.seconds,
        busy=used / load.seconds,
        others=max(0.0, busy - used) / load.seconds,
        p99=load.p99,
    )


SCENARIO = Scenario(
    name="keep-alive",
    title=f"GET, 1 KiB answer, TLS 1.3 keep-alive, {CONNECTIONS} connections, with a session cookie",
    unit="CPU µs per request",
    measure=_measure,
)
