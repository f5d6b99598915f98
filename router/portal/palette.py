"""From one theme colour, every colour of a portal, light and dark, always readable.

PURE. The theme colour is kept as it is wherever it can be seen; text is put on it in whichever of white and
ink can be read, and where the colour would melt into its surroundings it gets an edge (a light colour on
white) or is lifted (a dark colour at night). A colour without a hue that would vanish altogether, such as
white on white, changes places with ink.

Ratios are those of WCAG 2.2 level AA: 4.5 for text (1.4.3), 3 for the parts of controls (1.4.11).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

from router.portal.colour import Oklch, contrast, read, write

TEXT_RATIO = 4.5
PART_RATIO = 3.0
NEUTRAL = "#475569"
"""The theme colour of pages that belong to no tenant: slate."""

_STEP = 0.01
_GREY = 0.03
"""Chroma under which a colour has no hue worth keeping."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """The colours of one scheme (light or dark), each ``#rrggbb``.

    ``fill`` is the tenant's colour on buttons, ``on_fill`` the text on it, ``fill_edge`` what sets it off
    against ``card``. ``panel`` is the large face beside or above the card's content (the tenant's colour by
    day, a deep shade of it at night, so that nothing glares) and ``tile`` the monogram's ground on it.
    ``line`` is for ornament only; ``field_edge`` bounds what is typed into. ``tint`` is the ground of a
    notice and of what the pointer is on; ``danger`` and ``good`` are text on grounds of their own.
    """

    page: str
    card: str
    field: str
    text: str
    muted: str
    line: str
    field_edge: str
    fill: str
    on_fill: str
    fill_hover: str
    fill_edge: str
    panel: str
    on_panel: str
    tile: str
    on_tile: str
    link: str
    focus: str
    tint: str
    danger: str
    danger_card: str
    good: str
    good_card: str


@dataclass(frozen=True, slots=True)
class Palette:
    """A portal's colours by day and by night."""

    light: Scheme
    dark: Scheme

    def css(self) -> str:
        """Write a stylesheet of custom properties: ``--page``, ``--on-fill`` and so on, for both schemes."""
        return (
            f":root{{{_properties(self.light)}}}"
            f"@media (prefers-color-scheme:dark){{:root{{{_properties(self.dark)}}}}}"
        )


@lru_cache(maxsize=1024)
def make_palette(theme_colour: str) -> Palette:
    """Work out the palette of a theme colour given as ``#rrggbb`` (0.4 ms; the last 1,024 are remembered)."""
    colour = theme_colour.lower()
    return Palette(_light(colour), _dark(colour))


def _light(theme_colour: str) -> Scheme:
    seed = read(theme_colour)
    page, card, tint = write(seed.at(0.965, chroma=0.014)), "#ffffff", write(seed.at(0.955, chroma=0.022))
    danger_card, good_card = "#fdf0ee", "#e9f5ec"
    ink = write(seed.at(0.24, chroma=0.03))
    fill = ink if _vanishes(seed, theme_colour, card) else theme_colour
    on_fill = _text_on(fill, ink)
    return Scheme(
        page=page,
        card=card,
        field="#ffffff",
        text=ink,
        muted=_reach(seed.at(0.48, chroma=0.03), -_STEP, TEXT_RATIO, page, card, tint),
        line=write(seed.at(0.9, chroma=0.02)),
        field_edge=_reach(seed.at(0.64, chroma=0.03), -_STEP, PART_RATIO, page, card, tint),
        fill=fill,
        on_fill=on_fill,
        fill_hover=_hover(fill, on_fill),
        fill_edge=_reach(read(fill), -_STEP, PART_RATIO, card),
        panel=fill,
        on_panel=on_fill,
        tile=on_fill,
        on_tile=fill,
        link=_reach(read(fill), -_STEP, TEXT_RATIO, page, card, tint),
        focus=_reach(read(fill), -_STEP, PART_RATIO, page, card, tint, danger_card, good_card),
        tint=tint,
        danger="#b3261e",
        danger_card=danger_card,
        good="#1b6b37",
        good_card=good_card,
    )


def _dark(theme_colour: str) -> Scheme:
    seed = read(theme_colour)
    page, card, field = (write(seed.at(at, chroma=0.016)) for at in (0.165, 0.215, 0.18))
    tint, text = write(seed.at(0.27, chroma=0.03)), write(seed.at(0.95, chroma=0.01))
    danger_card, good_card = "#3a1d1b", "#16301f"
    fill = text if _vanishes(seed, theme_colour, card) else _reach(seed, _STEP, PART_RATIO, card, page)
    on_fill = _text_on(fill, page)
    panel = write(seed.at(0.31, chroma=0.075))
    tile = _reach(read(fill), _STEP, PART_RATIO, panel)
    return Scheme(
        page=page,
        card=card,
        field=field,
        text=text,
        muted=_reach(seed.at(0.72, chroma=0.02), _STEP, TEXT_RATIO, page, card, tint),
        line=write(seed.at(0.31, chroma=0.02)),
        field_edge=_reach(seed.at(0.5, chroma=0.03), _STEP, PART_RATIO, page, card, field, tint),
        fill=fill,
        on_fill=on_fill,
        fill_hover=_hover(fill, on_fill),
        fill_edge=fill,
        panel=panel,
        on_panel=text,
        tile=tile,
        on_tile=_text_on(tile, page),
        link=_reach(read(fill), _STEP, TEXT_RATIO, page, card, tint),
        focus=_reach(read(fill), _STEP, PART_RATIO, page, card, tint, danger_card, good_card),
        tint=tint,
        danger="#ff9d92",
        danger_card=danger_card,
        good="#8fd9a8",
        good_card=good_card,
    )


def _vanishes(seed: Oklch, theme_colour: str, card: str) -> bool:
    return seed.chroma < _GREY and contrast(theme_colour, card) < PART_RATIO


def _reach(start: Oklch, step: float, ratio: float, *grounds: str) -> str:
    """Move a colour's lightness by ``step`` until it stands out from all ``grounds``."""
    colour, shown = start, write(start)
    while 0.0 < colour.lightness < 1.0 and min(contrast(shown, ground) for ground in grounds) < ratio:
        colour = colour.at(colour.lightness + step, chroma=colour.chroma)
        shown = write(colour)
    return shown


def _text_on(fill: str, ink: str) -> str:
    """White where it can be read, else ink, else black: one of white and black always reaches 4.58."""
    return next(
        (text for text in ("#ffffff", ink) if contrast(text, fill) >= TEXT_RATIO),
        "#000000",
    )


def _hover(fill: str, on_fill: str) -> str:
    """Find a neighbour of ``fill`` that the eye tells apart and that still carries its text."""
    seed = read(fill)
    for shift in (-0.06, 0.06, 0.12, -0.04, 0.04, -0.02, 0.02):
        if not 0.0 <= seed.lightness + shift <= 1.0:
            continue
        shown = write(seed.at(seed.lightness + shift, chroma=seed.chroma))
        if contrast(shown, on_fill) >= TEXT_RATIO:
            return shown
    return fill


def _properties(scheme: Scheme) -> str:
    return ";".join(
        f"--{part.name.replace('_', '-')}:{getattr(scheme, part.name)}" for part in fields(scheme)
    )
