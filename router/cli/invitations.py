"""The invitations among ``tenant-router user``: invite, invitations, resend, withdraw."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from router.cli.output import AsJson, answer, show_list, when

if TYPE_CHECKING:
    from router.cli.stores import Stores
    from router.identity.invitation import Invitation
    from router.identity.invitations import Invitations

InvitationId = Annotated[str, Parameter(help="Which one, as `user invitations` names it.")]


async def invite(
    slug: Annotated[str, Parameter(help="The tenant's short name.")],
    email: Annotated[str, Parameter(help="The e-mail address to invite.")],
    /,
    *,
    customer: Annotated[str, Parameter(help="The reference of the customer to act for, such as C-1001.")],
    language: Annotated[
        str | None, Parameter(help="The mail's language, such as de; without it the tenant's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Invite somebody: a mail leads them to where they set their password.

    Who is invited for the same customer already gets the mail once more. Who signs in already, and accepts,
    acts for one more customer.

    For example:
        tenant-router user invite acme ada@example.com --customer C-1001
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - --help does without the database
    from router.languages.choice import parse_language  # noqa: PLC0415 - the same

    spoken = None if language is None else parse_language(language)
    async with opened() as stores:
        tenant = (await stores.registry.get(slug)).tenant
        invitation = await _invitations(stores).invite(
            tenant.id, email, customer, language=spoken, actor=actor()
        )
        _answer(invitation, stores, f"{invitation.email} was invited.", as_json=as_json)


async def invitations(
    slug: Annotated[str, Parameter(help="The tenant's short name.")], /, *, as_json: AsJson = False
) -> None:
    """List a tenant's invitations and how they stand: open, accepted, expired or revoked.

    For example:
        tenant-router user invitations acme
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see invite

    async with opened() as stores:
        tenant = (await stores.registry.get(slug)).tenant
        rows = [_described(each) for each in await _invitations(stores).list(tenant.id)]
    columns = ("id", "email", "customer", "status", "sent_at", "expires_at", "invited_by")
    show_list(rows, columns, as_json=as_json, none="Nobody was invited yet: tenant-router user invite --help")


async def resend(invitation_id: InvitationId, /, *, as_json: AsJson = False) -> None:
    """Send an invitation's mail once more, with a new link; the link before opens nothing then.

    For example:
        tenant-router user resend inv_3f9c1b2a4d5e6f7081920a1b
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see invite

    async with opened() as stores:
        invitation = await _invitations(stores).resend(invitation_id, actor=actor())
        _answer(invitation, stores, f"{invitation.email} was invited once more.", as_json=as_json)


async def withdraw(invitation_id: InvitationId, /, *, as_json: AsJson = False) -> None:
    """Withdraw an invitation: its link opens nothing any more.

    For example:
        tenant-router user withdraw inv_3f9c1b2a4d5e6f7081920a1b
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see invite

    async with opened() as stores:
        invitation = await _invitations(stores).revoke(invitation_id, actor=actor())
    answer(_described(invitation), f"The invitation of {invitation.email} was withdrawn.", as_json=as_json)


def _invitations(stores: Stores) -> Invitations:
    from router.identity.invitations import Invitations  # noqa: PLC0415 - see invite
    from router.identity.links import Links  # noqa: PLC0415 - the same
    from router.identity.newcomers import Newcomers  # noqa: PLC0415 - the same
    from router.storage.outbox import Outbox  # noqa: PLC0415 - the same

    database, bell = stores.database, stores.bell
    links = Links(database)
    newcomers = Newcomers(database, bell, links, stores.passwords)
    return Invitations(database, bell, Outbox(stores.sealer), links, newcomers)


def _answer(invitation: Invitation, stores: Stores, said: str, *, as_json: bool) -> None:
    steps = [f"The link in the mail is good until {when(invitation.expires_at)}."]
    if stores.settings.smtp_url is None:
        steps.append("The mail waits: the setting ROUTER_SMTP_URL says by which server to send it.")
    answer(_described(invitation), said, *steps, as_json=as_json)


def _described(invitation: Invitation) -> dict[str, object]:
    return {
        "id": invitation.id,
        "email": invitation.email,
        "customer": invitation.customer,
        "language": invitation.language,
        "status": invitation.status(time.time()),
        "invited_by": invitation.invited_by,
        "created_at": when(invitation.created_at),
        "sent_at": when(invitation.sent_at),
        "expires_at": when(invitation.expires_at),
    }
