"""Connections that a browser keeps and does not use: memory for each, and the loop's peace."""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING, Final

from generate import generating
from meter import Meter
from peers import caddy, haproxy_plain, nginx_plain, tenant_router

from scenarios.scenario import Column, Sample, Scenario

if TYPE_CHECKING:
    from peers.peer import Peer
    from stage import Stage

    from scenarios.scenario import Effort

_FULL: Final = 10_000
_SHORT: Final = 1_000
_SPARE: Final = 500
_FULL_SECONDS: Final = 20  # the kernel counts CPU time in hundredths of a second
_SETTLE_SECONDS: Final = 1.0


def _measure(peer: Peer, stage: Stage, effort: Effort) -> Sample:
    # A process may open so many files, and each connection is one.
    seconds = max(effort.seconds, _FULL_SECONDS if effort.full else 0)
    amount = min(_FULL if effort.full else _SHORT, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE)
    alone = _cpu_while_idle(peer, stage, seconds)
    before = peer.process.resident_bytes()
    with generating(peer, stage, "idle", amount=amount) as generator:
        time.sleep(_SETTLE_SECONDS)
        grown = peer.process.resident_bytes() - before
        meter = Meter(peer.process, stage)
        time.sleep(seconds)
        usage = meter.usage()
        kept = generator.go()["kept"]
    also = {"connections": kept, "CPU ms/s idle": usage.busy * 1e3, "CPU ms/s before": alone * 1e3}
    return Sample(grown / 1024 / amount, usage.busy, usage.others, also)


def _cpu_while_idle(peer: Peer, stage: Stage, seconds: float) -> float:
    meter = Meter(peer.process, stage)
    time.sleep(seconds)
    return meter.usage().busy


SCENARIO = Scenario(
    name="idle",
    title="Idle TLS 1.3 keep-alive connections, each after one request",
    figure="KiB per connection",
    goal="at most 60 KiB each, and the CPU used while idle no more than before",
    recipes=(nginx_plain.RECIPE, haproxy_plain.RECIPE, caddy.RECIPE, tenant_router.RECIPE),
    baselines=(nginx_plain.RECIPE.name,),
    columns=(Column("connections"), Column("CPU ms/s before", 1), Column("CPU ms/s idle", 1)),
    repeats=False,
    measure=_measure,
)
