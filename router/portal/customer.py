"""Choosing the customer to sign in for, and changing to another one later."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from router.behind_edge import see_other
from router.portal.form_page import MemberPage, member_of
from router.portal.forms import local_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.identity.users import Users
    from router.portal.form_page import Call, Desk, Form

CUSTOMER: Final = "/-/customer"

_FORGOTTEN: Final = '"cache"'  # what the backend let the browser keep was another customer's


class CustomerPage(MemberPage):
    """``/-/customer``."""

    path: ClassVar = CUSTOMER
    template: ClassVar = "customer.html"
    carried: ClassVar = ("return",)
    required: ClassVar = ("customer",)
    said: ClassVar = MappingProxyType({"not_your_customer": "form"})

    def __init__(self, desk: Desk, users: Users) -> None:
        super().__init__(desk)
        self._users = users

    async def facts(self, call: Call, form: Form) -> Mapping[str, object]:  # noqa: ARG002 - the user's matter
        """List the user's customers, and say which was chosen."""
        session = member_of(call)
        user = await self._users.find(session.user_id)
        customers = () if user is None else user.customers
        return {"email": session.email, "customers": customers, "chosen": session.customer}

    async def sent(self, call: Call, fields: Mapping[str, str]) -> web.Response:
        """Act for the customer from now on."""
        session = member_of(call)
        await self._desk.sessions.choose(session, fields["customer"])
        response = see_other(local_target(fields["return"]))
        if session.customer not in ("", fields["customer"]):
            response.headers["Clear-Site-Data"] = _FORGOTTEN
        return response
