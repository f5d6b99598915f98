"""A page with a form, written once: what is asked for, what happens, and where each fault is said.

A page of its own says, in this order: ``template``; ``carried``, what comes along in its address and stands
hidden in the form; ``typed``, what is shown again after a fault (never a password); ``required``; ``said``,
which fault of the use case is told at which field; then :meth:`FormPage.sent`, what happens. What it does not
say is here: the form's token, the way to sign in first, the form again with its faults.

The form comes again with 422 (something is missing or not right), 403 (it was out of date), 429 (too often,
with Retry-After) or 503 (the database is away).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote, urlencode

import structlog

from router.behind_edge import RETRY_AFTER, SeeOther
from router.errors import RouterError, Unavailable
from router.forms import StaleForm
from router.portal.forms import local_target, read_form
from router.portal.visitor import VISITOR, session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

    from router.forms import Csrf
    from router.identity.session import Session
    from router.identity.sessions import Sessions
    from router.identity.sign_in import Refused
    from router.portal.pages import Pages
    from router.portal.visitor import Visitor

SIGN_IN: Final = "/-/sign-in"

PASSWORD_FAULTS: Final = MappingProxyType(
    {
        "password_missing": "password",
        "password_too_short": "password",
        "password_too_long": "password",
        "password_common": "password",
        "password_personal": "password",
    }
)
"""Where the faults of a new password are told, on every page that asks for one."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Form:
    """What a form shows: what was typed, and what is wrong with it.

    ``faults`` are codes by field, in the order of the page; ``form`` is the form as a whole. ``wait`` is in
    seconds, where waiting helps.
    """

    typed: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    wait: int = 0

    def value(self, name: str) -> str:
        """What stands in a field."""
        return self.typed.get(name, "")

    def fault(self, name: str = "form") -> str:
        """The code of what is wrong with a field, or empty."""
        return self.faults.get(name, "")

    @property
    def wait_minutes(self) -> int:
        """``wait`` as people are told it."""
        return max(1, -(-self.wait // 60))


class Faulty(Exception):  # noqa: N818 - what it is about
    """The form comes again, with these faults by field."""

    def __init__(self, faults: Mapping[str, str], *, status: int = 422, wait: int = 0) -> None:
        super().__init__(faults)
        self.status = status
        self.wait = wait
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Desk:
    """What every page works with."""

    pages: Pages
    csrf: Csrf
    sessions: Sessions
    clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class Call:
    """One visit to a page: whose, and with which session."""

    request: web.Request
    visitor: Visitor
    session: Session | None

    @property
    def tenant_id(self) -> str:
        """Whose portal it is."""
        return self.visitor.tenant.id


class FormPage(ABC):
    """What all pages with a form have in common."""

    path: ClassVar[str]
    template: ClassVar[str]
    carried: ClassVar[tuple[str, ...]] = ()
    typed: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[tuple[str, ...]] = ()
    said: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: web.Request) -> web.Response:
        """GET: the form. Nothing is changed by that: mail scanners and prefetches follow links."""
        call = await self._call(request)
        return await self.opened(call, self._form(request.query, self.carried))

    async def submit(self, request: web.Request) -> web.Response:
        """POST: what the page is for, or the form again with its faults."""
        stale = False
        try:
            fields = await read_form(request, request[VISITOR], self._desk.csrf)
        except StaleForm as fault:
            fields, stale = fault.fields, True
        call, form = await self._call(request), self._form(fields, (*self.carried, *self.typed))
        try:
            self._check(fields | dict(form.typed), stale=stale)
            return await self.sent(call, fields | dict(form.typed))
        except (Faulty, RouterError) as fault:
            return await self.failed(call, form, fault)

    async def opened(self, call: Call, form: Form) -> web.Response:
        """Answer a GET."""
        return await self.page(call, form)

    @abstractmethod
    async def sent(self, call: Call, fields: Mapping[str, str]) -> web.Response:
        """Do what the form is for; ``required`` fields are there. Raises ``Faulty``, ``RouterError``."""

    async def facts(self, call: Call, form: Form) -> Mapping[str, object]:  # noqa: ARG002 - for others
        """Collect what the template knows besides the form."""
        return {}

    async def failed(self, call: Call, form: Form, fault: Faulty | RouterError) -> web.Response:
        """Show the form again with what was wrong; raises what has no place in it."""
        faulty = self._faulty(call, fault)
        form = replace(form, faults=faulty.faults, wait=faulty.wait)
        response = await self.page(call, form, status=faulty.status)
        if faulty.wait:
            response.headers["Retry-After"] = str(faulty.wait)
        return response

    async def page(self, call: Call, form: Form, *, status: int = 200) -> web.Response:
        """Render the template with the form."""
        return self.render(call, form, await self.facts(call, form), status=status)

    def render(
        self, call: Call, form: Form, facts: Mapping[str, object], *, status: int = 200
    ) -> web.Response:
        """Render the template with the form and facts."""
        known, here = {"form": form, "action": self.path, **facts}, self.address(form)
        return self._desk.pages.show(
            call.request, call.visitor, self.template, known, here=here, status=status
        )

    def address(self, form: Form) -> str:
        """Say where the page can be opened as it is."""
        carried = urlencode({name: form.value(name) for name in self.carried if form.value(name)})
        return f"{self.path}?{carried}" if carried else self.path

    def refused(self, refused: Refused) -> Faulty:
        """Tell a use case's refusal where ``said`` wants it, or how long to wait."""
        if refused.retry_after is not None:
            return Faulty({"form": refused.code}, status=429, wait=refused.retry_after)
        return Faulty({self.said.get(refused.code, "form"): refused.code})

    def language(self, call: Call) -> str:
        """Say which language the visitor reads, for a mail."""
        return self._desk.pages.texts(call.request, call.visitor).code

    async def _call(self, request: web.Request) -> Call:
        visitor = request[VISITOR]
        session = None
        with suppress(Unavailable):  # without the database the form can still be shown, and says so when sent
            session = await session_of(visitor, self._desk.sessions, self._desk.clock())
        return Call(request, visitor, session)

    def _form(self, fields: Mapping[str, str], names: tuple[str, ...]) -> Form:
        typed = {name: fields.get(name, "") for name in names}
        typed |= {name: value.strip() for name, value in typed.items() if name in self.typed}
        if "return" in typed:
            typed["return"] = local_target(typed["return"] or "/")
        return Form(typed)

    def _check(self, fields: Mapping[str, str], *, stale: bool) -> None:
        if stale:
            raise Faulty({"form": "stale_form"}, status=403)
        missing = {name: f"{name}_missing" for name in self.required if not fields.get(name)}
        if missing:
            raise Faulty(missing)

    def _faulty(self, call: Call, fault: Faulty | RouterError) -> Faulty:
        if isinstance(fault, Faulty):
            return fault
        if isinstance(fault, Unavailable):
            cause = repr(fault.__cause__)
            _log.warning(
                "form_unavailable", path=self.path, tenant=call.tenant_id, code=fault.code, cause=cause
            )
            told = "busy" if fault.code == "busy" else "unavailable"
            return Faulty({"form": told}, status=503, wait=RETRY_AFTER)
        if fault.code not in self.said:
            raise fault
        return Faulty({self.said[fault.code]: fault.code})


class MemberPage(FormPage):
    """A page for who is signed in; others are sent to sign in first, and led back."""

    async def _call(self, request: web.Request) -> Call:
        visitor, now = request[VISITOR], self._desk.clock()
        session = await session_of(visitor, self._desk.sessions, now)
        if session is None:
            raise sign_in_first(request.raw_path if request.method in ("GET", "HEAD") else self.path)
        self._desk.sessions.touch(session, now)
        return Call(request, visitor, session)


def member_of(call: Call) -> Session:
    """Say whose session it is, on a page for who is signed in."""
    if call.session is None:
        raise sign_in_first("/")
    return call.session


def sign_in_first(return_to: str) -> SeeOther:
    """Send somebody to sign in, and back."""
    return SeeOther(f"{SIGN_IN}?return={quote(return_to, safe='/')}")
