"""The sign-in page.

GET shows the form, or leads on whoever is signed in already. POST answers 303 with a session; or the form
again, what was typed kept. A wrong password is a 422: a 401 would have to name an HTTP authentication scheme
(RFC 9110 section 11.6.1), and a form has none.
"""

from __future__ import annotations

from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from router.behind_edge import see_other
from router.errors import Unavailable
from router.identity.session import COOKIE
from router.identity.sign_in import Refused
from router.languages.choice import LANGUAGE_COOKIE
from router.portal.entering import hold_session
from router.portal.form_page import SIGN_IN, FormPage
from router.portal.forms import local_target
from router.portal.languages import remember_language
from router.portal.pages import set_cookie

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.identity.sign_in import SignIn
    from router.identity.users import Users
    from router.portal.form_page import Call, Desk, Form

DONE: Final = frozenset({"password-changed", "joined", "email-changed"})
"""What a page that led here may have it say (``?done=``)."""


class SignInPage(FormPage):
    """``/-/sign-in``."""

    path: ClassVar = SIGN_IN
    template: ClassVar = "sign_in.html"
    carried: ClassVar = ("return",)
    typed: ClassVar = ("email", "remember")
    required: ClassVar = ("email", "password")
    said: ClassVar = MappingProxyType({"sign_in_refused": "form"})

    def __init__(self, desk: Desk, sign_in: SignIn, users: Users) -> None:
        super().__init__(desk)
        self._sign_in = sign_in
        self._users = users

    async def opened(self, call: Call, form: Form) -> web.Response:
        """Show the form to strangers only."""
        if call.session is not None:
            return see_other(form.value("return"))
        return await self.page(call, form)

    async def facts(self, call: Call, form: Form) -> Mapping[str, object]:
        """Say what was done before, if a page that led here says so."""
        done = call.request.query.get("done", "")
        return {"done": done if done in DONE and not form.faults else ""}

    async def sent(self, call: Call, fields: Mapping[str, str]) -> web.Response:
        """Sign in."""
        answer = await self._sign_in.attempt(
            call.tenant_id,
            fields["email"],
            fields["password"],
            call.visitor.address,
            call.visitor.user_agent,
            previous=call.visitor.cookie(COOKIE),
            remember=fields["remember"] == "yes",
        )
        if isinstance(answer, Refused):
            raise self.refused(answer)
        response = see_other(local_target(fields["return"]))
        set_cookie(response, COOKIE, answer)
        with suppress(Unavailable):  # signed in all the same
            await self._settle(call, response, answer)
        return response

    async def _settle(self, call: Call, response: web.Response, token: str) -> None:
        """Remember what is to be remembered: the session, and the language in a browser new to the user."""
        session = await self._desk.sessions.find(token)
        if session is None:
            return
        hold_session(response, token, session, self._desk.clock())
        if call.visitor.cookie(LANGUAGE_COOKIE) is None:
            user = await self._users.find(session.user_id)
            if user is not None and user.language:
                remember_language(response, user.language)
