"""``/-/image/<fingerprint>``: a tenant's logo and favicon, at its own hostname alone.

The address changes with the picture, so a browser keeps it for ever. An SVG is clean already
(tenants/pictures.py); its policy sees to it that nothing in one could run or load even so.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from aiohttp import web

from router.portal.visitor import VISITOR
from router.tenants.picture_rows import find_picture

if TYPE_CHECKING:
    from router.storage.database import Database

_HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",  # mail programs in a browser show the logo too
}
_CAPACITY: Final = 16 << 20
"""Octets of pictures that a worker remembers."""


class Images:
    """Serves pictures from memory, or else from the database."""

    def __init__(self, database: Database, *, capacity: int = _CAPACITY) -> None:
        self._database = database
        self._room = capacity
        self._pictures: OrderedDict[tuple[str, str], tuple[str, bytes]] = OrderedDict()

    async def show(self, request: web.Request) -> web.Response:
        """GET a picture of the tenant whose hostname this is. Raises ``Unavailable``."""
        found = await self._find(request[VISITOR].tenant.id, request.match_info["fingerprint"])
        if found is None:
            raise web.HTTPNotFound
        content_type, body = found
        return web.Response(body=body, content_type=content_type, headers=_HEADERS)

    async def _find(self, tenant_id: str, fingerprint: str) -> tuple[str, bytes] | None:
        key = (tenant_id, fingerprint)
        if key in self._pictures:
            self._pictures.move_to_end(key)
            return self._pictures[key]
        async with self._database.read() as connection:
            found = await find_picture(connection, tenant_id, fingerprint)
        if found is not None and key not in self._pictures:  # another visit may have asked meanwhile
            self._pictures[key] = found
            self._room -= len(found[1])
            while self._room < 0:
                _, (_, forgotten) = self._pictures.popitem(last=False)
                self._room += len(forgotten)
        return found
