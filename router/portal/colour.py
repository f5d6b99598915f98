"""Colours as people see them (OKLCH) and as WCAG 2.2 measures them (relative luminance).

PURE. OKLCH is Björn Ottosson's OKLab in polar form: lightness 0 to 1, chroma 0 to about 0.37, hue in radians.
Colours go in and out as ``#rrggbb``, and every contrast is measured on that rounded value, because that is
what a screen shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

_SRGB_KNEE = 0.04045
_LINEAR_KNEE = 0.0031308
_CHANNELS = (1, 3, 5)
_GAMUT_STEPS = 16
"""Halvings when looking for the strongest chroma a screen can show: finer than one of 255 steps."""


@dataclass(frozen=True, slots=True)
class Oklch:
    """A colour by lightness (0 black, 1 white), chroma (0 grey) and hue (radians)."""

    lightness: float
    chroma: float
    hue: float

    def at(self, lightness: float, *, chroma: float) -> Oklch:
        """Keep the hue, at ``lightness``, with at most ``chroma``."""
        return replace(self, lightness=min(max(lightness, 0.0), 1.0), chroma=min(self.chroma, chroma))


def read(colour: str) -> Oklch:
    """Turn ``#rrggbb`` into OKLCH."""
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in _CHANNELS)
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    return Oklch(lightness, math.hypot(a, b), math.atan2(b, a))


def write(colour: Oklch) -> str:
    """Turn OKLCH into ``#rrggbb``, giving up chroma (never hue or lightness) for what no screen can show."""
    channels = _channels(colour)
    if not _shown(channels):
        low, high = 0.0, colour.chroma
        for _ in range(_GAMUT_STEPS):
            middle = (low + high) / 2
            fits = _shown(_channels(replace(colour, chroma=middle)))
            low, high = (middle, high) if fits else (low, middle)
        channels = _channels(replace(colour, chroma=low))
    return "#" + "".join(f"{round(255 * _gamma(min(max(value, 0.0), 1.0))):02x}" for value in channels)


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, 0 to 1 (WCAG 2.2, "relative luminance")."""
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in _CHANNELS)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two ``#rrggbb`` colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _linear(value: float) -> float:
    return value / 12.92 if value <= _SRGB_KNEE else math.pow((value + 0.055) / 1.055, 2.4)


def _gamma(value: float) -> float:
    return value * 12.92 if value <= _LINEAR_KNEE else 1.055 * math.pow(value, 1 / 2.4) - 0.055


def _channels(colour: Oklch) -> tuple[float, float, float]:
    """Linear red, green and blue, which may lie outside 0 to 1."""
    a, b = colour.chroma * math.cos(colour.hue), colour.chroma * math.sin(colour.hue)
    long = (colour.lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (colour.lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (colour.lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )


def _shown(channels: tuple[float, float, float]) -> bool:
    return all(-0.0001 <= value <= 1.0001 for value in channels)  # noqa: PLR2004 - rounding, not a threshold
