"""The sign-in page.

GET shows the form, or leads on whoever is signed in already. POST answers 303 with a session; or the form
again, what was typed kept, with 422 (nothing typed, or not right: a 401 would have to name an HTTP
authentication scheme, RFC 9110 section 11.6.1, and a form has none), 403 (the form was out of date), 429
(too many attempts) or 503 (the database is away).
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import structlog

from router.errors import Unavailable
from router.identity.sessions import COOKIE
from router.portal.forms import CSRF_COOKIE, CSRF_FIELD, StaleForm, local_target, read_form
from router.portal.pages import RETRY_AFTER, see_other, set_cookie
from router.portal.visitor import VISITOR, session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp import web

    from router.identity.sessions import Sessions
    from router.identity.sign_in import Refused, SignIn
    from router.portal.forms import Csrf
    from router.portal.pages import Pages
    from router.portal.visitor import Visitor

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Form:
    """What the page shows: what was typed (never the password) and what was wrong with it."""

    return_to: str
    email: str = ""
    fault: Literal["", "refused", "throttled", "unavailable", "stale"] = ""
    wait_minutes: int = 0
    email_missing: bool = False
    password_missing: bool = False


class SignInPage:
    """``/-/sign-in``."""

    def __init__(
        self,
        sign_in: SignIn,
        sessions: Sessions,
        csrf: Csrf,
        pages: Pages,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sign_in = sign_in
        self._sessions = sessions
        self._csrf = csrf
        self._pages = pages
        self._clock = clock

    async def show(self, request: web.Request) -> web.Response:
        """GET: the form; for whoever is signed in, the way on."""
        visitor = request[VISITOR]
        return_to = local_target(request.query.get("return", "/"))
        with suppress(Unavailable):  # without the database the form can still be shown, and says so when sent
            if await session_of(visitor, self._sessions, self._clock()) is not None:
                return see_other(return_to)
        return self._page(request, visitor, _Form(return_to))

    async def submit(self, request: web.Request) -> web.Response:
        """POST: sign in."""
        visitor = request[VISITOR]
        try:
            fields = await read_form(request, visitor, self._csrf)
        except StaleForm as stale:
            return self._page(request, visitor, replace(_typed(stale.fields), fault="stale"), status=403)
        form, password = _typed(fields), fields.get("password", "")
        if not (form.email and password):
            form = replace(form, email_missing=not form.email, password_missing=not password)
            return self._page(request, visitor, form, status=422)
        try:
            answer = await self._attempt(visitor, form.email, password)
        except Unavailable as fault:
            _log.warning(
                "sign_in_unavailable", tenant=visitor.tenant.id, code=fault.code, cause=repr(fault.__cause__)
            )
            return self._again(request, visitor, replace(form, fault="unavailable"), 503, RETRY_AFTER)
        if not isinstance(answer, str):
            return self._refused(request, visitor, form, answer)
        response = see_other(form.return_to)
        set_cookie(response, COOKIE, answer)
        return response

    async def _attempt(self, visitor: Visitor, email: str, password: str) -> str | Refused:
        return await self._sign_in.attempt(
            visitor.tenant.id,
            email,
            password,
            visitor.address,
            visitor.user_agent,
            previous=visitor.cookie(COOKIE),
        )

    def _refused(self, request: web.Request, visitor: Visitor, form: _Form, refused: Refused) -> web.Response:
        if refused.retry_after is None:
            return self._page(request, visitor, replace(form, fault="refused"), status=422)
        minutes = max(1, -(-refused.retry_after // 60))
        form = replace(form, fault="throttled", wait_minutes=minutes)
        return self._again(request, visitor, form, 429, refused.retry_after)

    def _again(
        self, request: web.Request, visitor: Visitor, form: _Form, status: int, retry_after: int
    ) -> web.Response:
        response = self._page(request, visitor, form, status=status)
        response.headers["Retry-After"] = str(retry_after)
        return response

    def _page(
        self, request: web.Request, visitor: Visitor, form: _Form, *, status: int = 200
    ) -> web.Response:
        cookie = visitor.cookie(CSRF_COOKIE)
        pair = self._csrf.pair(visitor.tenant.id, cookie)
        facts = {"form": form, "csrf_field": CSRF_FIELD, "csrf": pair.token}
        response = self._pages.show(request, visitor, "sign_in.html", facts, status=status)
        if pair.cookie != cookie:
            set_cookie(response, CSRF_COOKIE, pair.cookie)
        return response


def _typed(fields: Mapping[str, str]) -> _Form:
    return _Form(local_target(fields.get("return", "/")), email=fields.get("email", "").strip())
