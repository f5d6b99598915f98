"""What makes a page the tenant's own: its name, its logo or monogram, its colours, its icon, its theme."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from markupsafe import Markup, escape

from router.portal.palette import NEUTRAL, Palette, make_palette
from router.portal.theme import STYLE
from router.tenants.tenant import Branding

if TYPE_CHECKING:
    from router.portal.theme import Theme
    from router.tenants.tenant import Image, Tenant

IMAGES: Final = "/-/image/"

_INITIALS = 2
_WIDE: Final = 1.6
"""Width by height from which a logo is taken to hold the company's name."""

_DAY: Final = "#ffffff"
_NIGHT: Final = "#1d2127"
"""The grounds of logos: neither is the tenant's colour, in which its logo most likely is."""

_NOBODY: Final = Branding("", NEUTRAL)


@dataclass(frozen=True, slots=True)
class Logo:
    """A tenant's logo as a page shows it, on a ``ground`` of its own, for it may have any colour.

    A ``wide`` one holds the company's name itself. ``ink`` is for the words on the ground where the
    picture is not shown, as in mail programs that ask first.
    """

    address: str
    width: int
    height: int
    wide: bool
    ground: str
    ink: str


@dataclass(frozen=True, slots=True)
class Look:
    """What templates know of a tenant. ``name`` is empty on pages that belong to none.

    ``style`` is the palette and the theme's stylesheet, to stand in the page: so a page is one answer, and
    can be sent when nothing else works. ``csp`` is the policy that allows exactly that style.
    """

    name: str
    branding: Branding
    monogram: str
    logo: Logo | None
    icon: str
    palette: Palette
    style: Markup
    csp: str
    theme: Theme


def look_of(tenant: Tenant | None, theme: Theme) -> Look:
    """Say how a tenant's pages look in a theme, or nobody's pages where there is no tenant."""
    branding = tenant.branding if tenant is not None else _NOBODY
    letters = monogram(branding.shown_name)
    shown = tenant is not None and tenant.status == "active"  # a closed portal answers with this page alone
    style, csp = _style(branding.theme_colour, theme.assets[STYLE].body)
    icon = _icon(letters, branding.theme_colour)
    return Look(
        name=branding.shown_name,
        branding=branding,
        monogram=letters,
        logo=_logo(branding.logo) if branding.logo is not None and shown else None,
        icon=icon if branding.favicon is None else IMAGES + branding.favicon.fingerprint,
        palette=make_palette(branding.theme_colour),
        style=style,
        csp=csp,
        theme=theme,
    )


def monogram(name: str) -> str:
    """Take at most two initials: ``Acme Energy GmbH`` → ``AE``; none where a name has no letter or digit."""
    initials = (next((letter for letter in word if letter.isalnum()), "") for word in name.split())
    # One character each, whatever upper() makes of it ("ß" becomes "SS").
    return "".join([initial.upper()[:1] for initial in initials if initial][:_INITIALS])


def _logo(image: Image) -> Logo:
    wide = image.width >= _WIDE * image.height
    ground, ink = (_NIGHT, _DAY) if image.light else (_DAY, _NIGHT)
    return Logo(IMAGES + image.fingerprint, image.width, image.height, wide, ground, ink)


@lru_cache(maxsize=1024)
def _style(theme_colour: str, stylesheet: bytes) -> tuple[Markup, str]:
    text = make_palette(theme_colour).css() + stylesheet.decode()
    digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
    csp = (
        f"default-src 'none'; style-src 'self' 'sha256-{digest}'; img-src 'self' data:; font-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return Markup(text), csp  # noqa: S704 - a stylesheet is not text to escape; assets.py refuses "</" in it


@lru_cache(maxsize=1024)
def _icon(letters: str, theme_colour: str) -> str:
    """Draw the browser tab's icon as a data: address, so that a page needs nothing else."""
    light = make_palette(theme_colour).light
    size = 30 if len(letters) > 1 else 36
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        f'<path d="M4 60V32a28 28 0 0 1 56 0v28z" fill="{light.fill}"/>'
        f'<text x="32" y="46" font-family="system-ui,sans-serif" font-size="{size}" font-weight="700"'
        f' text-anchor="middle" fill="{light.on_fill}">{escape(letters)}</text></svg>'
    )
    return "data:image/svg+xml," + quote(svg, safe="/:=' ()")
