"""A forgotten password: ask for a link, and set another password by it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from router.behind_edge import see_other
from router.identity.session import COOKIE
from router.portal.form_page import PASSWORD_FAULTS, SIGN_IN, FormPage
from router.portal.link_page import TOKEN, LinkPage
from router.portal.mail_sent import mail_sent
from router.portal.pages import clear_cookie

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.identity.links import Link, LinkFault
    from router.identity.recovery import Recovery
    from router.portal.form_page import Call, Desk


class ForgotPage(FormPage):
    """``/-/forgot``: the same answer for every address."""

    path: ClassVar = "/-/forgot"
    template: ClassVar = "forgot.html"
    typed: ClassVar = ("email",)
    required: ClassVar = ("email",)
    said: ClassVar = MappingProxyType({"bad_email": "email"})

    def __init__(self, desk: Desk, recovery: Recovery) -> None:
        super().__init__(desk)
        self._recovery = recovery

    async def sent(self, call: Call, fields: Mapping[str, str]) -> web.Response:
        """Have the link sent, if there is whom to send it."""
        refused = await self._recovery.forgot(
            call.tenant_id, fields["email"], self.language(call), call.visitor.address
        )
        if refused is not None:
            raise self.refused(refused)
        return mail_sent("reset")


class ResetPage(LinkPage):
    """``/-/reset``: who has set the password signs in with it, so that a slip of the finger shows at once."""

    path: ClassVar = "/-/reset"
    template: ClassVar = "reset.html"
    kind: ClassVar = "reset"
    required: ClassVar = ("password",)
    said: ClassVar = MappingProxyType({**PASSWORD_FAULTS, "user_disabled": "form"})

    def __init__(self, desk: Desk, recovery: Recovery) -> None:
        super().__init__(desk)
        self._recovery = recovery

    async def look(self, call: Call, token: str) -> Link | LinkFault:
        """Say whose password it is."""
        return await self._recovery.look(call.tenant_id, token)

    async def sent(self, call: Call, fields: Mapping[str, str]) -> web.Response:
        """Set it; every session of the user ends, this browser's too."""
        await self._recovery.reset(
            call.tenant_id,
            fields[TOKEN],
            fields["password"],
            language=self.language(call),
            address=call.visitor.address,
        )
        response = see_other(f"{SIGN_IN}?done=password-changed")
        clear_cookie(response, COOKIE)
        return response
