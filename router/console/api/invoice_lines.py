"""``…/invoice-line`` and ``…/registration-links/{id}``: the line on an invoice, and taking its link back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from router.console.api.bodies import Body, Customer, Email, Language
from router.console.api.operation import Call, Operation, Reply
from router.console.invoice_line import Way, as_html, as_text
from router.console.scopes import Scope
from router.hostname import port_suffix

if TYPE_CHECKING:
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

    def __init__(self, links: InvoiceLinks, languages: Languages, *, public_port: int) -> None:
        self._links = links
        self._languages = languages
        self._port = port_suffix(public_port)

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        return (
            Operation(
                "POST",
                "/tenants/{tenant}/invoice-line",
                Scope.INVOICE_LINE,
                self._ask,
                "Get the line of an invoice that tells a customer of the portal",
                body=InvoiceLineQuestion,
                answer=InvoiceLine,
            ),
            Operation(
                "DELETE",
                "/tenants/{tenant}/registration-links/{id}",
                Scope.INVOICE_LINE,
                self._withdraw,
                "Take the link of an invoice's line back",
                fails=("no_such_link",),
            ),
        )

    async def _ask(self, call: Call[InvoiceLineQuestion, None]) -> Reply:
        """Asked again it is the same line, as long as its link is good for another month."""
        asked, tenant = call.body, call.admitted.tenant
        link = None
        if tenant.allow_registration:
            link = await self._links.get(tenant.id, asked.customer, asked.email)
        language = self._languages.choose(accept=asked.language or "", tenant=tenant.branding.language)
        return Reply(self._line(tenant, link, language))

    async def _withdraw(self, call: Call[None, None]) -> Reply:
        """The link opens nothing any more; again is no fault."""
        await self._links.revoke(call.admitted.tenant.id, call.path["id"], actor=call.actor)
        return Reply()

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
