"""What identity wants to know of a tenant, read from its row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from router.errors import NotFound
from router.languages.choice import SOURCE
from router.storage.schema import tenants

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """A tenant by what decides how people come in, and in which language they are written to.

    ``registration_check`` is the URL that is asked whether an address belongs to a customer, if any.
    """

    id: str
    slug: str
    name: str
    language: str
    allow_registration: bool
    registration_check: str | None
    portal_name: str = ""

    @property
    def names(self) -> tuple[str, str]:
        """What customers know the portal by, which is no part of a good password."""
        return (self.name, self.portal_name)


async def tenant_facts(connection: AsyncConnection, tenant_id: str, *, lock: bool = False) -> TenantFacts:
    """Read a tenant's; with ``lock``, whoever else asks for the same waits for the end of the transaction.

    Raises ``NotFound("no_such_tenant")``.
    """
    found = select(tenants).where(tenants.c.id == tenant_id)
    if lock:  # weakly: rows that refer to the tenant may be written meanwhile
        found = found.with_for_update(key_share=True)
    row = (await connection.execute(found)).one_or_none()
    if row is None:
        raise NotFound("no_such_tenant", "There is no such tenant.")
    language, portal_name = row.branding.get("language"), row.branding.get("portal_name")
    return TenantFacts(
        id=row.id,
        slug=row.slug,
        name=row.name,
        language=language if isinstance(language, str) and language else SOURCE,
        allow_registration=row.allow_registration,
        registration_check=row.registration_check,
        portal_name=portal_name if isinstance(portal_name, str) else "",
    )
