"""docs/certificates.md: every code and every state there is, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from router.certificates.faults import REFUSALS, WARNINGS
from router.certificates.life import NOTICES, Stage

DOCUMENT = (Path(__file__).parents[2] / "docs" / "certificates.md").read_text("utf-8")


def _codes(heading: str) -> set[str]:
    """Read the first column of the table below a heading."""
    section = DOCUMENT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([a-z0-9_]+)` \|", section, re.MULTILINE))


def test_each_refusal_is_explained() -> None:
    """Whoever gets a code finds it, with what to do."""
    assert _codes("What is refused") == {*REFUSALS, "hostname_not_covered"}


def test_each_warning_is_explained() -> None:
    """The same for what is accepted."""
    assert _codes("What is accepted with a warning") == set(WARNINGS)


def test_each_state_is_explained() -> None:
    """The states are those that the router tells."""
    assert _codes("Where a certificate stands") == set(get_args(Stage))


def test_the_days_of_the_notices_are_right() -> None:
    """As many days ahead as the rule says."""
    *ahead, last = [str(days) for days in NOTICES if days]
    assert f"{', '.join(ahead)} and {last} days ahead" in DOCUMENT
