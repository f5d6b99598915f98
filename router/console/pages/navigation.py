"""Navigation: which sections of the console somebody is shown, and where they begin.

PURE. A section is shown to who may see it, once it has a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from router.console.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Collection

    from router.console.principal import Principal


@dataclass(frozen=True, slots=True)
class Section:
    """A section; ``path`` is where it begins, ``scope`` what it takes to see it."""

    key: str
    label: str
    path: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Group:
    """Sections that are about one thing: the platform, or a tenant."""

    label: str
    sections: tuple[Section, ...]


PLATFORM: Final = (
    Section("overview", "Overview", "/overview", Scope.TENANTS_READ),
    Section("tenants", "Tenants", "/tenants", Scope.TENANTS_READ),
    Section("certificates", "Certificates", "/certificates", Scope.CERTIFICATES_READ),
    Section("operators", "Operators", "/operators", Scope.OPERATORS_READ),
    Section("tokens", "API tokens", "/tokens", Scope.TOKENS_READ),
    Section("webhooks", "Webhooks", "/webhooks", Scope.WEBHOOKS_READ),
    Section("audit", "Audit", "/audit", Scope.AUDIT_READ),
    Section("explain", "Explain", "/explain", Scope.TENANTS_READ),
)
"""What platform operators are shown."""

OF_TENANT: Final = (
    Section("settings", "Settings", "/settings", Scope.TENANTS_READ),
    Section("domain", "Domain", "/domain", Scope.DOMAINS_READ),
    Section("certificate", "Certificate", "/certificate", Scope.CERTIFICATES_READ),
    Section("branding", "Branding", "/branding", Scope.TENANTS_READ),
    Section("users", "Users", "/users", Scope.USERS_READ),
    Section("upstreams", "Upstreams", "/upstreams", Scope.TENANTS_READ),
    Section("traffic", "Traffic", "/traffic", Scope.TENANTS_READ),
    Section("tenant-operators", "Operators", "/operators", Scope.OPERATORS_READ),
    Section("tenant-tokens", "API tokens", "/tokens", Scope.TOKENS_READ),
    Section("tenant-webhooks", "Webhooks", "/webhooks", Scope.WEBHOOKS_READ),
    Section("tenant-audit", "Audit", "/audit", Scope.AUDIT_READ),
    Section("state", "Suspend or delete", "/state", Scope.TENANTS_MANAGE),
)
"""What a tenant's pages are, below ``/tenants/{tenant}``."""

ACCOUNT: Final = "/account"


def navigation(
    principal: Principal, tenant: str | None, name: str, mounted: Collection[str]
) -> tuple[Group, ...]:
    """Say what is shown to somebody who looks at a tenant (by short name), or at none.

    ``name`` is what that tenant is called, ``mounted`` the keys of the sections that have a page.
    """
    slug, groups = principal.slug or tenant, []
    if principal.slug is None:
        groups.append(Group("Platform", _shown(PLATFORM, "", principal, mounted)))
    if slug is not None:
        groups.append(Group(name or slug, _shown(OF_TENANT, f"/tenants/{slug}", principal, mounted)))
    return tuple(group for group in groups if group.sections)


def home(principal: Principal, mounted: Collection[str]) -> str:
    """Say where somebody begins: the tenants, or their own tenant's settings."""
    key, path = (
        ("settings", f"/tenants/{principal.slug}/settings") if principal.slug else ("tenants", "/tenants")
    )
    return path if key in mounted else ACCOUNT


def _shown(
    sections: tuple[Section, ...], below: str, principal: Principal, mounted: Collection[str]
) -> tuple[Section, ...]:
    return tuple(
        Section(each.key, each.label, below + each.path, each.scope)
        for each in sections
        if each.key in mounted and principal.may(each.scope)
    )
