"""``…/users`` and their sessions: who signs in to a tenant's portal, for whom, and where they did."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from router.console.api.bodies import Body, Customer
from router.console.api.lists import Paging, piece, place_of
from router.console.api.operation import Call, Operation, Reply
from router.console.scopes import Scope

if TYPE_CHECKING:
    from router.identity.session_rows import SessionRecord
    from router.identity.sessions import Sessions
    from router.identity.user import User
    from router.identity.users import Users


class UserQuery(Paging):
    """Which users are listed."""

    search: str = Field("", max_length=254, description="Part of an address, or of a customer's reference.")
    disabled: bool | None = Field(None, description="Only those who are disabled, or are not.")


class CustomerWish(Body):
    """For which customer a user is to act."""

    customer: Customer


class PortalUser(BaseModel):
    """Somebody who signs in to a tenant's portal, for each of ``customers``."""

    id: str
    email: str
    customers: list[str]
    language: str | None = Field(description="The one they chose, if they ever did.")
    disabled: bool


class PortalUsers(BaseModel):
    """A piece of the list of users, by e-mail address."""

    items: list[PortalUser]
    next: str | None


class PortalSession(BaseModel):
    """Where a user is signed in; the id opens nothing."""

    id: str
    customer: str | None = Field(description="Which one they act for; none: not chosen yet.")
    address: str
    user_agent: str
    signed_in_at: datetime
    seen_at: datetime
    remembered: bool


class PortalSessions(BaseModel):
    """A piece of the list of a user's sessions, the latest used first."""

    items: list[PortalSession]
    next: str | None


class SessionsEnded(BaseModel):
    """How many sessions ended."""

    ended: int


class UsersEndpoint:
    """Tells of users, and changes them."""

    def __init__(self, users: Users) -> None:
        self._users = users

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        all_of_them, one = "/tenants/{tenant}/users", "/tenants/{tenant}/users/{id}"
        reading, writing = Scope.USERS_READ, Scope.USERS_WRITE
        unknown = ("no_such_user",)
        return (
            Operation(
                "GET",
                all_of_them,
                reading,
                self._list,
                "List a tenant's users, or search them",
                query=UserQuery,
                answer=PortalUsers,
                fails=("bad_cursor", "bad_search"),
            ),
            Operation("GET", one, reading, self._get, "Show a user", answer=PortalUser, fails=unknown),
            Operation(
                "POST",
                f"{one}/disable",
                writing,
                self._disable,
                "Keep a user out; every session of theirs ends",
                answer=PortalUser,
                fails=unknown,
            ),
            Operation(
                "POST",
                f"{one}/enable",
                writing,
                self._enable,
                "Let a disabled user sign in again",
                answer=PortalUser,
                fails=unknown,
            ),
            Operation(
                "POST",
                f"{one}/customers",
                writing,
                self._join,
                "Let a user act for one more customer",
                body=CustomerWish,
                answer=PortalUser,
                fails=unknown,
            ),
            Operation(
                "DELETE",
                f"{one}/customers/{{customer}}",
                writing,
                self._leave,
                "Let a user act for a customer no longer",
                fails=("no_such_user", "no_such_membership"),
            ),
        )

    async def _list(self, call: Call[None, UserQuery]) -> Reply:
        """By e-mail address; ``search`` is looked for anywhere in it, and in the references."""
        query = call.query
        after = place_of(query.after, str)[0] if query.after is not None else ""
        found = await self._users.search(
            call.admitted.tenant.id,
            query.search,
            disabled=query.disabled,
            after=str(after),
            most=query.limit + 1,
        )
        rows, following = piece(found, query.limit, lambda user: (user.email,))
        return Reply(PortalUsers(items=[_told(user) for user in rows], next=following))

    async def _get(self, call: Call[None, None]) -> Reply:
        return Reply(_told(await self._users.get(call.path["id"], tenant_id=call.admitted.tenant.id)))

    async def _disable(self, call: Call[None, None]) -> Reply:
        """Again is no change."""
        changed = await self._users.disable(
            call.path["id"], actor=call.actor, tenant_id=call.admitted.tenant.id
        )
        return Reply(_told(changed))

    async def _enable(self, call: Call[None, None]) -> Reply:
        """Again is no change."""
        changed = await self._users.enable(
            call.path["id"], actor=call.actor, tenant_id=call.admitted.tenant.id
        )
        return Reply(_told(changed))

    async def _join(self, call: Call[CustomerWish, None]) -> Reply:
        """One they act for already is no change."""
        changed = await self._users.add_customer(
            call.path["id"], call.body.customer, actor=call.actor, tenant_id=call.admitted.tenant.id
        )
        return Reply(_told(changed))

    async def _leave(self, call: Call[None, None]) -> Reply:
        """Those of their sessions that had chosen it have to choose another one."""
        await self._users.remove_customer(
            call.path["id"], call.path["customer"], actor=call.actor, tenant_id=call.admitted.tenant.id
        )
        return Reply()


class SessionsEndpoint:
    """Tells where users are signed in, and signs them out."""

    def __init__(self, users: Users, sessions: Sessions) -> None:
        self._users = users
        self._sessions = sessions

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        theirs = "/tenants/{tenant}/users/{id}/sessions"
        unknown = ("no_such_user",)
        return (
            Operation(
                "GET",
                theirs,
                Scope.USERS_READ,
                self._list,
                "List where a user is signed in",
                query=Paging,
                answer=PortalSessions,
                fails=("no_such_user", "bad_cursor"),
            ),
            Operation(
                "DELETE",
                theirs,
                Scope.USERS_WRITE,
                self._end_all,
                "Sign a user out everywhere",
                answer=SessionsEnded,
                fails=unknown,
            ),
            Operation(
                "DELETE",
                f"{theirs}/{{session}}",
                Scope.USERS_WRITE,
                self._end,
                "End one session of a user",
                fails=("no_such_user", "no_such_session"),
            ),
            Operation(
                "POST",
                "/tenants/{tenant}/sessions/end",
                Scope.USERS_WRITE,
                self._end_tenants,
                "Sign everybody out of a tenant's portal",
                answer=SessionsEnded,
            ),
        )

    async def _list(self, call: Call[None, Paging]) -> Reply:
        """The latest used first."""
        user = await self._user(call)
        held = await self._sessions.of_user(user.id)
        if call.query.after is not None:
            at, name = place_of(call.query.after, int, str)
            held = [each for each in held if (-each.seen_at, each.id) > (-int(at), name)]
        rows, following = piece(held, call.query.limit, lambda each: (each.seen_at, each.id))
        return Reply(PortalSessions(items=[_shown(each) for each in rows], next=following))

    async def _end(self, call: Call[None, None]) -> Reply:
        """On every worker within a second; what it has open is closed."""
        user = await self._user(call)
        await self._sessions.revoke_id(user.id, call.path["session"], actor=call.actor)
        return Reply()

    async def _end_all(self, call: Call[None, None]) -> Reply:
        """They may sign in again, unless they are disabled."""
        user = await self._user(call)
        return Reply(SessionsEnded(ended=await self._sessions.revoke_user(user.id, actor=call.actor)))

    async def _end_tenants(self, call: Call[None, None]) -> Reply:
        """On every worker within a second; they may sign in again."""
        tenant = call.admitted.tenant
        return Reply(SessionsEnded(ended=await self._sessions.revoke_tenant(tenant.id, actor=call.actor)))

    async def _user(self, call: Call[None, Any]) -> User:
        return await self._users.get(call.path["id"], tenant_id=call.admitted.tenant.id)


def _told(user: User) -> PortalUser:
    return PortalUser(
        id=user.id,
        email=user.email,
        customers=list(user.customers),
        language=user.language,
        disabled=user.disabled,
    )


def _shown(record: SessionRecord) -> PortalSession:
    return PortalSession(
        id=record.id,
        customer=record.customer or None,
        address=record.address,
        user_agent=record.user_agent,
        signed_in_at=datetime.fromtimestamp(record.signed_in_at, UTC),
        seen_at=datetime.fromtimestamp(record.seen_at, UTC),
        remembered=record.remembered,
    )
