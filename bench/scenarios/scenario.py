"""What a scenario is: a way to measure a peer, and what one measurement says."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from peers.peer import Peer, Recipe
    from stage import Stage


@dataclass(frozen=True, slots=True)
class Effort:
    """How long one measurement takes, and whether sizes and numbers are the goal's (``full``) or smaller."""

    seconds: int
    full: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: ``figure`` is what peers are compared by; the rest is for information.

    ``busy`` is the share of its core that the proxy used, ``others`` the share that somebody else took.
    ``also`` has a value for each of the scenario's columns.
    """

    figure: float
    busy: float
    others: float
    also: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Column:
    """A value beside the figure: its name, decimal places, and how the rounds' values become one."""

    name: str
    digits: int = 0
    of_rounds: Callable[[Sequence[float]], float] = median


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of work.

    ``figure`` names what is measured, with its unit. ``goal`` is what the router is to reach. ``recipes`` are
    the peers that the goal is about, and the default; every peer takes part when asked for by name or in a
    full run. Where a scenario starts peers of its own kind, ``in_full`` are those of a full run.
    ``baselines`` are the names of those that the others are compared with. ``streams`` says that peers
    forward to the upstream for large bodies and WebSockets. ``repeats`` is false where a second round on the
    same process would find what the first one left behind.
    """

    name: str
    title: str
    figure: str
    goal: str
    recipes: tuple[Recipe, ...]
    baselines: tuple[str, ...]
    measure: Callable[[Peer, Stage, Effort], Sample]
    columns: tuple[Column, ...] = ()
    digits: int = 1
    streams: bool = False
    in_full: tuple[Recipe, ...] = ()
    repeats: bool = True
