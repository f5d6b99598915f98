"""Signing out: asked on GET, done on POST, so that neither a link nor a prefetch signs anybody out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from router.identity.sessions import COOKIE, key_of
from router.portal.forms import CSRF_COOKIE, CSRF_FIELD, read_form
from router.portal.pages import clear_cookie, see_other, set_cookie
from router.portal.visitor import VISITOR, session_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from router.identity.sessions import Sessions
    from router.portal.forms import Csrf
    from router.portal.pages import Pages

SIGN_OUT: Final = "/-/sign-out"
SIGNED_OUT: Final = "/-/signed-out"

CLEARED: Final = '"cache", "storage"'
"""What a browser forgets of this origin at sign-out (W3C Clear Site Data; OWASP ASVS 5.0, 14.3.1): what the
backend left in its cache and its storage, for the next person at the same computer. Not ``"cookies"``: that
takes those of the whole registrable domain, sibling tenants and the company's own site included."""


class SignOutPage:
    """``/-/sign-out`` and ``/-/signed-out``."""

    def __init__(
        self, sessions: Sessions, csrf: Csrf, pages: Pages, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._sessions = sessions
        self._csrf = csrf
        self._pages = pages
        self._clock = clock

    async def ask(self, request: web.Request) -> web.Response:
        """GET /-/sign-out: a form with one button."""
        visitor = request[VISITOR]
        session = await session_of(visitor, self._sessions, self._clock())
        if session is None:
            return see_other(SIGNED_OUT)
        cookie = visitor.cookie(CSRF_COOKIE)
        pair = self._csrf.pair(visitor.tenant.id, cookie)
        facts = {"email": session.email, "csrf_field": CSRF_FIELD, "csrf": pair.token}
        response = self._pages.show(request, visitor, "sign_out.html", facts)
        if pair.cookie != cookie:
            set_cookie(response, CSRF_COOKIE, pair.cookie)
        return response

    async def submit(self, request: web.Request) -> web.Response:
        """POST /-/sign-out: the session ends here and on every worker."""
        visitor = request[VISITOR]
        await read_form(request, visitor, self._csrf)
        token = visitor.cookie(COOKIE)
        if token is not None:
            await self._sessions.revoke(key_of(token))
        response = see_other(SIGNED_OUT)
        response.headers["Clear-Site-Data"] = CLEARED
        clear_cookie(response, COOKIE)
        return response

    async def done(self, request: web.Request) -> web.Response:
        """GET /-/signed-out; whoever is signed in all the same is sent on rather than told otherwise."""
        visitor = request[VISITOR]
        if await session_of(visitor, self._sessions, self._clock()) is not None:
            return see_other("/")
        return self._pages.show(request, visitor, "signed_out.html")
