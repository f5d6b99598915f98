"""Notices: mails to those who run a portal, about what they have to know or do.

They go to the tenant's contact (the address for help, or else the one that answers go to) and to the
platform's operators, who are named in the settings. A tenant that names nobody is told through them alone; so
is what is about the platform's own (no tenant).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from router.storage.outbox import Mail
from router.storage.schema import tenants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.outbox import Outbox

_CONTACTS: Final = ("support_email", "reply_to")
_OPERATORS_LANGUAGE: Final = "en"


class Notices:
    """Tells a tenant's contact and the platform's operators (``operators``, an address or none)."""

    def __init__(self, outbox: Outbox, operators: str | None) -> None:
        self._outbox = outbox
        self._operators = operators

    async def tell(
        self,
        connection: AsyncConnection,
        tenant_id: str | None,
        kind: str,
        facts: Mapping[str, str | int],
        now: float,
        *,
        operators_too: bool = True,
    ) -> list[str]:
        """Queue one of the theme's mails for each of them, or for the contact alone; answer whom.

        Without a tenant they are the platform's operators alone. Call it after the transaction's other
        writes, as ``Outbox.post``, and ring the bell after the commit.
        """
        branding = await connection.scalar(select(tenants.c.branding).where(tenants.c.id == tenant_id)) or {}
        contact = next((branding[name] for name in _CONTACTS if branding.get(name)), None)
        told = {}
        if self._operators and operators_too:
            told[self._operators] = _OPERATORS_LANGUAGE
        if contact:
            told[str(contact)] = str(branding.get("language") or "")
        queued = []
        for recipient, language in told.items():
            if await self._outbox.post(connection, Mail(tenant_id, kind, recipient, language, facts), now):
                queued.append(recipient)
        return queued
