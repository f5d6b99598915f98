"""Access: the one check of whether somebody may do something, about whom; for every door of the console.

Who asks is found by each door in its own way: api/bearer.py by a token, pages/signed_in.py by a cookie.
Then, and the first that fails answers:

1. to do such a thing at all they need the scope for it: 403;
2. the tenant exists and is theirs: 404, the same for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from router.console.scopes import Scope
from router.errors import NotFound, RouterError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from router.console.principal import Principal
    from router.tenants.form import TenantForm
    from router.tenants.registry import Registry
    from router.tenants.rows import TenantRecord
    from router.tenants.tenant import Tenant

_MAX_NAME: Final = 255


class Forbidden(RouterError):  # noqa: N818 - named as its family is, after what happened
    """The principal may not do such a thing, whoever it is about; ``scope`` is what they lack."""

    def __init__(self, scope: Scope) -> None:
        super().__init__("insufficient_scope", f"This needs the scope “{scope}”.")
        self.scope = scope


@dataclass(frozen=True, slots=True)
class Admitted:
    """Something that may be done: by whom, and about which tenant."""

    principal: Principal
    record: TenantRecord

    @property
    def tenant(self) -> Tenant:
        """Which tenant it is about."""
        return self.record.tenant

    @property
    def actor(self) -> str:
        """Whom to name in the audit."""
        return self.principal.actor


class Access:
    """Admits principals. ``registry`` knows the tenants by their short names."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def admit(self, principal: Principal, scope: Scope, slug: str) -> Admitted:
        """Admit something about one tenant. Raises ``Forbidden``, ``NotFound``, ``Unavailable``."""
        check(principal, scope)
        if principal.slug is not None and principal.slug != slug:
            raise NotFound("tenant_not_found", f"There is no tenant “{slug[:60]}”.")
        record = await self._registry.get(slug)
        if not principal.owns(record.tenant.id):  # the short name went to somebody else meanwhile
            raise NotFound("tenant_not_found", f"There is no tenant “{slug[:60]}”.")
        return Admitted(principal, record)


def check_names(names: Iterable[str]) -> None:
    """Check the names that a path holds: each is of one line, and short. Raises ``NotFound``.

    Whatever is not names nothing, and PostgreSQL has no text for all that a path can hold.
    """
    if not all(name.isprintable() and len(name) <= _MAX_NAME for name in names):
        raise NotFound("not_found", "There is nothing here: a name in the path is none.")


def check(principal: Principal, scope: Scope) -> None:
    """Check that a principal may do such a thing at all. Raises ``Forbidden``."""
    if not principal.may(scope):
        raise Forbidden(scope)


def check_change(principal: Principal, tenant: Tenant, form: TenantForm) -> None:
    """Check what a form is to change of a tenant, beyond its settings and looks. Raises ``Forbidden``.

    Its hostname is a claim, and the rate of its visits is a limit that the platform keeps it within.
    """
    if (form.external_domain, form.behind_cdn) != (None, None):
        check(principal, Scope.DOMAINS_WRITE)
    rate = form.forwarding.requests_per_second
    if rate is not None and str(rate).strip() != str(tenant.forwarding.requests_per_second):
        check(principal, Scope.TENANTS_MANAGE)


def check_platform(principal: Principal, scope: Scope) -> None:
    """Check for what concerns the platform itself, or all tenants at once. Raises ``Forbidden``."""
    check(principal, scope)
    if not principal.owns(None):
        raise Forbidden(scope)


def check_gives(principal: Principal, scopes: Iterable[Scope]) -> None:
    """Check that somebody gives nobody more than they have: what they may not do themselves.

    Raises ``Forbidden``.
    """
    for scope in sorted(scopes):
        check(principal, scope)
