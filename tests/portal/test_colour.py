from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.portal.colour import Oklch, contrast, luminance, read, write

colours = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


@given(colours)
def test_reading_and_writing_undo_each_other(colour: str) -> None:
    """A colour of the screen survives the way through OKLCH unchanged."""
    assert write(read(colour)) == colour


@pytest.mark.parametrize(
    ("colour", "lightness", "chroma"),
    [
        ("#000000", 0.0, 0.0),
        ("#ffffff", 1.0, 0.0),
        ("#ff0000", 0.62796, 0.25768),
        ("#00ff00", 0.86644, 0.29483),
        ("#0000ff", 0.45201, 0.31321),
    ],
)
def test_oklch_is_that_of_css(colour: str, lightness: float, chroma: float) -> None:
    """The values are those of CSS Color 4's sample code."""
    found = read(colour)
    assert found.lightness == pytest.approx(lightness, abs=1e-4)
    assert found.chroma == pytest.approx(chroma, abs=1e-4)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#ff0000", "#ffffff", 4.0),
        ("#123456", "#123456", 1.0),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    """The ratios are those everybody else's checker says, whichever colour comes first."""
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(one, other) == contrast(other, one)


@given(st.floats(0, 1), st.floats(0, 0.5), st.floats(-3.2, 3.2))
def test_whatever_is_asked_for_can_be_shown(lightness: float, chroma: float, hue: float) -> None:
    """A colour that no screen has becomes the nearest weaker one, and keeps its lightness."""
    shown = write(Oklch(lightness, chroma, hue))
    assert 0 <= luminance(shown) <= 1
    assert read(shown).lightness == pytest.approx(lightness, abs=0.06)  # steps are coarse near black
