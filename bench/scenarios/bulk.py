"""Large bodies, down and up: throughput, and whether memory stays what it was."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from generate import generating
from meter import Meter
from peers import nginx_plain, tenant_router

from scenarios.scenario import Column, Sample, Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peers.peer import Peer
    from processes import Process
    from stage import Stage

    from scenarios.scenario import Effort

_MIB: Final = 2**20
_GIB: Final = 2**30
_SHORT: Final = 256 * _MIB
_LOOK_EVERY: Final = 0.02


def _measure_down(peer: Peer, stage: Stage, effort: Effort) -> Sample:
    return _move(peer, stage, effort, "down")


def _measure_up(peer: Peer, stage: Stage, effort: Effort) -> Sample:
    return _move(peer, stage, effort, "up")


def _move(peer: Peer, stage: Stage, effort: Effort, direction: str) -> Sample:
    amount = _GIB if effort.full else _SHORT
    with generating(peer, stage, "bulk", direction, amount=amount) as generator:
        before = peer.process.resident_bytes()
        with _watched(peer.process) as most:
            meter = Meter(peer.process, stage)
            counted = generator.go()
            usage = meter.usage()
    also = {
        "CPU s per GiB": usage.cpu / amount * _GIB,
        "RSS growth MiB": (max(most) - before) / _MIB,
        "RSS MiB": max(most) / _MIB,
    }
    return Sample(amount / _MIB / counted["seconds"], usage.busy, usage.others, also)


@contextmanager
def _watched(process: Process) -> Iterator[list[int]]:
    """Note how much memory the process has resident, again and again, until the block ends."""
    seen = [process.resident_bytes()]
    done = threading.Event()

    def look() -> None:
        while not done.wait(_LOOK_EVERY):
            seen.append(process.resident_bytes())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


_COLUMNS: Final = (
    Column("CPU s per GiB", 2),
    Column("RSS growth MiB", 1, max),
    Column("RSS MiB", 1, max),
)

DOWN = Scenario(
    name="download",
    title="One large answer through TLS, one connection",
    figure="MiB/s",
    goal="at least 0.8 times nginx; RSS growth below 10 MiB",
    recipes=(nginx_plain.RECIPE, tenant_router.RECIPE),
    baselines=(nginx_plain.RECIPE.name,),
    columns=_COLUMNS,
    digits=0,
    streams=True,
    measure=_measure_down,
)

UP = Scenario(
    name="upload",
    title="One large request body through TLS, one connection",
    figure="MiB/s",
    goal="at least 0.8 times nginx; RSS growth below 10 MiB",
    recipes=(nginx_plain.RECIPE, tenant_router.RECIPE),
    baselines=(nginx_plain.RECIPE.name,),
    columns=_COLUMNS,
    digits=0,
    streams=True,
    measure=_measure_up,
)
