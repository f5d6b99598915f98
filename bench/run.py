"""Measure this router against its peers, on one core and in interleaved rounds.

`make bench`, or `python bench/run.py --help`. What is measured, and why so, is in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstage import start_auth, start_streams, start_upstream
from load import put_load
from peers import RECIPES, tenant_router
from plan import make_plan
from probe import check
from processes import BenchError, NotInstalled, allow_open_files, find_program
from profiling import profiled
from report import Row, describe_machine, write_json, write_table, write_warning
from scenarios import SCENARIOS, keep_alive
from stage import build_stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from peers.peer import Peer, Recipe
    from plan import Plan
    from scenarios.scenario import Sample
    from stage import Stage

_WARM_UP_SECONDS = 1
_OPENSSL = Path(__file__).with_name("openssl.cnf").resolve()


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    options = _parse_options()
    _agree_on_cipher()
    allow_open_files()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as stack:
            if options.profile:
                stack.enter_context(profiled())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tenant-router-bench-")))
            return 0 if _run(build_stage(folder, stack), options) else 1
    except BenchError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("Stopped.")
        return 130


def _agree_on_cipher() -> None:
    # OpenSSL reads its configuration once, before any line of ours: hence once more from the start.
    if os.environ.get("OPENSSL_CONF") != str(_OPENSSL):
        os.environ["OPENSSL_CONF"] = str(_OPENSSL)
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 - itself


def _parse_options() -> argparse.Namespace:
    peers = [recipe.name for recipe in RECIPES]
    scenarios = [scenario.name for scenario in SCENARIOS]
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    add = parser.add_argument
    add("--scenario", nargs="+", choices=scenarios, metavar="SCENARIO", help=", ".join(scenarios))
    add("--only", nargs="+", choices=peers, metavar="PEER", help=", ".join(peers))
    add("--full", action="store_true", help="every peer everywhere, and sizes as in the goals: half an hour")
    add("--rounds", type=_positive, help="rounds over all peers (3 for keep-alive, else 1; with --full 5)")
    add(
        "--seconds",
        type=_positive,
        help="length of one measurement (3 for keep-alive, else 2; with --full 5)",
    )
    add("--json", action="store_true", help="print JSON, with every round, instead of tables")
    add("--profile", action="store_true", help="instead, profile the router by function")
    options = parser.parse_args()
    if options.profile:
        options.only = [tenant_router.RECIPE.name]
        options.scenario = options.scenario or [keep_alive.SCENARIO.name]
    return options


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _run(stage: Stage, options: argparse.Namespace) -> bool:
    """Run the scenarios; return whether every one of them could be measured."""
    for program in ("taskset", "wrk", "nginx"):
        find_program(program)
    start_upstream(stage)
    start_streams(stage)
    start_auth(stage)
    chosen = [each for each in SCENARIOS if options.scenario is None or each.name in options.scenario]
    found: list[dict[str, Any]] = []
    for scenario in chosen:
        plan = make_plan(scenario, options)
        try:
            rows = _stage_scenario(plan, stage)
        except BenchError as error:
            # The other scenarios are still worth something; the exit code tells.
            _say(f"{scenario.name} could not be measured. {error}")
            continue
        found.append(write_json(scenario, rows, describe_machine()))
        if not (options.json or options.profile):
            _print_table(plan, rows)
    if options.json:
        print(json.dumps(found, indent=2))
    return len(found) == len(chosen)


def _stage_scenario(plan: Plan, stage: Stage) -> list[Row]:
    port = stage.streams_port if plan.scenario.streams else stage.upstream_port
    with stage.scene(port) as scene:
        return _measure(plan, _start_peers(scene, plan.recipes), scene)


def _start_peers(stage: Stage, recipes: Sequence[Recipe]) -> dict[Recipe, Peer]:
    peers: dict[Recipe, Peer] = {}
    for recipe in recipes:
        try:
            peers[recipe] = recipe.start(stage.stack.enter_context(stage.scene(stage.upstream_port)))
        except NotInstalled as absence:
            _say(f"Skipped: {recipe.title}. {absence}")
            continue
        # Any other fault ends the scenario: a table without the peer that broke would look like a good one.
        check(recipe, peers[recipe], stage)
        put_load(peers[recipe], stage, _WARM_UP_SECONDS)
    if not peers:
        raise BenchError("None of the peers could be started.")
    return peers


def _measure(plan: Plan, peers: Mapping[Recipe, Peer], stage: Stage) -> list[Row]:
    scenario = plan.scenario
    samples: dict[Recipe, list[Sample]] = {recipe: [] for recipe in peers}
    for number in range(1, plan.rounds + 1):
        for recipe, peer in peers.items():
            sample = scenario.measure(peer, stage, plan.effort)
            samples[recipe].append(sample)
            figure = f"{sample.figure:.{scenario.digits}f} {scenario.figure}"
            _say(f"{scenario.name}, round {number} of {plan.rounds}: {recipe.title}: {figure}")
    return [
        Row(recipe.name, recipe.title, peer.version, tuple(samples[recipe])) for recipe, peer in peers.items()
    ]


def _print_table(plan: Plan, rows: Sequence[Row]) -> None:
    machine = ", ".join(f"{name} {value}" for name, value in describe_machine().items())
    print(f"\n{plan.scenario.name}: {plan.scenario.title}")
    print(f"Goal: {plan.scenario.goal}.")
    print(f"{plan.described()}; {machine}\n")
    print(write_table(plan.scenario, rows))
    if warning := write_warning(rows):
        print(f"\n{warning}")
    sys.stdout.flush()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
