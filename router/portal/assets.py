"""Static files of themes, served under addresses that change with their content.

``/-/static/<theme>/portal-<fingerprint>.css`` may be kept by a browser for ever. An address with another
fingerprint (a page of the version before, during an upgrade) gets what there is now, and is not kept.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from router.errors import BadSettings
from router.portal.palette import make_palette

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

STATIC: Final = "/-/static/"

_TYPES = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_MAX_OCTETS = 1 << 20
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_FINGERPRINT = re.compile(r"-[0-9a-f]{16}(?=\.[a-z0-9]+\Z)")
_PALETTE = re.compile(r"palette-([0-9a-f]{6})\.css")


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file as it is served; ``address`` is its path, fingerprint included."""

    address: str
    content_type: str
    body: bytes = field(repr=False)


class Assets:
    """Every static file of every theme, and the palettes, by address."""

    def __init__(self, assets: Iterable[Asset]) -> None:
        self._by_name = {_name(asset.address): asset for asset in assets}

    def find(self, path: str) -> Asset | None:
        """Find what is served at ``path``; its ``address`` differs if the fingerprint is out of date."""
        name = _name(path)
        if palette := _PALETTE.fullmatch(name):
            return palette_asset(f"#{palette[1]}")
        return self._by_name.get(name)


@lru_cache(maxsize=1024)
def palette_asset(theme_colour: str) -> Asset:
    """Make the stylesheet of a theme colour's palette, which says the colour in its address.

    So any worker can serve it, whether or not it has heard yet that a tenant changed its colour.
    """
    body = make_palette(theme_colour).css().encode()
    return _asset(f"palette-{theme_colour[1:].lower()}.css", body)


def read_assets(theme: str, folder: Path) -> dict[str, Asset]:
    """Read a theme's static files, by file name.

    Raises ``BadSettings("bad_theme")`` for a file of a kind that is not served (scripts above all), one over
    1 MiB, or a stylesheet that could not stand inside an error page.
    """
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: _read(theme, path) for path in files if not path.name.startswith(".")}


def _read(theme: str, path: Path) -> Asset:
    if path.suffix not in _TYPES or _FILE_NAME.fullmatch(path.name) is None or not path.is_file():
        kinds = ", ".join(sorted(_TYPES))
        raise BadSettings("bad_theme", f"{path} cannot be served: a theme's static files are {kinds}.")
    body = path.read_bytes()
    if len(body) > _MAX_OCTETS:
        raise BadSettings("bad_theme", f"{path} is larger than 1 MiB.")
    if path.suffix == ".css" and b"</" in body:
        raise BadSettings("bad_theme", f"{path} contains “</”, which would end the style of an error page.")
    return _asset(f"{theme}/{path.name}", body)


def _asset(name: str, body: bytes) -> Asset:
    stem, _, suffix = name.rpartition(".")
    fingerprint = hashlib.sha256(body).hexdigest()[:16]
    return Asset(f"{STATIC}{stem}-{fingerprint}.{suffix}", _TYPES[f".{suffix}"], body)


def _name(path: str) -> str:
    return _FINGERPRINT.sub("", path.removeprefix(STATIC))
