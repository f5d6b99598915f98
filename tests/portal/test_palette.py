"""Whatever a tenant's colour, its portal can be read."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from router.portal.colour import contrast
from router.portal.palette import NEUTRAL, PART_RATIO, TEXT_RATIO, Palette, Scheme, make_palette

AWKWARD = (
    "#ffff00",
    "#000000",
    "#ffffff",
    "#0B6E4F",
    "#c2185b",
    "#767676",
    "#777777",
    "#808080",
    "#00ff00",
    NEUTRAL,
)

# text, the ground it stands on
TEXTS = (
    ("text", "page"),
    ("text", "card"),
    ("text", "field"),
    ("muted", "page"),
    ("muted", "card"),
    ("link", "page"),
    ("link", "card"),
    ("on_fill", "fill"),
    ("on_fill", "fill_hover"),
    ("on_panel", "panel"),
    ("on_tile", "tile"),
    ("danger", "card"),
    ("danger", "danger_card"),
    ("text", "danger_card"),
    ("text", "tint"),
    ("muted", "tint"),
    ("link", "tint"),
    ("good", "card"),
    ("good", "good_card"),
    ("text", "good_card"),
)
# part of a control, what it has to be told apart from
PARTS = (
    ("field_edge", "card"),
    ("field_edge", "field"),
    ("field_edge", "tint"),
    ("field_edge", "page"),
    ("fill_edge", "card"),
    ("focus", "card"),
    ("focus", "page"),
    ("focus", "tint"),
    ("focus", "danger_card"),
    ("focus", "good_card"),
    ("danger", "field"),
    ("danger", "tint"),
    ("tile", "panel"),
)

colours = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


def check(scheme: Scheme) -> None:
    """Measure every pair of colours that meet on a page."""
    for text, ground in TEXTS:
        assert contrast(getattr(scheme, text), getattr(scheme, ground)) >= TEXT_RATIO, (text, ground, scheme)
    for part, ground in PARTS:
        assert contrast(getattr(scheme, part), getattr(scheme, ground)) >= PART_RATIO, (part, ground, scheme)


@settings(max_examples=2000, deadline=None)
@given(colours)
def test_every_colour_gives_readable_pages(colour: str) -> None:
    """Any of 16.7 million colours keeps text at 4.5 and controls at 3, by day and by night."""
    palette = make_palette(colour)
    check(palette.light)
    check(palette.dark)


@pytest.mark.parametrize("colour", AWKWARD)
def test_awkward_colours_give_readable_pages(colour: str) -> None:
    """The colours that break naive themes (yellow, black, white, the greys between) break nothing here."""
    palette = make_palette(colour)
    check(palette.light)
    check(palette.dark)


@pytest.mark.parametrize("level", range(256))
def test_greys_give_readable_pages(level: int) -> None:
    """Every grey can be read on, the ones on which neither white nor ink is enough included."""
    palette = make_palette(f"#{level:02x}{level:02x}{level:02x}")
    check(palette.light)
    check(palette.dark)


@given(colours)
@example("#ffff00")
def test_a_colour_with_a_hue_is_kept_by_day(colour: str) -> None:
    """A tenant sees its own colour on its buttons: only greys that would vanish are exchanged."""
    fill = make_palette(colour).light.fill
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    if max(red, green, blue) - min(red, green, blue) > 48 or contrast(colour, "#ffffff") >= PART_RATIO:
        assert fill == colour


@given(colours)
def test_hovering_changes_the_button(colour: str) -> None:
    """A button under the pointer looks different from one that is not."""
    palette = make_palette(colour)
    assert palette.light.fill_hover != palette.light.fill
    assert palette.dark.fill_hover != palette.dark.fill


def test_spelling_does_not_matter() -> None:
    """Capitals in a colour make no other palette."""
    assert make_palette("#0B6E4F") == make_palette("#0b6e4f")


@given(colours)
def test_the_stylesheet_says_every_colour_for_both_schemes(colour: str) -> None:
    """The stylesheet holds each part of both schemes, and nothing that could end a <style>."""
    palette: Palette = make_palette(colour)
    light, _, dark = palette.css().partition("@media (prefers-color-scheme:dark)")
    for name in Scheme.__dataclass_fields__:
        wanted = f"--{name.replace('_', '-')}:"
        assert wanted + getattr(palette.light, name) in light
        assert wanted + getattr(palette.dark, name) in dark
    assert "<" not in palette.css()
