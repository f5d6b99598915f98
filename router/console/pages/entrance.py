"""The entrance: signing in and out, the one-time link with which a password is chosen, and the beginning."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from router.behind_edge import see_other
from router.console.pages.navigation import home
from router.console.pages.page import SIGN_IN, Fault, Faulty, Form, FormPage, Page, target_after
from router.console.pages.rendering import clear_cookie, set_cookie
from router.console.pages.signed_in import SESSION_COOKIE
from router.errors import Conflict, NotFound
from router.identity.sign_in import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from router.console.operator_sign_in import OperatorSignIn
    from router.console.pages.page import Call, Desk
    from router.console.pages.uploads import Sent
    from router.errors import RouterError

PASSWORD_FAULTS: Final = MappingProxyType(
    {
        "password_too_short": "password",
        "password_too_long": "password",
        "password_common": "password",
        "password_personal": "password",
    }
)
"""Where the faults of a new password are told, on every page that asks for one."""

AGAIN: Final = MappingProxyType({"again": "password a second time", "present": "present password"})
"""What the fields for a new password are called where they are missed."""


def check_typed_twice(sent: Sent) -> None:
    """Refuse a new password that was not typed the same way twice. Raises ``Faulty``."""
    if sent["password"] != sent["again"]:
        raise Faulty({"again": Fault("password_differs", "The two passwords are not the same.")})


class SignInPage(FormPage):
    """``/sign-in``: a wrong password is a 422, for a 401 would have to name an HTTP scheme."""

    path: ClassVar = SIGN_IN
    template: ClassVar = "sign_in.html"
    title: ClassVar = "Sign in"
    strangers: ClassVar = True
    carried: ClassVar = ("return",)
    typed: ClassVar = ("email",)
    required: ClassVar = ("email", "password")
    named: ClassVar = MappingProxyType({"email": "e-mail address"})
    told: ClassVar = MappingProxyType({"signed-out": "You are signed out."})

    def __init__(self, desk: Desk, sign_in: OperatorSignIn) -> None:
        super().__init__(desk)
        self._sign_in = sign_in

    async def opened(self, call: Call) -> web.Response:
        """Show the form to strangers only."""
        if call.signed_in is not None:
            return see_other(target_after(call.request.query.get("return", "")))
        return await super().opened(call)

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Sign in."""
        answer = await self._sign_in.attempt(
            sent["email"],
            sent["password"],
            address=call.visitor.address,
            user_agent=call.visitor.user_agent,
            previous=call.visitor.cookie(SESSION_COOKIE),
        )
        if isinstance(answer, Refused):
            raise self.refused(answer)
        response = see_other(target_after(sent["return"]))
        set_cookie(response, SESSION_COOKIE, answer)
        return response


class SignOutAction(FormPage):
    """``/sign-out``: a button in every page's head. Asked for by GET, it leads to the beginning."""

    path: ClassVar = "/sign-out"
    template: ClassVar = "refused.html"
    title: ClassVar = "You are still signed in"

    async def show(self, request: web.Request) -> web.Response:  # noqa: ARG002 - whoever asks
        """GET: nothing is done by that."""
        return see_other("/")

    async def form_facts(self, call: Call, form: Form) -> Mapping[str, object]:  # noqa: ARG002 - the call
        """Tell what went wrong."""
        return {"faults": list(form.faults.values()), "back": "/"}

    async def sent(self, call: Call, sent: Sent) -> web.Response:  # noqa: ARG002 - it has no fields
        """End the session."""
        await self._desk.sessions.revoke(call.me.operator.id, call.me.session.id)
        response = see_other(f"{SIGN_IN}?done=signed-out")
        clear_cookie(response, SESSION_COOKIE)
        return response


class WelcomePage(FormPage):
    """``/welcome?t=…``: a one-time link leads here. Looking changes nothing; sending the form uses it up."""

    path: ClassVar = "/welcome"
    template: ClassVar = "welcome.html"
    title: ClassVar = "Welcome"
    strangers: ClassVar = True
    carried: ClassVar = ("t",)
    typed: ClassVar = ("email",)
    required: ClassVar = ("password", "again")
    named: ClassVar = AGAIN
    said: ClassVar = MappingProxyType({**PASSWORD_FAULTS, "bad_email": "email"})

    def __init__(self, desk: Desk, sign_in: OperatorSignIn) -> None:
        super().__init__(desk)
        self._sign_in = sign_in

    async def form_facts(self, call: Call, form: Form) -> Mapping[str, object]:  # noqa: ARG002 - the call
        """Say whose link it is."""
        link = await self._sign_in.look(form.value("t"))
        return {"email": link.operator.email if link.operator is not None else "", "ended": None}

    async def page(
        self, call: Call, form: Form, facts: Mapping[str, object] = MappingProxyType({}), *, status: int = 200
    ) -> web.Response:
        """Show the form, or that the link is good no longer."""
        try:
            return await super().page(call, form, facts, status=status)
        except (NotFound, Conflict) as fault:
            return self._ended(call, fault)

    async def failed(self, call: Call, form: Form, fault: Faulty | RouterError) -> web.Response:
        """Show the form again, or that somebody was faster."""
        if isinstance(fault, NotFound | Conflict):
            return self._ended(call, fault)
        return await super().failed(call, form, fault)

    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Choose the password, and sign in with it."""
        check_typed_twice(sent)
        operator = await self._sign_in.welcome(sent["t"], sent["password"], email=sent["email"])
        token = await self._desk.sessions.start(
            operator,
            address=call.visitor.address,
            user_agent=call.visitor.user_agent,
            previous=call.visitor.cookie(SESSION_COOKIE),
        )
        response = see_other("/")
        set_cookie(response, SESSION_COOKIE, token)
        return response

    def _ended(self, call: Call, fault: NotFound | Conflict) -> web.Response:
        facts = {"form": Form(), "email": "", "ended": Fault(fault.code, fault.sentence)}
        status = 404 if isinstance(fault, NotFound) else 409
        return self.render(call, facts, status=status)


class HomePage(Page):
    """``/``: leads to where somebody begins."""

    path: ClassVar = "/"
    template: ClassVar = ""
    title: ClassVar = ""

    async def opened(self, call: Call) -> web.Response:
        """Lead on."""
        return see_other(home(call.principal, self._desk.pages.mounted))
