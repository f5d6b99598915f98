"""Scopes: what may be done through the console's doors; and roles, which are sets of them.

PURE. A token has the scopes it was made with, an operator those of their role.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from router.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Scope(StrEnum):
    """One kind of thing that may be done."""

    INVOICE_LINE = "invoice-line"  # ask for the line of an invoice, and withdraw its link
    INVITATIONS = "invitations"  # invite people to a tenant's portal
    TENANTS_READ = "tenants:read"  # a tenant's settings, upstreams and traffic
    TENANTS_WRITE = "tenants:write"  # change a tenant's settings and looks
    TENANTS_MANAGE = "tenants:manage"  # add, suspend, resume and delete tenants
    DOMAINS_READ = "domains:read"
    DOMAINS_WRITE = "domains:write"
    DOMAINS_VOUCH = "domains:vouch"  # a platform operator's word for a domain
    CERTIFICATES_READ = "certificates:read"
    CERTIFICATES_WRITE = "certificates:write"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    AUDIT_READ = "audit:read"
    TOKENS_READ = "tokens:read"
    TOKENS_WRITE = "tokens:write"
    OPERATORS_READ = "operators:read"
    OPERATORS_WRITE = "operators:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"


class Role(StrEnum):
    """What an operator is; who is a tenant's operator is one for that tenant alone."""

    PLATFORM_OPERATOR = "platform-operator"
    PLATFORM_READER = "platform-reader"
    TENANT_OPERATOR = "tenant-operator"
    TENANT_READER = "tenant-reader"

    @property
    def of_platform(self) -> bool:
        """Whether it is for all tenants."""
        return self in (Role.PLATFORM_OPERATOR, Role.PLATFORM_READER)

    @property
    def read_only(self) -> bool:
        """Whether it changes nothing."""
        return self in (Role.PLATFORM_READER, Role.TENANT_READER)


PLATFORMS_OWN: Final = frozenset({Scope.TENANTS_MANAGE, Scope.DOMAINS_VOUCH})
"""What nobody may do who is bound to one tenant, whatever else they were given."""

_READING: Final = frozenset(scope for scope in Scope if scope.endswith(":read"))

SCOPES_OF: Final[Mapping[Role, frozenset[Scope]]] = MappingProxyType(
    {
        Role.PLATFORM_OPERATOR: frozenset(Scope),
        Role.PLATFORM_READER: _READING,
        Role.TENANT_OPERATOR: frozenset(Scope) - PLATFORMS_OWN,
        Role.TENANT_READER: _READING,
    }
)


def role_of(tenant_id: str | None, *, read_only: bool) -> Role:
    """Name the role of an operator of one tenant, or of the platform (none)."""
    if tenant_id is None:
        return Role.PLATFORM_READER if read_only else Role.PLATFORM_OPERATOR
    return Role.TENANT_READER if read_only else Role.TENANT_OPERATOR


def parse_scopes(raw: Iterable[str]) -> tuple[Scope, ...]:
    """Read the names of scopes, each once; at least one. Raises ``BadInput("bad_scope")``."""
    given = set(raw)
    if not given or given - set(Scope):
        known = ", ".join(Scope)
        raise BadInput("bad_scope", f"A token's scopes are one or more of: {known}.")
    return tuple(scope for scope in Scope if scope in given)
