from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.console.plots import HEIGHT, WIDTH, line, stacked, top_of

COUNTS = st.integers(min_value=0, max_value=10**9)


@pytest.mark.parametrize(
    ("values", "top"),
    [([], 1), ([0], 1), ([1], 1), ([2], 2), ([3, 1], 5), ([7], 10), ([10], 10), ([11], 20), ([1234], 2000)],
)
def test_the_top_is_a_round_number(values: list[float], top: int) -> None:
    """One, two or five times a power of ten, and no value is above it."""
    assert top_of(values) == top


@given(st.lists(st.tuples(COUNTS, COUNTS, COUNTS), min_size=1, max_size=100))
def test_bars_stay_within_the_plot(rows: list[tuple[int, int, int]]) -> None:
    """Whatever the values, each layer stands on the one below it, and nothing sticks out."""
    layers = list(zip(*rows, strict=True))
    top = top_of([sum(row) for row in rows])
    for bars in stacked(layers, top):
        for bar in bars:
            assert bar.x >= 0
            assert bar.x + bar.width <= WIDTH + 0.01
            assert bar.y >= -0.01
            assert bar.y + bar.height <= HEIGHT + 0.02


def test_a_layer_stands_on_the_one_below() -> None:
    """Three of ten and two of ten: the second begins where the first one ends."""
    (lower,), (upper,) = stacked([[3], [2]], 10)
    assert lower.y + lower.height == pytest.approx(HEIGHT)
    assert upper.y + upper.height == pytest.approx(lower.y)


def test_nothing_has_no_bar() -> None:
    """Where the value is nothing, nothing is drawn."""
    assert stacked([[0, 0], [0, 1]], 1)[0] == ()


def test_a_line_has_holes_where_nothing_is_known() -> None:
    """Two runs of values are two lines, and a value of nothing stands on the ground."""
    first, second = line([1, None, 0, 2], 2)
    assert first == "90.0,80.0"
    assert second == "450.0,160.0 630.0,0.0"
    assert line([None], 1) == ()
