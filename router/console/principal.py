"""Principals: who asks for something through one of the console's doors, and what they may do.

PURE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.console.scopes import PLATFORMS_OWN

if TYPE_CHECKING:
    from router.console.scopes import Scope


@dataclass(frozen=True, slots=True)
class Principal:
    """An operator or a token, for one tenant or (``tenant_id`` none) for all and the platform.

    ``id`` counts calls, ``actor`` is the name in the audit; ``slug`` is the tenant's short name.
    """

    id: str
    actor: str
    tenant_id: str | None
    slug: str | None
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether they may do such a thing at all, to whatever is theirs."""
        return scope in self.scopes and (self.tenant_id is None or scope not in PLATFORMS_OWN)

    def owns(self, tenant_id: str | None) -> bool:
        """Whether a tenant is theirs; none is the platform, which is nobody's who is bound to a tenant."""
        return self.tenant_id is None or self.tenant_id == tenant_id
