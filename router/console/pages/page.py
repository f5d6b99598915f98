"""What all pages have in common: who may see them, their forms, and how each fault is told.

:class:`Page` shows something; :class:`FormPage` has a form that is sent to its own address; :class:`Action`
is what a button does, sent to an address of its own. See the package's docstring for how one is written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote, urlencode

import structlog
from aiohttp import web

from router.behind_edge import RETRY_AFTER, SeeOther, see_other
from router.console.access import check, check_names, check_platform
from router.console.pages.rendering import csrf_place
from router.console.pages.signed_in import CSRF_COOKIE, VISITOR, find_signed_in
from router.console.pages.uploads import Sent, read_sent
from router.errors import BadInput, Conflict, RouterError, Unavailable
from router.forms import CSRF_FIELD, MAX_FORM, check_origin, local_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.behind_edge import Caller
    from router.console.access import Access, Admitted
    from router.console.operator_sessions import OperatorSessions
    from router.console.pages.rendering import Pages
    from router.console.pages.signed_in import SignedIn
    from router.console.principal import Principal
    from router.console.scopes import Scope
    from router.forms import Csrf
    from router.identity.sign_in import Refused

SIGN_IN: Final = "/sign-in"
MAX_FIELDS: Final = 200

_CIRCULAR: Final = (SIGN_IN, "/sign-out", "/welcome")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a field, or with the form as a whole."""

    code: str
    sentence: str
    beside: tuple[Fault, ...] = ()
    """What else is wrong with the same field, such as with another of its lines."""


@dataclass(frozen=True, slots=True)
class Form:
    """What a form shows: what was typed, and what is wrong with it.

    ``faults`` are by field, in the order of the page; ``form`` is the form as a whole. ``wait`` is in
    seconds, where waiting helps.
    """

    typed: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, Fault] = field(default_factory=dict)
    wait: int = 0

    def value(self, name: str) -> str:
        """What stands in a field."""
        return self.typed.get(name, "")

    def fault(self, name: str = "form") -> Fault | None:
        """What is wrong with a field."""
        return self.faults.get(name)


class Faulty(Exception):  # noqa: N818 - what it is about
    """The form comes again, with these faults by field."""

    def __init__(self, faults: Mapping[str, Fault], *, status: int = 422, wait: int = 0) -> None:
        super().__init__(faults)
        self.faults = faults
        self.status = status
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Desk:
    """What every page works with."""

    pages: Pages
    csrf: Csrf
    sessions: OperatorSessions
    access: Access


@dataclass(frozen=True, slots=True)
class Call:
    """One visit to a page: whose, and about which tenant, where its path names one."""

    request: web.Request
    visitor: Caller
    signed_in: SignedIn | None
    about: Admitted | None = None

    @property
    def me(self) -> SignedIn:
        """Who is signed in, on a page that nobody else sees."""
        assert self.signed_in is not None  # noqa: S101 - the page is for strangers: our mistake
        return self.signed_in

    @property
    def principal(self) -> Principal:
        """What they may do."""
        return self.me.principal

    @property
    def actor(self) -> str:
        """Whom to name in the audit."""
        return self.principal.actor

    @property
    def admitted(self) -> Admitted:
        """The tenant in the path, which they were admitted to."""
        assert self.about is not None  # noqa: S101 - the page's path names no tenant: our mistake
        return self.about

    @property
    def within(self) -> str | None:
        """Whose things are meant where the platform has such ones too: the tenant's in the path, or all."""
        return self.about.tenant.id if self.about is not None else None

    @property
    def path(self) -> Mapping[str, str]:
        """What stands in the places of the path."""
        return self.request.match_info

    def address(self, path: str) -> str:
        """Fill a path's places as this visit's path has them: ``/tenants/{tenant}/users``."""
        return path.format_map({name: quote(value, safe="") for name, value in self.path.items()})


class Page(ABC):
    """A page that shows something to who is signed in and may see it.

    ``scope`` is what it takes (none: nothing but to be signed in); ``platform`` is for what concerns the
    platform itself; where the path names a ``{tenant}``, it is theirs. ``strangers`` may see a page without
    being signed in. ``told`` are the sentences shown after something was done (``?done=code``).
    """

    path: ClassVar[str]
    template: ClassVar[str]
    title: ClassVar[str]
    section: ClassVar[str] = ""
    scope: ClassVar[Scope | None] = None
    platform: ClassVar[bool] = False
    strangers: ClassVar[bool] = False
    told: ClassVar[Mapping[str, str]] = _NOTHING

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        """Say which call is whose."""
        return [web.get(self.path, self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """GET: nothing is changed by that."""
        call = await self._call(request, self.scope)
        return await self.opened(call)

    async def opened(self, call: Call) -> web.Response:
        """Answer a GET."""
        return self.render(call, await self.facts(call))

    async def facts(self, call: Call) -> Mapping[str, object]:  # noqa: ARG002 - for others
        """Collect what the template knows."""
        return {}

    def render(
        self, call: Call, facts: Mapping[str, object], *, template: str = "", status: int = 200
    ) -> web.Response:
        """Render the page's template, or another, in the frame."""
        told = self.told.get(call.request.query.get("done", ""), "") if call.request.method == "GET" else ""
        known = {
            "title": self.title,
            "section": self.section,
            "notice": told,
            "here": call.address(self.path),
            **facts,
        }
        pages = self._desk.pages
        return pages.show(call.request, template or self.template, known, about=call.about, status=status)

    async def _call(self, request: web.Request, scope: Scope | None) -> Call:
        visitor = request[VISITOR]
        signed_in = await find_signed_in(request, self._desk.sessions)
        if signed_in is None:
            if self.strangers:
                return Call(request, visitor, None)
            raise sign_in_first(self._comes_back(request))
        check_names(request.match_info.values())
        return Call(request, visitor, signed_in, await self._admit(request, signed_in.principal, scope))

    async def _admit(
        self, request: web.Request, principal: Principal, scope: Scope | None
    ) -> Admitted | None:
        if scope is None:
            return None
        slug = request.match_info.get("tenant")
        if slug is not None:
            return await self._desk.access.admit(principal, scope, slug)
        (check_platform if self.platform else check)(principal, scope)
        return None

    def _comes_back(self, request: web.Request) -> str:
        """Say where whoever has to sign in first is led afterwards."""
        return request.raw_path if request.method in ("GET", "HEAD") else request.rel_url.raw_path


class FormPage(Page):
    """A page with a form that is sent to its own address.

    ``change`` is the scope that it takes to send it (else ``scope``). ``carried`` comes along in the address
    and stands hidden in the form; ``typed`` is shown again after a fault (never a password); ``files`` are
    the fields that bring some; a ``required`` field that is missed is called as ``named`` says, else by its
    own name; ``said`` is which fault of the use case is told at which field, beside those that know their
    field. ``octets`` is how much may be sent, files included.
    """

    change: ClassVar[Scope | None] = None
    carried: ClassVar[tuple[str, ...]] = ()
    typed: ClassVar[tuple[str, ...]] = ()
    files: ClassVar[tuple[str, ...]] = ()
    required: ClassVar[tuple[str, ...]] = ()
    named: ClassVar[Mapping[str, str]] = _NOTHING
    said: ClassVar[Mapping[str, str]] = _NOTHING
    octets: ClassVar[int] = MAX_FORM

    def routes(self) -> list[web.RouteDef]:
        """Say which call is whose."""
        return [web.get(self.path, self.show), web.post(self.path, self.submit)]

    async def opened(self, call: Call) -> web.Response:
        """Answer a GET with the form as :meth:`filled` has it."""
        carried = {name: call.request.query.get(name, "") for name in self.carried}
        return await self.page(call, Form(carried | dict(await self.filled(call))))

    async def filled(self, call: Call) -> Mapping[str, str]:  # noqa: ARG002 - for others
        """Say what stands in the fields at first."""
        return {}

    @abstractmethod
    async def sent(self, call: Call, sent: Sent) -> web.Response:
        """Do what the form is for; ``required`` fields are there. Raises ``Faulty``, ``RouterError``."""

    async def form_facts(self, call: Call, form: Form) -> Mapping[str, object]:  # noqa: ARG002 - for others
        """Collect what the template knows besides the form."""
        return await self.facts(call)

    async def submit(self, request: web.Request) -> web.Response:
        """POST: what the form is for, or the form again with its faults."""
        check_origin(request, request[VISITOR].origins)
        call = await self._call(request, self.change or self.scope)
        sent = await read_sent(request, octets=self.octets, fields=MAX_FIELDS)
        form = Form({name: sent[name].strip() for name in (*self.carried, *self.typed)})
        try:
            self._check(call, sent)
            trimmed = Sent({**sent.fields, **form.typed}, sent.files)
            return await self.sent(call, trimmed)
        except (Faulty, RouterError) as fault:
            return await self.failed(call, form, fault)

    async def page(
        self, call: Call, form: Form, facts: Mapping[str, object] = _NOTHING, *, status: int = 200
    ) -> web.Response:
        """Render the template with a form; ``facts`` come on top of :meth:`form_facts`."""
        known = {"form": form, **await self.form_facts(call, form), **facts}
        response = self.render(call, known, status=status)
        if form.wait:
            response.headers["Retry-After"] = str(form.wait)
        return response

    def done(self, call: Call, code: str, path: str = "") -> web.Response:
        """Lead on by GET to this page, or to ``path``, which has a sentence for ``code`` in its ``told``."""
        return see_other(f"{call.address(path or self.path)}?{urlencode({'done': code})}")

    async def failed(self, call: Call, form: Form, fault: Faulty | RouterError) -> web.Response:
        """Show the form again with what was wrong; raises what has no place in it."""
        match fault:
            case Faulty():
                faulty = fault
            case BadInput():
                faulty = Faulty(self.faults_in(fault))
            case Conflict() if fault.code in self.said:
                faulty = Faulty({self._field(fault): _told(fault)}, status=409)
            case Conflict():
                return self.conflict(call, form, fault)
            case Unavailable():
                cause = repr(fault.__cause__)
                _log.warning("form_unavailable", path=self.path, code=fault.code, cause=cause)
                faulty = Faulty({"form": _told(fault)}, status=503, wait=RETRY_AFTER)
            case _:
                raise fault
        form = replace(form, faults=faulty.faults, wait=faulty.wait)
        return await self.page(call, form, status=faulty.status)

    def faults_in(self, fault: BadInput) -> dict[str, Fault]:
        """Tell every fault of a use case at its field."""
        told: dict[str, Fault] = {}
        for each in fault.faults:
            name, new = self._field(each), _told(each)
            before = told.get(name)
            told[name] = replace(before, beside=(*before.beside, new)) if before is not None else new
        return told

    def conflict(self, call: Call, form: Form, fault: Conflict) -> web.Response:
        """Tell that what is stored says otherwise by now: what was typed is shown, and nothing was saved."""
        typed = {name: value for name, value in form.typed.items() if value and name in self.typed}
        facts = {"fault": _told(fault), "typed": typed, "back": call.address(self.path)}
        return self.render(call, facts, template="conflict.html", status=409)

    def refused(self, refused: Refused) -> Faulty:
        """Tell a use case's refusal where ``said`` wants it, or how long to wait."""
        fault = Fault(refused.code, refused.sentence)
        if refused.retry_after is not None:
            return Faulty({"form": fault}, status=429, wait=refused.retry_after)
        return Faulty({self.said.get(refused.code, "form"): fault})

    def _check(self, call: Call, sent: Sent) -> None:
        token, cookie = sent[CSRF_FIELD], call.visitor.cookie(CSRF_COOKIE)
        if not self._desk.csrf.matches(csrf_place(call.signed_in), cookie, token):
            stale = Fault("stale_form", "The form was out of date. Send it again.")
            raise Faulty({"form": stale}, status=403)
        missing = [name for name in self.required if not sent[name].strip() and name not in sent.files]
        if missing:
            raise Faulty({name: self._missing(name) for name in missing})

    def _missing(self, name: str) -> Fault:
        words = self.named.get(name, name.replace("_", " "))
        return Fault(f"{name}_missing", f"Fill in the {words}.")

    def _field(self, fault: RouterError) -> str:
        if fault.code in self.said:
            return self.said[fault.code]
        # A list's item ("upstreams/0") is told at the list, a part of something ("branding/logo") by itself.
        steps = (fault.field or "form").split("/")
        return next((step for step in steps if step in self.typed or step in self.files), steps[0])


class Action(FormPage):
    """What a button does: it has an address of its own and no page, and leads back to ``back``.

    What goes wrong with it is told on a page of its own, with the way back.
    """

    template: ClassVar = ""
    title: ClassVar = "That did not work"
    back: ClassVar[str]

    def routes(self) -> list[web.RouteDef]:
        """Say which call is whose."""
        return [web.post(self.path, self.submit)]

    def done(self, call: Call, code: str, path: str = "") -> web.Response:
        """Lead back, where ``told`` has a sentence for ``code``."""
        return super().done(call, code, path or self.back)

    async def page(
        self, call: Call, form: Form, facts: Mapping[str, object] = _NOTHING, *, status: int = 200
    ) -> web.Response:
        """Tell what went wrong."""
        known = {"faults": list(form.faults.values()), "back": call.address(self.back), **facts}
        response = self.render(call, known, template="refused.html", status=status)
        if form.wait:
            response.headers["Retry-After"] = str(form.wait)
        return response

    def conflict(self, call: Call, form: Form, fault: Conflict) -> web.Response:  # noqa: ARG002 - its fields
        """Tell that what is stored says otherwise."""
        facts = {"fault": _told(fault), "typed": {}, "back": call.address(self.back)}
        return self.render(call, facts, template="conflict.html", status=409)

    def _comes_back(self, request: web.Request) -> str:
        places = {name: quote(value, safe="") for name, value in request.match_info.items()}
        return self.back.format_map(places)


def version_in(sent: Sent) -> int:
    """Read the version that a form was filled in for (its hidden field ``version``).

    Raises ``Conflict("changed_meanwhile")``.
    """
    raw = sent["version"]
    if not raw.isascii() or not raw.isdigit() or len(raw) > 9:  # noqa: PLR2004 - digits of a 32-bit integer
        raise Conflict("changed_meanwhile", "The form does not say which version it changes: open it afresh.")
    return int(raw)


def sign_in_first(return_to: str) -> SeeOther:
    """Send somebody to sign in, and back."""
    return SeeOther(f"{SIGN_IN}?{urlencode({'return': return_to})}")


def target_after(raw: str) -> str:
    """Where to go after signing in: ``raw`` if it is a path on this very host, else ``/``."""
    return local_target(raw or "/", _CIRCULAR)


def _told(fault: RouterError) -> Fault:
    return Fault(fault.code, fault.sentence)
