"""What one scenario of a run consists of, from what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from peers import RECIPES
from scenarios import keep_alive
from scenarios.scenario import Effort

if TYPE_CHECKING:
    import argparse

    from peers.peer import Recipe
    from scenarios.scenario import Scenario

_FULL = (5, 5)
_FIRST = (3, 3)
_SHORT = (1, 2)


@dataclass(frozen=True, slots=True)
class Plan:
    """Who takes part in a scenario, how often each is measured, and for how long."""

    scenario: Scenario
    recipes: tuple[Recipe, ...]
    rounds: int
    effort: Effort

    def described(self) -> str:
        """Say how the figures came about."""
        rounds = f"{self.rounds} rounds; median (least to greatest)" if self.rounds > 1 else "one round"
        return f"{rounds}; {self.effort.seconds} s each" + ("; full sizes" if self.effort.full else "")


def make_plan(scenario: Scenario, options: argparse.Namespace) -> Plan:
    """Choose the peers and the effort.

    The first scenario is measured with care even in a short run, the others just well enough to tell.
    """
    usual = _FULL if options.full else _FIRST if scenario is keep_alive.SCENARIO else _SHORT
    rounds = (options.rounds or usual[0]) if scenario.repeats else 1
    effort = Effort(options.seconds or usual[1], full=options.full)
    return Plan(scenario, _choose(scenario, options), rounds, effort)


def _choose(scenario: Scenario, options: argparse.Namespace) -> tuple[Recipe, ...]:
    wanted = options.only or [recipe.name for recipe in RECIPES]
    offered = RECIPES if options.only or options.full else scenario.recipes
    if scenario.in_full:
        offered = scenario.in_full if options.full else scenario.recipes
    # A scenario's own variants of a peer are named after it: “tenant-router@10”.
    return tuple(recipe for recipe in offered if recipe.name.partition("@")[0] in wanted)
