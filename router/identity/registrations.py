"""Registration: customers come in by themselves, where their tenant allows it.

1. Either by the link on an invoice: :meth:`Registrations.invoice_link` makes it, bound to the tenant and the
   customer, and perhaps to an address; or by the customer's reference and an address that the tenant's
   backend is asked about (call_out.py). Where a tenant has nothing to ask, nobody comes in by reference: a
   reference is no secret.
2. Either way a mail is sent (:meth:`Registrations.begin_by_link`, :meth:`Registrations.begin_by_reference`),
   after the page was answered, and the page is the same whoever is known.
3. The mail's link leads to where the password is set (:meth:`Registrations.finish`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from router.errors import BadInput
from router.identity.invoice_links import InvoiceLink, mark_used
from router.identity.letters import insist
from router.identity.links import refusal
from router.identity.sign_in import Refused, too_many
from router.identity.tenant_facts import tenant_facts
from router.identity.throttle import Wait
from router.identity.user_rows import lock_account
from router.identity.users import normalise_email, parse_customer
from router.storage.auditing import note
from router.storage.outbox import Mail

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.identity.errands import Errands
    from router.identity.invoice_links import InvoiceLinks
    from router.identity.links import Link, LinkFault, Links
    from router.identity.newcomers import Newcomers, Offer
    from router.identity.tenant_facts import TenantFacts
    from router.identity.throttling import Throttle
    from router.identity.user import User
    from router.storage.changes import Bell
    from router.storage.database import Database
    from router.storage.outbox import Outbox


class Registrations:
    """Registration at every tenant. Methods raise ``Unavailable`` when the database is away, or ``busy``.

    ``confirm`` asks a tenant's backend whether a customer has an address; errands wait for it, no page does.
    """

    def __init__(  # noqa: PLR0913 - what it joins
        self,
        database: Database,
        bell: Bell,
        outbox: Outbox,
        links: Links,
        invoice_links: InvoiceLinks,
        newcomers: Newcomers,
        throttle: Throttle,
        errands: Errands,
        *,
        confirm: Callable[[TenantFacts, str, str], Awaitable[bool]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._bell = bell
        self._outbox = outbox
        self._links = links
        self._invoice_links = invoice_links
        self._newcomers = newcomers
        self._throttle = throttle
        self._errands = errands
        self._confirm = confirm
        self._clock = clock

    async def invoice_link(self, tenant_id: str, customer: str, email: str | None = None) -> InvoiceLink:
        """Answer the link for a customer's invoices, as ``InvoiceLinks.get`` does."""
        return await self._invoice_links.get(tenant_id, customer, email)

    async def look(self, tenant_id: str, token: str) -> InvoiceLink | LinkFault:
        """Say what an invoice's link is for, or why it opens nothing. Changes nothing."""
        return await self._invoice_links.look(tenant_id, token)

    async def begin_by_link(
        self, tenant_id: str, token: str, email: str, language: str, address: str
    ) -> Refused | None:
        """Have the mail sent that confirms an address, for the customer that an invoice's link is for.

        A link that is bound to an address leads to that one, whatever was typed. Raises
        ``BadInput`` (``bad_email``; ``registration_closed`` where the tenant does not allow it),
        ``NotFound("link_unknown")``, and ``Conflict`` with ``link_used``, ``link_expired``, ``link_voided``.
        """
        await self._check_open(tenant_id)
        found = await self.look(tenant_id, token)
        if not isinstance(found, InvoiceLink):
            raise refusal(found)
        account = found.email or normalise_email(email)
        now = self._clock()
        verdict = await self._throttle.ask("register", tenant_id, account, address, now, source=found.id)
        if isinstance(verdict, Wait):
            return too_many(verdict.seconds)

        async def send() -> None:
            if await self._throttle.may_mail(tenant_id, account, address, now):
                await self._send(tenant_id, found.customer, account, language, found.id)

        self._errands.start("registration", tenant_id, send)
        return None

    async def begin_by_reference(
        self, tenant_id: str, customer: str, email: str, language: str, address: str
    ) -> Refused | None:
        """Ask the tenant's backend whether the address is the customer's, and if so have the mail sent.

        None says no more than that it was asked for. Raises ``BadInput`` with ``bad_email``,
        ``bad_customer`` or ``registration_closed``.
        """
        account, reference = normalise_email(email), parse_customer(customer.strip(" "))
        tenant = await self._check_open(tenant_id)
        now = self._clock()
        verdict = await self._throttle.ask("register", tenant_id, account, address, now)
        if isinstance(verdict, Wait):
            return too_many(verdict.seconds)

        async def ask_and_send() -> None:
            may = await self._throttle.may_mail(tenant_id, account, address, now)
            if may and await self._confirm(tenant, reference, account):
                await self._send(tenant_id, reference, account, language, None)

        self._errands.start("registration", tenant_id, ask_and_send, waits=True)
        return None

    async def look_confirmation(self, tenant_id: str, token: str) -> Offer | LinkFault:
        """Say what the link in the mail offers, or why it opens nothing. Changes nothing."""
        return await self._newcomers.look(tenant_id, token, "registration")

    async def finish(
        self, tenant_id: str, token: str, password: str | None = None, *, language: str | None = None
    ) -> User:
        """Register; the answer is the user, free to sign in. The invoice's link, if any, is used up.

        Raises as ``Newcomers.admit`` does, and ``BadInput("registration_closed")``.
        """
        await self._check_open(tenant_id)
        return await self._newcomers.admit(
            tenant_id, token, "registration", password, language, also=self._finished
        )

    async def _check_open(self, tenant_id: str) -> TenantFacts:
        async with self._database.read() as connection:
            tenant = await tenant_facts(connection, tenant_id)
        if not tenant.allow_registration:
            raise BadInput("registration_closed", "Here people come in by invitation only.")
        return tenant

    async def _send(
        self, tenant_id: str, customer: str, email: str, language: str, origin: str | None
    ) -> None:
        now = self._clock()
        async with self._database.write() as connection:
            user = await lock_account(connection, tenant_id, email)
            if user is not None and (customer in user.customers or user.disabled):
                facts: dict[str, str | int] = {"at": int(now)}
                mail = Mail(tenant_id, "already-registered", email, user.language or language, facts)
            else:
                token, link = await self._links.make(
                    connection,
                    "registration",
                    tenant_id=tenant_id,
                    email=email,
                    customer=customer,
                    origin=origin,
                )
                facts = {"token": token, "customer": customer, "expires_at": link.expires_at}
                spoken = language if user is None else user.language or language
                mail = Mail(tenant_id, "registration", email, spoken, facts)
            await insist(self._outbox, connection, mail, now)
        await self._bell.ring()

    async def _finished(self, connection: AsyncConnection, link: Link) -> None:
        now = int(self._clock())
        if link.origin is not None:
            await mark_used(connection, link.origin, now)
        detail = {"email": link.email, "customer": link.customer, "by": link.origin}
        await note(
            connection,
            f"link:{link.email}",
            "user.register",
            link.tenant_id,
            detail,
            now,
            tenant_id=link.tenant_id,
        )
