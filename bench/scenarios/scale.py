"""The router with a large directory and many certificates in use, beside the same router with ten."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from crowd import fill
from generate import generating
from meter import Meter
from peers import tenant_router
from peers.peer import Recipe

from scenarios.scenario import Column, Sample, Scenario

if TYPE_CHECKING:
    from peers.peer import Peer
    from stage import Stage

    from scenarios.scenario import Effort

_CONNECTIONS: Final = 2_000
# Memory looks again after a minute, assertions live for less: a share of that belongs to the cost.
_FULL_SECONDS: Final = 20


def _recipe(tenants: int, in_use: int) -> Recipe:
    def start(stage: Stage) -> Peer:
        return tenant_router.start(stage, partial(fill, tenants=tenants, in_use=in_use))

    title = f"{tenants:,} tenants, {in_use:,} certificates, tenant-router"
    return Recipe(f"{tenant_router.RECIPE.name}@{tenants}", title, checks_session=True, start=start)


def _measure(peer: Peer, stage: Stage, effort: Effort) -> Sample:
    seconds = max(effort.seconds, _FULL_SECONDS if effort.full else 0)
    load = generating(peer, stage, "pages", seconds=seconds, amount=_CONNECTIONS, visitors=peer.visitors)
    with load as generator:
        meter = Meter(peer.process, stage)
        counted = generator.go()
        usage = meter.usage()
    requests = counted["requests"]
    also = {
        "requests/s": requests / counted["seconds"],
        "RSS MiB": peer.process.resident_bytes() / 2**20,
    }
    return Sample(usage.cpu / requests * 1e6, usage.busy, usage.others, also)


_FEW: Final = _recipe(10, 10)
_MORE: Final = _recipe(20_000, 200)
_MANY: Final = _recipe(100_000, 2_000)

SCENARIO = Scenario(
    name="scale",
    title=f"GET as in keep-alive over {_CONNECTIONS:,} connections, shared out among the tenants in use",
    figure="CPU µs per request",
    goal="the same cost within noise",
    recipes=(_FEW, _MORE),
    baselines=(_FEW.name,),
    columns=(Column("requests/s"), Column("RSS MiB")),
    in_full=(_FEW, _MANY),
    measure=_measure,
)
