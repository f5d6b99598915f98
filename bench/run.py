"""Measure this router against its peers: CPU time of the proxy per request, in interleaved rounds.

`make bench`, or `python bench/run.py --help`. What is measured, and why so, is in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstage import start_auth, start_upstream
from load import put_load
from peers import RECIPES, tenant_router
from probe import check
from processes import BenchError, NotInstalled, find_program
from profiling import profiled
from report import Row, describe_machine, write_json, write_table, write_warning
from scenarios import SCENARIOS
from stage import build_stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from peers.peer import Peer, Recipe
    from scenarios.scenario import Sample, Scenario
    from stage import Stage

_WARM_UP_SECONDS = 1


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    options = _parse_options()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as stack:
            if options.profile:
                stack.enter_context(profiled())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tenant-router-bench-")))
            _run(build_stage(folder, stack), options)
    except BenchError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("Stopped.")
        return 130
    return 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    parser.add_argument("--rounds", type=_positive, default=5, help="rounds over all peers (5)")
    parser.add_argument("--seconds", type=_positive, default=4, help="length of one measurement (4)")
    names = [recipe.name for recipe in RECIPES]
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="PEER", help=", ".join(names)
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with every round, instead of tables")
    parser.add_argument("--profile", action="store_true", help="instead, profile the router by function")
    options = parser.parse_args()
    if options.profile:
        options.only = [tenant_router.RECIPE.name]
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _run(stage: Stage, options: argparse.Namespace) -> None:
    for program in ("taskset", "wrk", "nginx"):
        find_program(program)
    start_upstream(stage)
    start_auth(stage)
    peers = _start_peers(stage, [recipe for recipe in RECIPES if recipe.name in options.only])
    found: list[dict[str, Any]] = []
    for scenario in SCENARIOS:
        rows = _measure(scenario, peers, stage, options)
        found.append(write_json(scenario, rows, describe_machine()))
        if not (options.json or options.profile):
            _print_table(scenario, rows, options)
    if options.json:
        print(json.dumps(found, indent=2))


def _start_peers(stage: Stage, recipes: Sequence[Recipe]) -> dict[Recipe, Peer]:
    peers: dict[Recipe, Peer] = {}
    for recipe in recipes:
        try:
            peers[recipe] = recipe.start(stage)
        except NotInstalled as absence:
            _say(f"Skipped: {recipe.title}. {absence}")
            continue
        # Any other fault ends the run: a table without the peer that broke would look like a good one.
        check(recipe, peers[recipe], stage)
        put_load(peers[recipe], stage, _WARM_UP_SECONDS)
    if not peers:
        raise BenchError("None of the peers could be started.")
    return peers


def _measure(
    scenario: Scenario, peers: Mapping[Recipe, Peer], stage: Stage, options: argparse.Namespace
) -> list[Row]:
    samples: dict[Recipe, list[Sample]] = {recipe: [] for recipe in peers}
    for number in range(1, options.rounds + 1):
        for recipe, peer in peers.items():
            sample = scenario.measure(peer, stage, options.seconds)
            samples[recipe].append(sample)
            _say(f"round {number} of {options.rounds}: {recipe.title}: {sample.cost:.1f} {scenario.unit}")
    return [
        Row(recipe.name, recipe.title, peer.version, tuple(samples[recipe])) for recipe, peer in peers.items()
    ]


def _print_table(scenario: Scenario, rows: Sequence[Row], options: argparse.Namespace) -> None:
    machine = ", ".join(f"{name} {value}" for name, value in describe_machine().items())
    print(f"\n{scenario.title}")
    print(f"{options.rounds} rounds of {options.seconds} s each; median (least to greatest); {machine}\n")
    print(write_table(scenario, rows))
    if warning := write_warning(rows):
        print(f"\n{warning}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
