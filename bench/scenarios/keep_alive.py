"""Signed-in page visits over TLS connections that are kept: what a proxy does all day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from load import CONNECTIONS, put_load
from meter import Meter
from peers import RECIPES, nginx_auth, nginx_plain

from scenarios.scenario import Column, Sample, Scenario

if TYPE_CHECKING:
    from peers.peer import Peer
    from stage import Stage

    from scenarios.scenario import Effort


def _measure(peer: Peer, stage: Stage, effort: Effort) -> Sample:
    # The handshakes that open the connections are inside: 32 among tens of thousands of requests.
    meter = Meter(peer.process, stage)
    load = put_load(peer, stage, effort.seconds)
    usage = meter.usage()
    kernel = usage.kernel / load.requests * 1e6
    also = {"kernel µs": kernel, "requests/s": load.requests / load.seconds, "p99 ms": load.p99}
    return Sample(usage.cpu / load.requests * 1e6, usage.busy, usage.others, also)


SCENARIO = Scenario(
    name="keep-alive",
    title=f"GET, 1 KiB answer, TLS 1.3 keep-alive, {CONNECTIONS} connections, with a session cookie",
    figure="CPU µs per request",
    goal="at most nginx + auth_request, a third of Envoy + ext_authz, a fifth of Caddy + forward_auth",
    recipes=RECIPES,
    baselines=(nginx_plain.RECIPE.name, nginx_auth.RECIPE.name),
    columns=(Column("kernel µs", 1), Column("requests/s"), Column("p99 ms", 1)),
    measure=_measure,
)
