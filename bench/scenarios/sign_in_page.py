"""The sign-in page, as a stranger is shown it: rendered anew for each, through the edge and the portal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from load import CONNECTIONS, put_load
from meter import Meter
from peers import tenant_router
from sign_in import PATH

from scenarios.scenario import Column, Sample, Scenario

if TYPE_CHECKING:
    from peers.peer import Peer
    from stage import Stage

    from scenarios.scenario import Effort


def _measure(peer: Peer, stage: Stage, effort: Effort) -> Sample:
    meter = Meter(peer.process, stage)
    load = put_load(peer, stage, effort.seconds, PATH, signed_in=False)
    usage = meter.usage()
    also = {"pages/s": load.requests / load.seconds, "p99 ms": load.p99}
    return Sample(usage.cpu / load.requests * 1e6, usage.busy, usage.others, also)


SCENARIO = Scenario(
    name="sign-in-page",
    title=f"GET of the sign-in page without a cookie, TLS 1.3 keep-alive, {CONNECTIONS} connections",
    figure="CPU µs per page",
    goal="at most 400",
    recipes=(tenant_router.RECIPE,),
    in_full=(tenant_router.RECIPE,),  # the others have none
    baselines=(),
    columns=(Column("pages/s"), Column("p99 ms", 1)),
    measure=_measure,
)
