"""docs/security.md: each item of level 2 has a verdict, files it names are there, numbers are right."""

from __future__ import annotations

import re
from dataclasses import astuple
from pathlib import Path

from router.identity import throttle
from router.identity.links import LIVES
from router.identity.passwords import MAX_LENGTH, MIN_LENGTH
from router.identity.throttle import KNOWN_FOR, Budget
from router.settings import Settings
from router.storage.outbox import DAILY, HOURLY

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")

COUNTS = {
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4,
    "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2,
}  # fmt: skip
"""How many items of levels 1 and 2 each section has; level 3 stands behind them (6.7 has no other)."""

WINDOWS = {"15 minutes": 900, "an hour": 3600, "a day": 86_400}


def test_every_item_of_level_2_has_a_verdict() -> None:
    """In the standard's order, each once, with one of the four words."""
    rows = re.findall(r"^\| (\d\.\d\.\d+) \| [^|]+ \| (\w+|n/a) \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert [item for item, _ in rows] == [
        f"{section}.{number}" for section, count in COUNTS.items() for number in range(1, count + 1)
    ]
    assert {verdict for _, verdict in rows} <= {"met", "partly", "not", "n/a"}


def test_every_file_it_names_is_there() -> None:
    """Who follows a reference finds something."""
    named = set(re.findall(r"`((?:router|tests|themes|docs)/[\w./-]+)`", PAGE))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_budgets_are_the_codes() -> None:
    """The table has each budget of the throttle, and no other."""
    rows = re.findall(r"^\| `([\w-]+)` \| [^|]+ \| (\d+) \| ([\w ]+) \|$", PAGE, re.MULTILINE)
    told = {(name, int(limit), WINDOWS[window]) for name, limit, window in rows}
    budgets = [value for value in vars(throttle).values() if isinstance(value, Budget)]
    assert told == {astuple(budget)[:3] for budget in budgets}


def test_the_other_numbers_are_the_codes_too() -> None:
    """A limit that is changed is changed here as well."""
    fields = Settings.model_fields
    for said in (
        f"{MIN_LENGTH} to {MAX_LENGTH} characters",
        f"within the last {KNOWN_FOR // 86_400} days",
        f"{HOURLY} an hour and {DAILY} a day",
        f"{fields['session_idle'].default // 3600} hours",
        f"{fields['session_life'].default // 86_400} days",
        f"once, {LIVES['invitation'] // 86_400} days",
        f"once, {LIVES['registration'] // 3600} hours",
    ):
        assert said in PAGE, said
    assert LIVES["reset"] == 3600
    assert LIVES["email"] == LIVES["registration"]
