"""The scenarios: one module each, added here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scenarios import bulk, handshakes, idle, keep_alive, latency, scale, sign_in_page, websocket

if TYPE_CHECKING:
    from scenarios.scenario import Scenario

SCENARIOS: Final[tuple[Scenario, ...]] = (
    keep_alive.SCENARIO,
    handshakes.FULL,
    handshakes.RESUMED,
    bulk.DOWN,
    bulk.UP,
    idle.SCENARIO,
    websocket.SCENARIO,
    latency.SCENARIO,
    sign_in_page.SCENARIO,
    scale.SCENARIO,
)
