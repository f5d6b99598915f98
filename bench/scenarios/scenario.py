"""What a scenario is: a way to measure a peer, and what one measurement says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from peers.peer import Peer
    from stage import Stage


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: ``cost`` is what peers are compared by, less is better; the rest is for information.

    ``per_second`` is how much was done each second, ``busy`` the share of its core that the proxy used and
    ``others`` the share that somebody else took, ``p99`` the 99th percentile of latency in milliseconds.
    """

    cost: float
    per_second: float
    busy: float
    others: float
    p99: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of work. ``unit`` is that of the cost; ``measure`` runs it for about so many seconds."""

    name: str
    title: str
    unit: str
    measure: Callable[[Peer, Stage, int], Sample]
