"""The scenarios: one module each, added here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scenarios import keep_alive

if TYPE_CHECKING:
    from scenarios.scenario import Scenario

SCENARIOS: Final[tuple[Scenario, ...]] = (keep_alive.SCENARIO,)
