"""``…/invitations``: who was invited to sign in for a customer, by the backend or by an operator."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from router.console.api.bodies import Body, Customer, Email, Language
from router.console.api.lists import Paging, piece, place_of
from router.console.api.operation import Call, Operation, Reply
from router.console.scopes import Scope
from router.identity.invitation import InvitationStatus  # noqa: TC001 - pydantic reads it at run time

if TYPE_CHECKING:
    from router.identity.invitation import Invitation
    from router.identity.invitations import Invitations
    from router.languages.texts import Languages


class InvitationWish(Body):
    """Whom to invite, for which customer; without ``language``, in the tenant's."""

    email: Email
    customer: Customer
    language: Language | None = None


class InvitationQuery(Paging):
    """Which invitations are listed."""

    status: InvitationStatus | None = Field(None, description="Only those that stand so.")


class InvitationSent(BaseModel):
    """An invitation, and how it stands."""

    id: str
    email: str
    customer: str
    language: str | None
    status: str
    invited_by: str
    created_at: datetime
    sent_at: datetime = Field(description="When the latest mail of it was queued.")
    expires_at: datetime


class InvitationList(BaseModel):
    """A piece of the list of invitations, the latest sent first."""

    items: list[InvitationSent]
    next: str | None


class InvitationsEndpoint:
    """Invites people, and tells what became of it."""

    def __init__(self, invitations: Invitations, languages: Languages) -> None:
        self._invitations = invitations
        self._languages = languages

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        all_of_them, one = "/tenants/{tenant}/invitations", "/tenants/{tenant}/invitations/{id}"
        ended = (
            "no_such_invitation",
            "409 invitation_accepted",
            "409 invitation_revoked",
            "409 changed_meanwhile",
        )
        return (
            Operation(
                "POST",
                all_of_them,
                Scope.INVITATIONS,
                self._invite,
                "Invite somebody to sign in for a customer",
                body=InvitationWish,
                answer=InvitationSent,
                status=201,
                creates=True,
                fails=("409 already_member", "409 enough_mail"),
            ),
            Operation(
                "GET",
                all_of_them,
                Scope.USERS_READ,
                self._list,
                "List a tenant's invitations",
                query=InvitationQuery,
                answer=InvitationList,
                fails=("bad_cursor",),
            ),
            Operation(
                "POST",
                f"{one}/resend",
                Scope.INVITATIONS,
                self._resend,
                "Send the mail of an invitation once more",
                answer=InvitationSent,
                fails=(*ended, "409 enough_mail"),
            ),
            Operation(
                "POST",
                f"{one}/revoke",
                Scope.INVITATIONS,
                self._revoke,
                "Withdraw an invitation",
                answer=InvitationSent,
                fails=ended,
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
        return Reply(self._told(made))

    async def _list(self, call: Call[None, InvitationQuery]) -> Reply:
        """The latest sent first."""
        query, after = call.query, None
        if query.after is not None:
            at, name = place_of(query.after, int, str)
            after = int(at), str(name)
        tenant_id, most = call.admitted.tenant.id, query.limit + 1
        found = await self._invitations.page(tenant_id, status=query.status, after=after, most=most)
        rows, following = piece(found, query.limit, lambda each: (each.sent_at, each.id))
        return Reply(InvitationList(items=[self._told(each) for each in rows], next=following))

    async def _resend(self, call: Call[None, None]) -> Reply:
        """With a new link and a new life; links sent before are void."""
        sent = await self._invitations.resend(
            call.path["id"], actor=call.actor, tenant_id=call.admitted.tenant.id
        )
        return Reply(self._told(sent))

    async def _revoke(self, call: Call[None, None]) -> Reply:
        """Its links are void; who accepted it is a user and stays one."""
        withdrawn = await self._invitations.revoke(
            call.path["id"], actor=call.actor, tenant_id=call.admitted.tenant.id
        )
        return Reply(self._told(withdrawn))

    def _told(self, made: Invitation) -> InvitationSent:
        return _told(made, self._invitations.status(made))


def _told(made: Invitation, status: InvitationStatus) -> InvitationSent:
    return InvitationSent(
        id=made.id,
        email=made.email,
        customer=made.customer,
        language=made.language,
        status=status,
        invited_by=made.invited_by,
        created_at=_moment(made.created_at),
        sent_at=_moment(made.sent_at),
        expires_at=_moment(made.expires_at),
    )


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
