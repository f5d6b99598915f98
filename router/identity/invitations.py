"""Invitations: an operator, or the backend, asks an address to sign in for a customer.

1. :meth:`Invitations.invite` writes the invitation down and queues a mail with a one-time link.
2. :meth:`Invitations.look` says, for the page behind the link, whom it is for; it changes nothing.
3. :meth:`Invitations.accept` makes the user, with the password they chose; or, where the address is a user
   already, lets them act for the customer too, for which the link is proof enough and no password is asked.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final, assert_never

from sqlalchemy import insert, select, update

from router.errors import Conflict, NotFound
from router.identity.invitation import Invitation
from router.identity.letters import insist
from router.identity.links import LIVES
from router.identity.tenant_facts import tenant_facts
from router.identity.user_rows import lock_account
from router.identity.users import normalise_email, parse_customer
from router.storage.auditing import note
from router.storage.latest import latest_first
from router.storage.outbox import Mail
from router.storage.schema import invitations, links, new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.identity.invitation import InvitationStatus
    from router.identity.links import Link, LinkFault, Links
    from router.identity.newcomers import Newcomers, Offer
    from router.identity.tenant_facts import TenantFacts
    from router.identity.user import User
    from router.storage.changes import Bell
    from router.storage.database import Database
    from router.storage.outbox import Outbox


_ID: Final = re.compile(r"inv_[0-9a-f]{24}")


class Invitations:
    """The invitations of every tenant. Methods raise ``Unavailable`` when the database is away.

    ``actor`` is who to name in the audit.
    """

    def __init__(
        self,
        database: Database,
        bell: Bell,
        outbox: Outbox,
        links: Links,
        newcomers: Newcomers,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._bell = bell
        self._outbox = outbox
        self._links = links
        self._newcomers = newcomers
        self._clock = clock

    async def invite(
        self, tenant_id: str, email: str, customer: str, *, language: str | None = None, actor: str
    ) -> Invitation:
        """Invite an address; one that is invited for the same customer already gets the mail once more.

        ``language`` is the mail's and, if they accept, the user's; none means the tenant's. Raises
        ``BadInput`` (``bad_email``, ``bad_customer``), ``NotFound("no_such_tenant")``, and ``Conflict``
        with ``already_member`` or ``enough_mail``.
        """
        address, reference = normalise_email(email), parse_customer(customer)
        async with self._database.write() as connection:
            tenant = await tenant_facts(connection, tenant_id, lock=True)
            user = await lock_account(connection, tenant_id, address)
            if user is not None and reference in user.customers:
                raise Conflict("already_member", f"{address} signs in for {reference} already.")
            invitation = await self._open(connection, tenant_id, address, reference)
            if invitation is None:
                invitation = await self._insert(connection, tenant_id, address, reference, language, actor)
            sent = await self._send(connection, tenant, invitation, actor, "invitation.send")
        await self._bell.ring()
        return sent

    async def list(self, tenant_id: str) -> list[Invitation]:
        """List a tenant's invitations, the latest sent first."""
        latest = select(invitations).where(invitations.c.tenant_id == tenant_id)
        async with self._database.read() as connection:
            rows = await connection.execute(latest.order_by(invitations.c.sent_at.desc(), invitations.c.id))
            return [Invitation(**row) for row in rows.mappings()]

    async def page(
        self,
        tenant_id: str,
        *,
        status: InvitationStatus | None = None,
        after: tuple[int, str] | None = None,
        most: int = 50,
    ) -> Sequence[Invitation]:
        """List up to ``most`` of a tenant's invitations, the latest sent first, perhaps of one status.

        ``after`` is when the one was sent that the page before ended with, and its id.
        """
        where = [invitations.c.tenant_id == tenant_id]
        if status is not None:
            where.append(_stands(status, int(self._clock())))
        every, table = select(invitations).where(*where), invitations.c
        latest = latest_first(every, table.sent_at, table.id, after=after, most=most)
        async with self._database.read() as connection:
            return [Invitation(**row) for row in (await connection.execute(latest)).mappings()]

    async def resend(self, invitation_id: str, *, actor: str, tenant_id: str | None = None) -> Invitation:
        """Send the mail once more, with a new link and a new life; links sent before are void.

        With ``tenant_id``, another tenant's invitation does not exist. Raises
        ``NotFound("no_such_invitation")`` and ``Conflict`` with ``invitation_accepted``,
        ``invitation_revoked`` or ``enough_mail``.
        """
        async with self._database.write() as connection:
            invitation = await self._pending(connection, invitation_id, tenant_id)
            tenant = await tenant_facts(connection, invitation.tenant_id)
            sent = await self._send(connection, tenant, invitation, actor, "invitation.resend")
        await self._bell.ring()
        return sent

    async def revoke(self, invitation_id: str, *, actor: str, tenant_id: str | None = None) -> Invitation:
        """Withdraw an invitation: its links are void. Raises as :meth:`resend` does."""
        now = int(self._clock())
        async with self._database.write() as connection:
            invitation = await self._pending(connection, invitation_id, tenant_id)
            await self._links.void(connection, links.c.origin == invitation_id)
            await _write(connection, invitation_id, revoked_at=now)
            await note(
                connection,
                actor,
                "invitation.revoke",
                invitation_id,
                _told(invitation),
                now,
                tenant_id=invitation.tenant_id,
            )
        return replace(invitation, revoked_at=now)

    def status(self, invitation: Invitation) -> InvitationStatus:
        """Say how an invitation stands now."""
        return invitation.status(self._clock())

    async def look(self, tenant_id: str, token: str) -> Offer | LinkFault:
        """Say what the link of an invitation offers, or why it opens nothing. Changes nothing."""
        return await self._newcomers.look(tenant_id, token, "invitation")

    async def accept(
        self, tenant_id: str, token: str, password: str | None = None, *, language: str | None = None
    ) -> User:
        """Accept an invitation; the answer is the user, free to sign in.

        ``password`` is for a new user; who is one already keeps theirs, whatever was sent. ``language`` is
        the one to remember for a new user. Raises as ``Newcomers.admit`` does.
        """
        return await self._newcomers.admit(
            tenant_id, token, "invitation", password, language, also=self._accepted
        )

    async def _accepted(self, connection: AsyncConnection, link: Link) -> None:
        invitation_id, now = link.origin or "", int(self._clock())
        await _write(connection, invitation_id, accepted_at=now)
        detail = {"email": link.email, "customer": link.customer}
        await note(
            connection,
            f"link:{link.email}",
            "invitation.accept",
            invitation_id,
            detail,
            now,
            tenant_id=link.tenant_id,
        )

    async def _open(
        self, connection: AsyncConnection, tenant_id: str, email: str, customer: str
    ) -> Invitation | None:
        """Find one that waits for the same answer; an expired one is taken up again as well."""
        same = (invitations.c.tenant_id == tenant_id) & (invitations.c.email == email)
        waiting = invitations.c.accepted_at.is_(None) & invitations.c.revoked_at.is_(None)
        found = select(invitations).where(same, invitations.c.customer == customer, waiting)
        row = (await connection.execute(found.order_by(invitations.c.id).limit(1))).mappings().one_or_none()
        return None if row is None else Invitation(**row)

    async def _insert(
        self,
        connection: AsyncConnection,
        tenant_id: str,
        email: str,
        customer: str,
        language: str | None,
        actor: str,
    ) -> Invitation:
        now = int(self._clock())
        invitation = Invitation(
            id=new_id("inv"),
            tenant_id=tenant_id,
            email=email,
            customer=customer,
            language=language,
            invited_by=actor[:120],
            created_at=now,
            sent_at=now,
            expires_at=now + LIVES["invitation"],
        )
        await connection.execute(insert(invitations).values(asdict(invitation)))
        return invitation

    async def _pending(
        self, connection: AsyncConnection, invitation_id: str, tenant_id: str | None
    ) -> Invitation:
        found = select(invitations).where(invitations.c.id == invitation_id)
        row = None
        if _ID.fullmatch(invitation_id):  # PostgreSQL has no text for all that a path can hold
            row = (await connection.execute(found)).mappings().one_or_none()
        if row is None or tenant_id not in (None, row["tenant_id"]):
            raise NotFound("no_such_invitation", "There is no such invitation.")
        invitation = Invitation(**row)
        status = invitation.status(self._clock())
        if status in ("accepted", "revoked"):
            raise Conflict(f"invitation_{status}", f"The invitation was {status} already.")
        return invitation

    async def _send(
        self,
        connection: AsyncConnection,
        tenant: TenantFacts,
        invitation: Invitation,
        actor: str,
        action: str,
    ) -> Invitation:
        now, email, customer = int(self._clock()), invitation.email, invitation.customer
        token, link = await self._links.make(
            connection,
            "invitation",
            tenant_id=tenant.id,
            email=email,
            customer=customer,
            origin=invitation.id,
        )
        await _write(connection, invitation.id, sent_at=now, expires_at=link.expires_at)
        await note(connection, actor, action, invitation.id, _told(invitation), now, tenant_id=tenant.id)
        facts: dict[str, str | int] = {"token": token, "customer": customer, "expires_at": link.expires_at}
        mail = Mail(tenant.id, "invitation", email, invitation.language or tenant.language, facts)
        await insist(self._outbox, connection, mail, now)
        return replace(invitation, sent_at=now, expires_at=link.expires_at)


def _stands(status: InvitationStatus, now: int) -> ColumnElement[bool]:
    """Pick those that stand so, as ``Invitation.status`` says it."""
    accepted, revoked = invitations.c.accepted_at.is_not(None), invitations.c.revoked_at.is_not(None)
    expired = invitations.c.expires_at <= now
    match status:
        case "accepted":
            return accepted
        case "revoked":
            return revoked & ~accepted
        case "expired":
            return expired & ~accepted & ~revoked
        case "open":
            return ~expired & ~accepted & ~revoked
        case _:
            assert_never(status)


async def _write(connection: AsyncConnection, invitation_id: str, **values: int) -> None:
    """Write to a pending invitation; its links were written to before, so all lock in the same order."""
    pending = invitations.c.accepted_at.is_(None) & invitations.c.revoked_at.is_(None)
    this = (invitations.c.id == invitation_id) & pending
    if not (await connection.execute(update(invitations).where(this).values(values))).rowcount:
        raise Conflict("changed_meanwhile", "The invitation was accepted or withdrawn at the same moment.")


def _told(invitation: Invitation) -> dict[str, str | None]:
    return {"email": invitation.email, "customer": invitation.customer}
