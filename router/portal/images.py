"""``/-/image/<fingerprint>``: a tenant's logo and favicon, at its own hostname alone.

The address changes with the picture, so a browser keeps it for ever. Anybody may make addresses up, so the
database is asked for those alone that the tenant's branding names, or that stand in its list: pictures of
before, which mails may name still. The list is read once a second at most. An SVG is clean already
(tenants/pictures.py); its policy sees to it that nothing in one could run or load even so.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from aiohttp import web

from router.behind_edge import FOR_EVER
from router.portal.visitor import VISITOR
from router.tenants.picture_rows import find_picture, list_pictures

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.storage.database import Database
    from router.tenants.tenant import Tenant

_HEADERS: Final = {
    "Cache-Control": FOR_EVER,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",  # mail programs in a browser show the logo too
}
_CAPACITY: Final = 16 << 20
"""Octets of pictures that a worker remembers."""
_TENANTS: Final = 1024
"""Tenants whose list a worker remembers."""
_LIST_LIFE: Final = 1.0


class Images:
    """Serves pictures from memory, or else from the database; ``clock`` only ever goes forward."""

    def __init__(
        self,
        database: Database,
        *,
        capacity: int = _CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._lists: OrderedDict[str, tuple[float, frozenset[str]]] = OrderedDict()
        self._room = capacity
        self._pictures: OrderedDict[tuple[str, str], tuple[str, bytes]] = OrderedDict()

    async def show(self, request: web.Request) -> web.Response:
        """GET a picture of the tenant whose hostname this is. Raises ``Unavailable``."""
        found = await self._find(request[VISITOR].tenant, request.match_info["fingerprint"])
        if found is None:
            raise web.HTTPNotFound
        content_type, body = found
        return web.Response(body=body, content_type=content_type, headers=_HEADERS)

    async def _find(self, tenant: Tenant, fingerprint: str) -> tuple[str, bytes] | None:
        key = (tenant.id, fingerprint)
        if key in self._pictures:
            self._pictures.move_to_end(key)
            return self._pictures[key]
        if not (_is_named(tenant, fingerprint) or await self._is_listed(tenant.id, fingerprint)):
            return None
        async with self._database.read() as connection:
            found = await find_picture(connection, tenant.id, fingerprint)
        if found is not None and key not in self._pictures:  # another visit may have asked meanwhile
            self._pictures[key] = found
            self._room -= len(found[1])
            while self._room < 0:
                _, (_, forgotten) = self._pictures.popitem(last=False)
                self._room += len(forgotten)
        return found

    async def _is_listed(self, tenant_id: str, fingerprint: str) -> bool:
        """Whether it is one of the tenant's few pictures, as of a second ago."""
        read_at, listed = self._lists.get(tenant_id, (float("-inf"), frozenset()))
        if fingerprint not in listed and read_at + _LIST_LIFE <= self._clock():
            self._lists[tenant_id] = (self._clock(), listed)  # who asks meanwhile does not read it, too
            try:
                async with self._database.read() as connection:
                    listed = await list_pictures(connection, tenant_id)
            except BaseException:
                self._lists.pop(tenant_id, None)  # nothing was learnt: the next one reads it
                raise
            self._lists[tenant_id] = (self._clock(), listed)
            while len(self._lists) > _TENANTS:
                self._lists.popitem(last=False)
        return fingerprint in listed


def _is_named(tenant: Tenant, fingerprint: str) -> bool:
    pictures = (tenant.branding.logo, tenant.branding.favicon)
    return any(picture is not None and picture.fingerprint == fingerprint for picture in pictures)
