"""Small WebSocket messages, echoed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from generate import generating
from meter import Meter
from peers import nginx_plain, tenant_router

from scenarios.scenario import Column, Sample, Scenario

if TYPE_CHECKING:
    from peers.peer import Peer
    from stage import Stage

    from scenarios.scenario import Effort

_SOCKETS: Final = 32


def _measure(peer: Peer, stage: Stage, effort: Effort) -> Sample:
    with generating(peer, stage, "echo", seconds=effort.seconds, amount=_SOCKETS) as generator:
        meter = Meter(peer.process, stage)
        counted = generator.go()
        usage = meter.usage()
    messages = counted["messages"]
    also = {"echoes/s": messages / counted["seconds"]}
    return Sample(usage.cpu / messages * 1e6, usage.busy, usage.others, also)


SCENARIO = Scenario(
    name="websocket",
    title=f"WebSocket messages of 32 bytes and their echoes, {_SOCKETS} connections over TLS 1.3",
    figure="CPU µs per echo",
    goal="at most 2 times nginx",
    recipes=(nginx_plain.RECIPE, tenant_router.RECIPE),
    baselines=(nginx_plain.RECIPE.name,),
    columns=(Column("echoes/s"),),
    streams=True,
    measure=_measure,
)
