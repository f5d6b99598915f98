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
    ``operator_id`` is the operator who answers for what they do and make: themselves, or whoever a token goes
    back to; none for a token that was made at the command line.
    """

    id: str
    actor: str
    tenant_id: str | None
    slug: str | None
    scopes: frozenset[Scope]
    operator_id: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether they may do such a thing at all, to whatever is theirs."""
        return scope in self.scopes and (self.tenant_id is None or scope not in PLATFORMS_OWN)

    def owns(self, tenant_id: str | None) -> bool:
        """Whether a tenant is theirs; none is the platform, which is nobody's who is bound to a tenant."""
        return self.tenant_id is None or self.tenant_id == tenant_id
