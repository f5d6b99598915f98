"""The peers, in the order of the table: one module each, added here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peers import (
    aiohttp_plain,
    caddy,
    configurable_http_proxy,
    envoy,
    haproxy_plain,
    nginx_auth,
    nginx_plain,
    tenant_router,
)

if TYPE_CHECKING:
    from peers.peer import Recipe

RECIPES: Final[tuple[Recipe, ...]] = (
    nginx_plain.RECIPE,
    nginx_auth.RECIPE,
    haproxy_plain.RECIPE,
    envoy.RECIPE,
    caddy.RECIPE,
    configurable_http_proxy.RECIPE,
    aiohttp_plain.RECIPE,
    tenant_router.RECIPE,
)
