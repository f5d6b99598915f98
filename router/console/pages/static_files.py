"""The console's stylesheet, scripts and pictures, under addresses that change with their content.

``/static/console-<fingerprint>.css`` may be kept by a browser for ever. An address with another fingerprint
(a page of the version before, during an upgrade) gets what there is now, and is not kept.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from aiohttp import web

from router.behind_edge import FOR_EVER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

STATIC: Final = "/static/"

_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_FINGERPRINT: Final = re.compile(r"-[0-9a-f]{16}(?=\.[a-z0-9]+\Z)")


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as it is served at ``address``, which has its fingerprint."""

    name: str
    address: str
    content_type: str
    body: bytes = field(repr=False)


class StaticFiles:
    """Every static file of the console, by name."""

    def __init__(self, folder: Traversable | None = None) -> None:
        folder = folder if folder is not None else files("router.console").joinpath("static")
        self._by_name = {file.name: file for file in _read(folder)}

    def address(self, name: str) -> str:
        """Say where a file is served, for a template: ``{{ static("console.css") }}``."""
        return self._by_name[name].address

    async def show(self, request: web.Request) -> web.Response:
        """Answer with a file."""
        asked = request.path.removeprefix(STATIC)
        file = self._by_name.get(_FINGERPRINT.sub("", asked))
        if file is None:
            raise web.HTTPNotFound
        current = request.path == file.address
        kept = FOR_EVER if current else "no-cache"
        return web.Response(
            body=file.body,
            content_type=file.content_type,
            charset="utf-8" if file.content_type.startswith("text/") else None,
            headers={"Cache-Control": kept},
        )


def _read(folder: Traversable) -> Iterator[StaticFile]:
    for entry in folder.iterdir():
        path = PurePath(entry.name)
        if path.suffix in _TYPES:
            body = entry.read_bytes()
            fingerprint = hashlib.sha256(body).hexdigest()[:16]
            address = f"{STATIC}{path.stem}-{fingerprint}{path.suffix}"
            yield StaticFile(entry.name, address, _TYPES[path.suffix], body)
