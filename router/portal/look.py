"""What makes a page the tenant's own: its name, its monogram, its colours, its icon, its theme."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import escape

from router.portal.assets import palette_asset
from router.portal.palette import NEUTRAL, Palette, make_palette

if TYPE_CHECKING:
    from router.portal.themes import Theme, Themes
    from router.tenants.tenant import Tenant

_INITIALS = 2


@dataclass(frozen=True, slots=True)
class Look:
    """What templates know of a tenant. ``name`` is empty on pages that belong to none."""

    name: str
    monogram: str
    icon: str
    palette: Palette
    palette_address: str
    theme: Theme


def look_of(tenant: Tenant | None, themes: Themes) -> Look:
    """Say how a tenant's pages look, or nobody's pages where there is no tenant."""
    name, colour, theme = (
        (tenant.branding.name, tenant.branding.theme_colour, tenant.branding.theme)
        if tenant is not None
        else ("", NEUTRAL, "default")
    )
    letters = monogram(name)
    return Look(
        name=name,
        monogram=letters,
        icon=_icon(letters, colour),
        palette=make_palette(colour),
        palette_address=palette_asset(colour).address,
        theme=themes.find(theme),
    )


def monogram(name: str) -> str:
    """Take at most two initials: ``Acme Energy GmbH`` → ``AE``; none where a name has no letter or digit."""
    initials = (next((letter for letter in word if letter.isalnum()), "") for word in name.split())
    # One character each, whatever upper() makes of it ("ß" becomes "SS").
    return "".join([initial.upper()[:1] for initial in initials if initial][:_INITIALS])


@lru_cache(maxsize=1024)
def _icon(letters: str, theme_colour: str) -> str:
    """Draw the browser tab's icon as a data: address, so that an error page needs nothing else."""
    light = make_palette(theme_colour).light
    size = 30 if len(letters) > 1 else 36
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        f'<path d="M4 60V32a28 28 0 0 1 56 0v28z" fill="{light.fill}"/>'
        f'<text x="32" y="46" font-family="system-ui,sans-serif" font-size="{size}" font-weight="700"'
        f' text-anchor="middle" fill="{light.on_fill}">{escape(letters)}</text></svg>'
    )
    return "data:image/svg+xml," + quote(svg, safe="/:=' ()")
