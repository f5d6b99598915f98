"""Registration, its first half: say who you are, and a mail is on its way.

By the personal link on an invoice (``?t=``), or by customer reference and e-mail address where the tenant's
backend can be asked. The answer is the same whoever is known; what happens next is in the mail alone.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from router.errors import BadInput
from router.identity.invoice_links import InvoiceLink
from router.portal.form_page import Faulty
from router.portal.link_page import TOKEN, LinkPage
from router.portal.mail_sent import mail_sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.errors import RouterError
    from router.identity.links import LinkFault
    from router.identity.registrations import Registrations
    from router.portal.form_page import Call, Desk, Form


class RegisterPage(LinkPage):
    """``/-/register``."""

    path: ClassVar = "/-/register"
    template: ClassVar = "register.html"
    kind: ClassVar = "invoice"
    typed: ClassVar = ("customer", "email")
    said: ClassVar = MappingProxyType({"bad_email": "email", "bad_customer": "customer"})

    def __init__(self, desk: Desk, registrations: Registrations) -> None:
        super().__init__(desk)
        self._registrations = registrations

    async def look(self, call: Call, token: str) -> InvoiceLink | LinkFault:
        """Say which customer's invoice the link stood on."""
        return await self._registrations.look(call.tenant_id, token)

    async def page(self, call: Call, form: Form, *, status: int = 200) -> web.Response:
        """Show the form that fits: for the link, for a reference, or none where nobody can register."""
        tenant = call.visitor.tenant
        if not tenant.allow_registration:
            return self._no_entry(call, form)
        if form.value(TOKEN):
            return await super().page(call, form, status=status)
        facts = {"link": None, "by_reference": bool(tenant.registration_check)}
        return self.render(call, form, facts, status=status)

    async def sent(self, call: Call, fields: Mapping[str, str]) -> web.Response:
        """Have the mail sent."""
        token, email, language = fields[TOKEN], fields["email"], self.language(call)
        if token:
            link = await self.look(call, token)
            email = (link.email or email) if isinstance(link, InvoiceLink) else email
            _insist(email=email)
            refused = await self._registrations.begin_by_link(
                call.tenant_id, token, email, language, call.visitor.address
            )
        else:
            _insist(customer=fields["customer"], email=email)
            refused = await self._registrations.begin_by_reference(
                call.tenant_id, fields["customer"], email, language, call.visitor.address
            )
        if refused is not None:
            raise self.refused(refused)
        return mail_sent("registration")

    async def failed(self, call: Call, form: Form, fault: Faulty | RouterError) -> web.Response:
        """Say plainly where nobody may register."""
        if isinstance(fault, BadInput) and fault.code == "registration_closed":
            return self._no_entry(call, form)
        return await super().failed(call, form, fault)

    def _no_entry(self, call: Call, form: Form) -> web.Response:
        return self._desk.pages.show(
            call.request, call.visitor, "no_registration.html", here=self.address(form), status=403
        )


def _insist(**fields: str) -> None:
    missing = {name: f"{name}_missing" for name, value in fields.items() if not value}
    if missing:
        raise Faulty(missing)
