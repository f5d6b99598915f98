"""``…/invoice-line`` and ``…/registration-links/{id}``: the line on an invoice, and taking its link back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web
from pydantic import BaseModel, Field

from router.console.api.bodies import Body, Customer, Email, Language, answered, read_body
from router.console.invoice_line import Way, as_html, as_text
from router.console.scopes import Scope
from router.hostname import port_suffix

if TYPE_CHECKING:
    from router.console.access import Access
    from router.identity.invoice_links import InvoiceLink, InvoiceLinks
    from router.languages.texts import Languages
    from router.tenants.tenant import Tenant


class InvoiceLineQuestion(Body):
    """For whom the invoice is. With ``email``, the link is good for that address alone."""

    customer: Customer
    email: Email | None = None
    language: Language | None = None


class InvoiceLine(BaseModel):
    """The line for the invoice's e-mail, ready to be put in, and what it is made of."""

    registration: bool = Field(description="Whether the tenant lets customers register.")
    portal_url: str
    registration_url: str | None = Field(description="The customer's own link; none without registration.")
    registration_link_id: str | None = Field(description="What to take the link back by.")
    expires_at: datetime | None
    text: str
    html: str
    language: str = Field(description="The language that the line is in.")


class InvoiceLinesEndpoint:
    """Answers billing systems. ``public_port`` is the HTTPS port as customers see it."""

    def __init__(
        self, access: Access, links: InvoiceLinks, languages: Languages, *, public_port: int
    ) -> None:
        self._access = access
        self._links = links
        self._languages = languages
        self._port = port_suffix(public_port)

    async def ask(self, request: web.Request) -> web.Response:
        """POST: the line. Asked again it is the same line, as long as its link is good for another month."""
        admitted = await self._access.admit(request, Scope.INVOICE_LINE)
        asked = await read_body(request, InvoiceLineQuestion)
        tenant = admitted.tenant
        link = None
        if tenant.allow_registration:
            link = await self._links.get(tenant.id, asked.customer, asked.email)
        language = self._languages.choose(accept=asked.language or "", tenant=tenant.branding.language)
        return answered(self._line(tenant, link, language))

    async def withdraw(self, request: web.Request) -> web.Response:
        """DELETE: the link opens nothing any more; again is no fault."""
        admitted = await self._access.admit(request, Scope.INVOICE_LINE)
        await self._links.revoke(admitted.tenant.id, request.match_info["id"], actor=admitted.actor)
        return web.Response(status=204)

    def _line(self, tenant: Tenant, link: InvoiceLink | None, language: str) -> InvoiceLine:
        texts = self._languages.texts(language)
        # The tenant's own hostname, whatever the call was sent to.
        portal = f"https://{tenant.hostname}{self._port}/"
        url = f"{portal}-/register?t={link.token}" if link is not None else None
        way = Way(tenant.branding.name, portal, url, link.expires_at if link is not None else 0)
        return InvoiceLine(
            registration=tenant.allow_registration,
            portal_url=portal,
            registration_url=url,
            registration_link_id=link.id if link is not None else None,
            expires_at=datetime.fromtimestamp(link.expires_at, UTC) if link is not None else None,
            text=as_text(way, texts),
            html=as_html(way, texts),
            language=texts.code,
        )
