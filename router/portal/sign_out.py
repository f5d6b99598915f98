"""Signing out: asked on GET, done on POST, so that neither a link nor a prefetch signs anybody out."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from router.behind_edge import see_other
from router.identity.session import COOKIE
from router.identity.sessions import key_of
from router.portal.form_page import FormPage
from router.portal.pages import clear_cookie
from router.portal.visitor import VISITOR, session_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.portal.form_page import Call, Desk, Form

SIGNED_OUT: Final = "/-/signed-out"

CLEARED: Final = '"cache", "storage"'
"""What a browser forgets of this origin at sign-out (W3C Clear Site Data; OWASP ASVS 5.0, 14.3.1): what the
backend left in its cache and its storage, for the next person at the same computer. Not ``"cookies"``: that
takes those of the whole registrable domain, sibling tenants and the company's own site included."""


class SignOutPage(FormPage):
    """``/-/sign-out``: here, or on every device."""

    path: ClassVar = "/-/sign-out"
    template: ClassVar = "sign_out.html"

    async def opened(self, call: Call, form: Form) -> web.Response:
        """Ask; who is not signed in has nothing to be asked."""
        return see_other(SIGNED_OUT) if call.session is None else await self.page(call, form)

    async def facts(self, call: Call, form: Form) -> Mapping[str, object]:  # noqa: ARG002 - shows what is known
        """Say who is signed in."""
        return {"email": call.session.email if call.session is not None else ""}

    async def sent(self, call: Call, fields: Mapping[str, str]) -> web.Response:
        """End the session on every worker; or, asked for everywhere, every session of the user."""
        token = call.visitor.cookie(COOKIE)
        if fields.get("where") == "everywhere" and call.session is not None:
            await self._desk.sessions.revoke_user(call.session.user_id)
        elif token is not None:
            await self._desk.sessions.revoke(key_of(token))
        response = see_other(SIGNED_OUT)
        response.headers["Clear-Site-Data"] = CLEARED
        clear_cookie(response, COOKIE)
        return response


class SignedOutPage:
    """``/-/signed-out``."""

    path: ClassVar = SIGNED_OUT

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: web.Request) -> web.Response:
        """GET; whoever is signed in all the same is sent on rather than told otherwise."""
        visitor = request[VISITOR]
        if await session_of(visitor, self._desk.sessions, self._desk.clock()) is not None:
            return see_other("/")
        return self._desk.pages.show(request, visitor, "signed_out.html")
