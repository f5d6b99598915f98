"""Plots: where the bars and lines of a drawing stand, in units of its own box.

PURE. The template draws them as SVG; the numbers stand in a table beside it for who does not see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH: Final = 720.0
HEIGHT: Final = 160.0

_GAP: Final = 0.2
_STEPS: Final = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; ``y`` counts from the top."""

    x: float
    y: float
    width: float
    height: float


def top_of(values: Sequence[float]) -> int:
    """Choose the value at the top of the plot: a round number that none of the values is above."""
    most, power = max(values, default=0), 1
    while power * 10 < most:
        power *= 10
    return next(step * power for step in _STEPS if step * power >= most)


def stacked(layers: Sequence[Sequence[float]], top: float) -> tuple[tuple[Bar, ...], ...]:
    """Place bars, each layer upon those before it; every layer has as many values. Nothing has no bar."""
    count = max((len(layer) for layer in layers), default=0)
    ground = [0.0] * count
    placed = []
    for layer in layers:
        bars = []
        for place, value in enumerate(layer):
            if value > 0:
                bars.append(_bar(place, count, ground[place], value, top))
                ground[place] += value
        placed.append(tuple(bars))
    return tuple(placed)


def line(values: Sequence[float | None], top: float) -> tuple[str, ...]:
    """Place a line as the ``points`` of polylines: one for each run of values without a hole."""
    runs: list[list[str]] = [[]]
    step = WIDTH / max(len(values), 1)
    for place, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{(place + 0.5) * step:.1f},{HEIGHT * (1 - value / top):.1f}")
    return tuple(" ".join(run) for run in runs if run)


def _bar(place: int, count: int, ground: float, value: float, top: float) -> Bar:
    step = WIDTH / count
    height = HEIGHT * value / top
    return Bar(
        x=round(place * step + step * _GAP / 2, 2),
        y=round(HEIGHT * (1 - ground / top) - height, 2),
        width=round(step * (1 - _GAP), 2),
        height=round(height, 2),
    )
