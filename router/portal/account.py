"""The account: what is stored of whoever is signed in, and what they change of it themselves."""

from __future__ import annotations

from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from router.behind_edge import see_other
from router.errors import NotFound
from router.identity.sign_in import Refused
from router.portal.device import device_of
from router.portal.entering import hold_session
from router.portal.form_page import PASSWORD_FAULTS, MemberPage, member_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.identity.account import Account
    from router.identity.users import Users
    from router.portal.form_page import Call, Desk, Form

ACCOUNT: Final = "/-/account"

_DONE: Final = frozenset({"password", "email-asked", "email-changed", "session-ended", "sessions-ended"})
"""What a page that led here may have it say (``?done=``)."""


class AccountPage(MemberPage):
    """``/-/account``: the overview; its own form ends sessions on other devices."""

    path: ClassVar = ACCOUNT
    template: ClassVar = "account.html"

    def __init__(self, desk: Desk, users: Users) -> None:
        super().__init__(desk)
        self._users = users

    async def facts(self, call: Call, form: Form) -> Mapping[str, object]:
        """List the user's customers and sessions."""
        session = member_of(call)
        user = await self._users.find(session.user_id)
        sessions = await self._desk.sessions.of_user(session.user_id)
        done = call.request.query.get("done", "")
        return {
            "email": session.email,
            "customers": () if user is None else user.customers,
            "chosen": session.customer,
            "sessions": [(record, device_of(record.user_agent)) for record in sessions],
            "current": session.id,
            "now": int(self._desk.clock()),
            "done": done if done in _DONE and not form.faults else "",
        }

    async def sent(self, call: Call, fields: Mapping[str, str]) -> web.Response:
        """End the session that is named, or with ``others`` all but this one."""
        session, named = member_of(call), fields.get("session", "")
        if named == "others":
            await self._desk.sessions.revoke_others(session.user_id, session.key)
            return see_other(f"{ACCOUNT}?done=sessions-ended")
        if named != session.id:  # this one is ended by signing out, which clears up behind it
            with suppress(NotFound):  # it ended meanwhile, which is what was wanted
                await self._desk.sessions.revoke_id(session.user_id, named)
        return see_other(f"{ACCOUNT}?done=session-ended")


class PasswordPage(MemberPage):
    """``/-/account/password``: the sessions on other devices end, this one gets another token."""

    path: ClassVar = "/-/account/password"
    template: ClassVar = "password.html"
    required: ClassVar = ("current", "password")
    said: ClassVar = MappingProxyType(
        {**PASSWORD_FAULTS, "password_wrong": "current", "user_changed": "form"}
    )

    def __init__(self, desk: Desk, account: Account) -> None:
        super().__init__(desk)
        self._account = account

    async def facts(self, call: Call, form: Form) -> Mapping[str, object]:  # noqa: ARG002 - the user's matter
        """Say whose password it is, for password managers too."""
        return {"email": member_of(call).email}

    async def sent(self, call: Call, fields: Mapping[str, str]) -> web.Response:
        """Change it."""
        session = member_of(call)
        answer = await self._account.change_password(
            session,
            fields["current"],
            fields["password"],
            language=self.language(call),
            address=call.visitor.address,
        )
        if isinstance(answer, Refused):
            raise self.refused(answer)
        response = see_other(f"{ACCOUNT}?done=password")
        hold_session(response, answer, session, self._desk.clock())
        return response


class EmailPage(MemberPage):
    """``/-/account/email``: nothing changes before the new address was confirmed."""

    path: ClassVar = "/-/account/email"
    template: ClassVar = "email.html"
    typed: ClassVar = ("email",)
    required: ClassVar = ("email", "current")
    said: ClassVar = MappingProxyType(
        {
            "bad_email": "email",
            "email_same": "email",
            "password_wrong": "current",
            "user_changed": "form",
        }
    )

    def __init__(self, desk: Desk, account: Account) -> None:
        super().__init__(desk)
        self._account = account

    async def facts(self, call: Call, form: Form) -> Mapping[str, object]:  # noqa: ARG002 - the user's matter
        """Say which address it is now."""
        return {"email": member_of(call).email}

    async def sent(self, call: Call, fields: Mapping[str, str]) -> web.Response:
        """Have the new address asked, and the present one told."""
        refused = await self._account.ask_email_change(
            member_of(call),
            fields["current"],
            fields["email"],
            language=self.language(call),
            address=call.visitor.address,
        )
        if refused is not None:
            raise self.refused(refused)
        return see_other(f"{ACCOUNT}?done=email-asked")
