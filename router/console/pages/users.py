"""Who signs in to a tenant's portal: its users, their customers and sessions, and who is invited."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlencode

from router.behind_edge import see_other
from router.console.api.lists import piece, place_of
from router.console.pages.page import Action, FormPage, Page
from router.console.scopes import Scope
from router.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from router.console.pages.page import Call, Desk
    from router.console.pages.uploads import Sent
    from router.identity.invitations import Invitations
    from router.identity.sessions import Sessions
    from router.identity.user import User
    from router.identity.users import Users

USERS: Final = "/tenants/{tenant}/users"
USER: Final = "/tenants/{tenant}/users/{user}"

_AT_ONCE: Final = 50
_INVITED: Final = 200
_MOST_SEARCHED: Final = 254
_TOLD: Final = MappingProxyType(
    {
        "invited": "The invitation is on its way.",
        "resent": "The invitation was sent once more; links sent before open nothing.",
        "revoked": "The invitation is withdrawn; its link opens nothing any more.",
        "disabled": "They cannot sign in any more, and are signed out everywhere.",
        "enabled": "They can sign in again.",
        "joined": "They act for one more customer.",
        "left": "They act for that customer no longer.",
        "ended": "That session has ended.",
        "signed-out": "They are signed out everywhere.",
    }
)


class UsersPage(Page):
    """``/tenants/{tenant}/users``: found by address or customer; and the invitations that are open."""

    path: ClassVar = USERS
    template: ClassVar = "users.html"
    title: ClassVar = "Users"
    section: ClassVar = "users"
    scope: ClassVar = Scope.USERS_READ
    told: ClassVar = _TOLD

    def __init__(self, desk: Desk, users: Users, invitations: Invitations) -> None:
        super().__init__(desk)
        self._users = users
        self._invitations = invitations

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Read a piece of the list."""
        query, here = call.request.query, call.address(self.path)
        search, after = query.get("search", "").strip()[:_MOST_SEARCHED], query.get("after", "")
        kept = {"search": search} if search else {}
        facts = {"search": search, "first": f"{here}?{urlencode(kept)}" if after else "", "after": after}
        try:
            rows, following = await self._read(call.admitted.tenant.id, search, after)
        except BadInput as fault:
            return facts | {"users": [], "fault": fault.sentence, "next": "", "invited": []}
        onward = f"{here}?{urlencode({**kept, 'after': following})}" if following else ""
        found = await self._invitations.page(call.admitted.tenant.id, status="open", most=_INVITED)
        return facts | {"users": rows, "fault": "", "next": onward, "invited": found}

    async def _read(self, tenant_id: str, search: str, after: str) -> tuple[Sequence[User], str | None]:
        place = str(place_of(after, str)[0]) if after else ""
        found = await self._users.search(tenant_id, search, disabled=None, after=place, most=_AT_ONCE + 1)
        return piece(found, _AT_ONCE, lambda user: (user.email,))


class InvitePage(FormPage):
    """``/tenants/{tenant}/invite``: who gets a mail with a link, for which customer."""

    path: ClassVar = "/tenants/{tenant}/invite"
    template: ClassVar = "invite.html"
    title: ClassVar = "Invite somebody"
    section: ClassVar = "users"
    scope: ClassVar = Scope.INVITATIONS
    typed: ClassVar = ("email", "customer")
    required: ClassVar = ("email", "customer")
    said: ClassVar = MappingProxyType(
        {"bad_email": "email", "already_member": "email", "enough_mail": "email", "bad_customer": "customer"}
    )

    def __init__(self, desk: Desk, invitations: Invitations) -> None:
        super().__init__(desk)
        self._invitations = invitations

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Invite, in the tenant's language."""
        await self._invitations.invite(
            call.admitted.tenant.id, sent["email"], sent["customer"], actor=call.actor
        )
        return self.done(call, "invited", USERS)


class InvitationAction(Action):
    """What is done to an invitation by a button of the list."""

    back: ClassVar = USERS
    change: ClassVar = Scope.INVITATIONS

    def __init__(self, desk: Desk, invitations: Invitations) -> None:
        super().__init__(desk)
        self._invitations = invitations


class ResendAction(InvitationAction):
    """Send the mail of an invitation once more."""

    path: ClassVar = "/tenants/{tenant}/invitations/{invitation}/resend"

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """Send it."""
        tenant_id = call.admitted.tenant.id
        await self._invitations.resend(call.path["invitation"], actor=call.actor, tenant_id=tenant_id)
        return self.done(call, "resent")


class RevokeAction(InvitationAction):
    """Withdraw an invitation."""

    path: ClassVar = "/tenants/{tenant}/invitations/{invitation}/revoke"

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """Withdraw it."""
        tenant_id = call.admitted.tenant.id
        await self._invitations.revoke(call.path["invitation"], actor=call.actor, tenant_id=tenant_id)
        return self.done(call, "revoked")


class UserPage(FormPage):
    """``/tenants/{tenant}/users/{user}``: for whom they act, and where they are signed in."""

    path: ClassVar = USER
    template: ClassVar = "user.html"
    title: ClassVar = "User"
    section: ClassVar = "users"
    scope: ClassVar = Scope.USERS_READ
    change: ClassVar = Scope.USERS_WRITE
    typed: ClassVar = ("customer",)
    required: ClassVar = ("customer",)
    said: ClassVar = MappingProxyType({"bad_customer": "customer"})
    told: ClassVar = _TOLD

    def __init__(self, desk: Desk, users: Users, sessions: Sessions) -> None:
        super().__init__(desk)
        self._users = users
        self._sessions = sessions

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Read the user, and where they are signed in."""
        user = await self._users.get(call.path["user"], tenant_id=call.admitted.tenant.id)
        return {"user": user, "sessions": await self._sessions.of_user(user.id)}

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Let them act for one more customer."""
        await self._users.add_customer(
            call.path["user"], sent["customer"], actor=call.actor, tenant_id=call.admitted.tenant.id
        )
        return self.done(call, "joined")


class UserAction(Action):
    """What is done to a user by a button of their page."""

    back: ClassVar = USER
    change: ClassVar = Scope.USERS_WRITE

    def __init__(self, desk: Desk, users: Users, sessions: Sessions) -> None:
        super().__init__(desk)
        self._users = users
        self._sessions = sessions


class DisableUserAction(UserAction):
    """Keep them out."""

    path: ClassVar = USER + "/disable"

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """Every session of theirs ends."""
        await self._users.disable(call.path["user"], actor=call.actor, tenant_id=call.admitted.tenant.id)
        return self.done(call, "disabled")


class EnableUserAction(UserAction):
    """Let them in again."""

    path: ClassVar = USER + "/enable"

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """Their password is the one they had."""
        await self._users.enable(call.path["user"], actor=call.actor, tenant_id=call.admitted.tenant.id)
        return self.done(call, "enabled")


class LeaveAction(UserAction):
    """Have them act for a customer no longer."""

    path: ClassVar = USER + "/leave"

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """The customer is named by a field, for references may hold anything."""
        await self._users.remove_customer(
            call.path["user"], sent["customer"], actor=call.actor, tenant_id=call.admitted.tenant.id
        )
        return self.done(call, "left")


class SignUserOutAction(UserAction):
    """End all of their sessions."""

    path: ClassVar = USER + "/sign-out"

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """They may sign in again."""
        user = await self._users.get(call.path["user"], tenant_id=call.admitted.tenant.id)
        await self._sessions.revoke_user(user.id, actor=call.actor)
        return self.done(call, "signed-out")


class EndUserSessionAction(UserAction):
    """End one of their sessions."""

    path: ClassVar = USER + "/sessions/{session}/end"

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """On every worker within a second."""
        user = await self._users.get(call.path["user"], tenant_id=call.admitted.tenant.id)
        await self._sessions.revoke_id(user.id, call.path["session"], actor=call.actor)
        return see_other(f"{call.address(USER)}?done=ended")


def user_pages(desk: Desk, users: Users, sessions: Sessions, invitations: Invitations) -> tuple[Page, ...]:
    """Make all pages about users."""
    actions = (DisableUserAction, EnableUserAction, LeaveAction, SignUserOutAction, EndUserSessionAction)
    return (
        UsersPage(desk, users, invitations),
        InvitePage(desk, invitations),
        ResendAction(desk, invitations),
        RevokeAction(desk, invitations),
        UserPage(desk, users, sessions),
        *(action(desk, users, sessions) for action in actions),
    )
