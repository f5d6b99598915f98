"""Static files of themes, served under addresses that change with their content, compressed once.

``/-/static/<theme>/portal-<fingerprint>.css`` may be kept by a browser for ever. An address with another
fingerprint (a page of the version before, during an upgrade) gets what there is now, and is not kept.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from router.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

STATIC: Final = "/-/static/"

_TYPES: Final = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_COMPRESSIBLE: Final = frozenset({".css", ".svg", ".ico"})
_MAX_OCTETS: Final = 1 << 20
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_FINGERPRINT = re.compile(r"-[0-9a-f]{16}(?=\.[a-z0-9]+\Z)")
# A text in quotes stays as it is; comments go, and white space where it means nothing.
_TEXT_OR_BALLAST = re.compile(
    r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?:\s|/\*.*?\*/)*([{};,])(?:\s|/\*.*?\*/)*|(?<=:)\s+|/\*.*?\*/""",
    re.DOTALL,
)
_REFERENCE = re.compile(r"""url\(\s*(["']?)(?!data:|#)(.*?)\1\s*\)""")


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file as it is served; ``address`` is its path, fingerprint included.

    ``gzipped`` is the body compressed (RFC 1952), where that is worth it.
    """

    address: str
    content_type: str
    body: bytes = field(repr=False)
    gzipped: bytes | None = field(default=None, repr=False)


class Assets:
    """Every static file of every theme, by address."""

    def __init__(self, assets: Iterable[Asset]) -> None:
        self._by_name = {_name(asset.address): asset for asset in assets}

    def find(self, path: str) -> Asset | None:
        """Find what is served at ``path``; its ``address`` differs if the fingerprint is out of date."""
        return self._by_name.get(_name(path))


def static_files(folder: Path) -> dict[str, Path]:
    """List a theme's static files by name.

    Raises ``BadSettings("bad_theme")`` for a file of a kind that is not served (scripts above all).
    """
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    found = {path.name: path for path in paths if not path.name.startswith(".")}
    for name, path in found.items():
        if path.suffix not in _TYPES or _FILE_NAME.fullmatch(name) is None or not path.is_file():
            kinds = ", ".join(sorted(_TYPES))
            raise BadSettings("bad_theme", f"{path} cannot be served: a theme's static files are {kinds}.")
    return found


def read_assets(theme: str, files: Mapping[str, Path]) -> dict[str, Asset]:
    """Read a theme's static files, its own and those it inherits, by file name.

    Raises ``BadSettings("bad_theme")`` for one over 1 MiB, and for a stylesheet that could not stand inside
    a page or that refers to a file there is not.
    """
    plain = {
        name: make_asset(f"{theme}/{name}", _read(path))
        for name, path in files.items()
        if path.suffix != ".css"
    }
    styles = {
        name: make_asset(f"{theme}/{name}", _read_style(path, plain))
        for name, path in files.items()
        if path.suffix == ".css"
    }
    return plain | styles


def make_asset(name: str, body: bytes) -> Asset:
    """Make what is served as ``/-/static/<name>``, the fingerprint put in."""
    path = PurePath(name)
    fingerprint = hashlib.sha256(body).hexdigest()[:16]
    smaller = gzip.compress(body, 9, mtime=0) if path.suffix in _COMPRESSIBLE else body
    return Asset(
        f"{STATIC}{path.with_suffix('')}-{fingerprint}{path.suffix}",
        _TYPES[path.suffix],
        body,
        smaller if len(smaller) < len(body) else None,
    )


def _read(path: Path) -> bytes:
    body = path.read_bytes()
    if len(body) > _MAX_OCTETS:
        raise BadSettings("bad_theme", f"{path} is larger than 1 MiB.")
    return body


def _read_style(path: Path, others: Mapping[str, Asset]) -> bytes:
    """Read a stylesheet without its ballast, what it refers to by the address it is served at."""
    try:
        text = _read(path).decode()
    except UnicodeDecodeError as fault:
        raise BadSettings("bad_theme", f"{path} is not UTF-8.") from fault
    if "</" in text:
        raise BadSettings("bad_theme", f"{path} contains “</”, which would end the style of a page.")
    if "@import" in text:
        raise BadSettings("bad_theme", f"{path} imports another stylesheet: write it all into one file.")

    def addressed(match: re.Match[str]) -> str:
        if match[2] not in others:
            raise BadSettings("bad_theme", f"{path} refers to “{match[2]}”, which is not in static/.")
        return f'url("{others[match[2]].address}")'

    lean = _TEXT_OR_BALLAST.sub(lambda match: match[1] or match[2] or "", text.strip())
    return _REFERENCE.sub(addressed, lean).encode()


def _name(path: str) -> str:
    return _FINGERPRINT.sub("", path.removeprefix(STATIC))
