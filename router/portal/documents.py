"""What the portal serves besides pages: static files, and the keys that verify assertions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from aiohttp import web

from router.behind_edge import FOR_EVER
from router.portal.content_coding import accepts_gzip

if TYPE_CHECKING:
    from router.identity.signing_keys import SigningKeys
    from router.portal.assets import Assets

_STATIC_CSP: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""For a static file opened by itself: an SVG image may be styled, and is no place to run anything."""

_JWKS_LIFE: Final = 300
"""Seconds a backend may keep the keys: the next one is published long before it is used."""


class Documents:
    """``/-/static/…`` and ``/.well-known/portal-jwks.json``."""

    def __init__(self, assets: Assets, signing_keys: SigningKeys) -> None:
        self._assets = assets
        self._signing_keys = signing_keys

    async def static(self, request: web.Request) -> web.Response:
        """GET a theme's file; kept for ever if the address bears its present fingerprint, else not at all."""
        asset = self._assets.find(request.path)
        if asset is None:
            raise web.HTTPNotFound
        kept = FOR_EVER if asset.address == request.path else "no-store"
        headers = {"Cache-Control": kept, "Content-Security-Policy": _STATIC_CSP}
        body = asset.body
        if asset.gzipped is not None:
            headers["Vary"] = "Accept-Encoding"
            if accepts_gzip(",".join(request.headers.getall("Accept-Encoding", []))):
                headers["Content-Encoding"], body = "gzip", asset.gzipped
        return web.Response(body=body, content_type=asset.content_type, headers=headers)

    async def jwks(self, _request: web.Request) -> web.Response:
        """GET the public keys as a JSON Web Key Set (RFC 7517 section 5)."""
        return web.Response(
            body=json.dumps(self._signing_keys.jwks()).encode(),
            content_type="application/jwk-set+json",
            headers={"Cache-Control": f"public, max-age={_JWKS_LIFE}"},
        )
