"""The peers, in the order of the table: one module each, added here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from peers import haproxy_plain, nginx_auth, nginx_plain, tenant_router

if TYPE_CHECKING:
    from peers.peer import Recipe

RECIPES: Final[tuple[Recipe, ...]] = (
    nginx_plain.RECIPE,
    nginx_auth.RECIPE,
    haproxy_plain.RECIPE,
    tenant_router.RECIPE,
)

# What the others are compared with, column by column.
BASELINES: Final = (nginx_plain.RECIPE.name, nginx_auth.RECIPE.name)
