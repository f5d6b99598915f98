"""The account of whoever is signed in: their password, and where they are signed in."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from router.console.pages.entrance import AGAIN, PASSWORD_FAULTS, check_typed_twice
from router.console.pages.navigation import ACCOUNT
from router.console.pages.page import Action, FormPage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.console.operator_sign_in import OperatorSignIn
    from router.console.pages.page import Call, Desk
    from router.console.pages.uploads import Sent


class AccountPage(FormPage):
    """``/account``."""

    path: ClassVar = ACCOUNT
    template: ClassVar = "account.html"
    title: ClassVar = "Your account"
    required: ClassVar = ("present", "password", "again")
    named: ClassVar = AGAIN
    said: ClassVar = MappingProxyType({**PASSWORD_FAULTS, "password_wrong": "present"})
    told: ClassVar = MappingProxyType(
        {
            "password-changed": "Your password is changed. Your other sessions have ended.",
            "session-ended": "That session has ended.",
            "others-ended": "All your other sessions have ended.",
        }
    )

    def __init__(self, desk: Desk, sign_in: OperatorSignIn) -> None:
        super().__init__(desk)
        self._sign_in = sign_in

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Say where they are signed in."""
        return {"sessions": await self._desk.sessions.of_operator(call.me.operator.id)}

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Change the password."""
        check_typed_twice(sent)
        refused = await self._sign_in.change_password(
            call.me.operator,
            call.me.session,
            sent["present"],
            sent["password"],
            address=call.visitor.address,
        )
        if refused is not None:
            raise self.refused(refused)
        return self.done(call, "password-changed")


class EndSessionAction(Action):
    """End one of one's own sessions."""

    path: ClassVar = ACCOUNT + "/sessions/{session}/end"
    back: ClassVar = ACCOUNT

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """End it."""
        await self._desk.sessions.revoke(call.me.operator.id, call.path["session"])
        return self.done(call, "session-ended")


class EndOtherSessionsAction(Action):
    """End all of one's own sessions but this one."""

    path: ClassVar = ACCOUNT + "/sessions/end"
    back: ClassVar = ACCOUNT

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """End them."""
        await self._desk.sessions.revoke_others(call.me.operator.id, call.me.session.key)
        return self.done(call, "others-ended")
