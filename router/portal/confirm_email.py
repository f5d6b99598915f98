"""The link that confirms a new e-mail address."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from router.behind_edge import see_other
from router.portal.account import ACCOUNT
from router.portal.form_page import SIGN_IN
from router.portal.link_page import TOKEN, LinkPage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.identity.account import Account
    from router.identity.links import Link, LinkFault
    from router.portal.form_page import Call, Desk


class ConfirmEmailPage(LinkPage):
    """``/-/confirm-email``: in whatever browser the mail was opened, signed in or not."""

    path: ClassVar = "/-/confirm-email"
    template: ClassVar = "confirm_email.html"
    kind: ClassVar = "email"
    said: ClassVar = MappingProxyType({"email_taken": "form", "user_disabled": "form"})

    def __init__(self, desk: Desk, account: Account) -> None:
        super().__init__(desk)
        self._account = account

    async def look(self, call: Call, token: str) -> Link | LinkFault:
        """Say which address it is."""
        return await self._account.look_email(call.tenant_id, token)

    async def sent(self, call: Call, fields: Mapping[str, str]) -> web.Response:
        """Sign in with it from now on; sessions go on."""
        await self._account.confirm_email(call.tenant_id, fields[TOKEN], language=self.language(call))
        page = SIGN_IN if call.session is None else ACCOUNT
        return see_other(f"{page}?done=email-changed")
