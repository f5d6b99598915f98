"""``…/invitations``: the backend invites somebody to sign in for a customer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel

from router.console.api.bodies import Body, Customer, Email, Language
from router.console.api.operation import Call, Operation, Reply
from router.console.scopes import Scope

if TYPE_CHECKING:
    from router.identity.invitation import Invitation
    from router.identity.invitations import Invitations
    from router.languages.texts import Languages


class InvitationWish(Body):
    """Whom to invite, for which customer; without ``language``, in the tenant's."""

    email: Email
    customer: Customer
    language: Language | None = None


class InvitationSent(BaseModel):
    """The invitation that the mail was queued for."""

    id: str
    email: str
    customer: str
    language: str | None
    status: str
    created_at: datetime
    expires_at: datetime


class InvitationsEndpoint:
    """Invites people."""

    def __init__(self, invitations: Invitations, languages: Languages) -> None:
        self._invitations = invitations
        self._languages = languages

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        return (
            Operation(
                "POST",
                "/tenants/{tenant}/invitations",
                Scope.INVITATIONS,
                self._invite,
                "Invite somebody to sign in for a customer",
                body=InvitationWish,
                answer=InvitationSent,
                status=201,
                creates=True,
            ),
        )

    async def _invite(self, call: Call[InvitationWish, None]) -> Reply:
        """Invite. Who is invited already for the same customer gets the mail once more."""
        wish, tenant = call.body, call.admitted.tenant
        language = wish.language and self._languages.choose(
            accept=wish.language, tenant=tenant.branding.language
        )
        made = await self._invitations.invite(
            tenant.id, wish.email, wish.customer, language=language, actor=call.actor
        )
        return Reply(_sent(made))


def _sent(made: Invitation) -> InvitationSent:
    return InvitationSent(
        id=made.id,
        email=made.email,
        customer=made.customer,
        language=made.language,
        status=made.status(made.sent_at),
        created_at=_moment(made.created_at),
        expires_at=_moment(made.expires_at),
    )


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
