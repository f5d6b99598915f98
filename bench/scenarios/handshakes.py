"""New TLS connections: what a visitor who arrives costs, and one who comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from generate import generating
from meter import Meter
from peers import caddy, haproxy_plain, nginx_plain, tenant_router
from processes import BenchError

from scenarios.scenario import Column, Sample, Scenario

if TYPE_CHECKING:
    from peers.peer import Peer
    from stage import Stage

    from scenarios.scenario import Effort

# Each generator has one handshake under way at a time.
_GENERATORS: Final = 4
_RECIPES: Final = (nginx_plain.RECIPE, haproxy_plain.RECIPE, caddy.RECIPE, tenant_router.RECIPE)


def _measure_full(peer: Peer, stage: Stage, effort: Effort) -> Sample:
    sample, resumed = _shake_hands(peer, stage, effort, resume=False)
    if resumed:
        raise BenchError(f"{peer.process.name} resumed sessions that it was not shown.")
    return sample


def _measure_resumed(peer: Peer, stage: Stage, effort: Effort) -> Sample:
    return _shake_hands(peer, stage, effort, resume=True)[0]


def _shake_hands(peer: Peer, stage: Stage, effort: Effort, *, resume: bool) -> tuple[Sample, float]:
    load = generating(
        peer, stage, "handshakes", seconds=effort.seconds, amount=int(resume), processes=_GENERATORS
    )
    with load as generator:
        meter = Meter(peer.process, stage)
        counted = generator.go()
        usage = meter.usage()
    made, resumed = counted["made"], counted["resumed"]
    also = {"handshakes/s": made / usage.seconds, "resumed %": 100 * resumed / made}
    return Sample(usage.cpu / made * 1e6, usage.busy, usage.others, also), resumed


FULL = Scenario(
    name="handshake",
    title=f"New TLS 1.3 connections, full handshake, ECDSA P-256, {_GENERATORS} clients, nothing asked",
    figure="CPU µs per handshake",
    goal="at most 1.1 times Caddy",
    recipes=_RECIPES,
    baselines=(nginx_plain.RECIPE.name, caddy.RECIPE.name),
    columns=(Column("handshakes/s"),),
    digits=0,
    measure=_measure_full,
)

# A proxy that does not resume shakes hands in full, and its share of resumed ones says so.
RESUMED = Scenario(
    name="resumption",
    title=f"New TLS 1.3 connections, resumed with a ticket, {_GENERATORS} clients, nothing asked",
    figure="CPU µs per handshake",
    goal="at most 1.1 times Caddy, and all of them resumed",
    recipes=_RECIPES,
    baselines=(nginx_plain.RECIPE.name, caddy.RECIPE.name),
    columns=(Column("handshakes/s"), Column("resumed %", of_rounds=min)),
    digits=0,
    measure=_measure_resumed,
)
