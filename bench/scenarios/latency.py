"""How long visitors wait at half of what a proxy can carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from load import PACED_CONNECTIONS, put_load, put_paced_load
from meter import Meter
from peers import nginx_auth, nginx_plain, tenant_router

from scenarios.scenario import Column, Sample, Scenario

if TYPE_CHECKING:
    from peers.peer import Peer
    from stage import Stage

    from scenarios.scenario import Effort

_SHARE: Final = 0.5


def _measure(peer: Peer, stage: Stage, effort: Effort) -> Sample:
    load = put_load(peer, stage, effort.seconds)
    saturation = load.requests / load.seconds
    meter = Meter(peer.process, stage)
    load = put_paced_load(peer, stage, effort.seconds, saturation * _SHARE)
    usage = meter.usage()
    rate = load.requests / load.seconds
    also = {"p50 ms": load.p50, "requests/s": rate, "of saturation %": 100 * rate / saturation}
    return Sample(load.p99, usage.busy, usage.others, also)


SCENARIO = Scenario(
    name="latency",
    title=f"GET as in keep-alive at half of each proxy's own saturation, {PACED_CONNECTIONS} connections",
    figure="p99 ms",
    goal="at most 2 times nginx",
    recipes=(nginx_plain.RECIPE, nginx_auth.RECIPE, tenant_router.RECIPE),
    baselines=(nginx_plain.RECIPE.name,),
    columns=(Column("p50 ms", 2), Column("requests/s"), Column("of saturation %")),
    digits=2,
    measure=_measure,
)
