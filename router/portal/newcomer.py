"""Coming in by the link in a mail: an invitation accepted, a registration finished.

A new address chooses its password and is signed in: the link has proved the mailbox. Where the address has an
account already, only the customer is added to it, and the account's own password is asked for as ever.
"""

from __future__ import annotations

from abc import abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from router.behind_edge import see_other
from router.identity.newcomers import Offer
from router.portal.customer import CUSTOMER
from router.portal.entering import enter
from router.portal.form_page import PASSWORD_FAULTS, SIGN_IN, Faulty
from router.portal.link_page import TOKEN, LinkPage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.identity.invitations import Invitations
    from router.identity.links import LinkFault
    from router.identity.registrations import Registrations
    from router.identity.user import User
    from router.portal.form_page import Call, Desk

_SAID = MappingProxyType({**PASSWORD_FAULTS, "user_disabled": "form", "changed_meanwhile": "form"})


class NewcomerPage(LinkPage):
    """What both have in common. Nothing but the link says for whom it is: other fields are not looked at."""

    template: ClassVar = "newcomer.html"
    said: ClassVar = _SAID

    @abstractmethod
    async def look(self, call: Call, token: str) -> Offer | LinkFault:
        """Say what the link offers, or why it opens nothing."""

    @abstractmethod
    async def admit(self, call: Call, token: str, password: str | None) -> User:
        """Use the link up."""

    async def sent(self, call: Call, fields: Mapping[str, str]) -> web.Response:
        """Let them in."""
        token, password = fields[TOKEN], fields.get("password") or None
        offer = await self.look(call, token)
        if isinstance(offer, Offer) and offer.needs_password and password is None:
            raise Faulty({"password": "password_missing"})
        user = await self.admit(call, token, password)
        if isinstance(offer, Offer) and offer.needs_password:
            return await enter(self._desk, call, user)
        if call.session is not None and call.session.user_id == user.id:
            return see_other(CUSTOMER)
        return see_other(f"{SIGN_IN}?done=joined")


class InvitationPage(NewcomerPage):
    """``/-/invitation``."""

    path: ClassVar = "/-/invitation"
    kind: ClassVar = "invitation"

    def __init__(self, desk: Desk, invitations: Invitations) -> None:
        super().__init__(desk)
        self._invitations = invitations

    async def look(self, call: Call, token: str) -> Offer | LinkFault:
        """Say whom the invitation is for."""
        return await self._invitations.look(call.tenant_id, token)

    async def admit(self, call: Call, token: str, password: str | None) -> User:
        """Accept it."""
        language = self.language(call)
        return await self._invitations.accept(call.tenant_id, token, password, language=language)


class ConfirmPage(NewcomerPage):
    """``/-/confirm``: the second half of a registration."""

    path: ClassVar = "/-/confirm"
    kind: ClassVar = "registration"
    said: ClassVar = MappingProxyType({**_SAID, "registration_closed": "form"})

    def __init__(self, desk: Desk, registrations: Registrations) -> None:
        super().__init__(desk)
        self._registrations = registrations

    async def look(self, call: Call, token: str) -> Offer | LinkFault:
        """Say which address is being registered."""
        return await self._registrations.look_confirmation(call.tenant_id, token)

    async def admit(self, call: Call, token: str, password: str | None) -> User:
        """Finish it."""
        language = self.language(call)
        return await self._registrations.finish(call.tenant_id, token, password, language=language)
