"""The portal's application: which path shows what, and what happens when something goes wrong.

It listens on a private Unix socket of its worker, behind the edge (see visitor.py).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from router.errors import NotFound, RouterError, Unavailable
from router.portal.documents import Documents
from router.portal.forms import MAX_FORM, BadForm, Csrf
from router.portal.languages import LANGUAGE_COOKIE, VARY, accept_language
from router.portal.pages import RETRY_AFTER, Pages, protect
from router.portal.sign_in import SignInPage
from router.portal.sign_out import SIGN_OUT, SIGNED_OUT, SignOutPage
from router.portal.visitor import VISITOR, find_visitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

    from router.identity.sessions import Sessions
    from router.identity.sign_in import SignIn
    from router.identity.signing_keys import SigningKeys
    from router.portal.error_pages import ErrorPages
    from router.portal.rendering import Renderer
    from router.tenants.directory import Directory

_log = structlog.get_logger(__name__)


def build_portal(
    *,
    directory: Directory,
    sign_in: SignIn,
    sessions: Sessions,
    signing_keys: SigningKeys,
    renderer: Renderer,
    error_pages: ErrorPages,
    csrf_key: bytes,
    clock: Callable[[], float] = time.time,
) -> web.Application:
    """Put the portal together. ``csrf_key`` (32 octets) is the same on every worker of the fleet."""
    csrf, pages = Csrf(csrf_key), Pages(renderer)
    signing_in = SignInPage(sign_in, sessions, csrf, pages, clock=clock)
    signing_out = SignOutPage(sessions, csrf, pages, clock=clock)
    documents = Documents(renderer.themes.assets, signing_keys)
    application = web.Application(
        middlewares=[Front(directory, error_pages).answer], client_max_size=MAX_FORM
    )
    application.add_routes(
        [
            web.get("/-/sign-in", signing_in.show),
            web.post("/-/sign-in", signing_in.submit),
            web.get(SIGN_OUT, signing_out.ask),
            web.post(SIGN_OUT, signing_out.submit),
            web.get(SIGNED_OUT, signing_out.done),
            web.get("/-/static/{path:.+}", documents.static),
            web.get("/.well-known/portal-jwks.json", documents.jwks),
        ]
    )
    return application


class Front:
    """What stands before every handler: who is asking, and a proper page for every failure."""

    def __init__(self, directory: Directory, error_pages: ErrorPages) -> None:
        self._directory = directory
        self._error_pages = error_pages

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Find the visitor, let the handler answer, and add the headers every answer carries."""
        try:
            visitor = request[VISITOR] = await find_visitor(request, self._directory)
            if visitor.tenant.status == "suspended":
                response: web.StreamResponse = self._page(request, 503)
            else:
                response = await handler(request)
        except web.HTTPException as refusal:  # aiohttp's own: no such path, no such method
            response = self._page(request, refusal.status)
            if "Allow" in refusal.headers:
                response.headers["Allow"] = refusal.headers["Allow"]
        except RouterError as fault:
            response = self._failed(request, fault)
        except Exception:  # noqa: BLE001 - the last resort of every page: logged, and told as a 500
            _log.exception("portal_failed", path=request.path, method=request.method)
            response = self._page(request, 500)
        protect(response)
        return response

    def _failed(self, request: web.Request, fault: RouterError) -> web.Response:
        match fault:
            case BadForm():
                # Origin, because a wrong public port in the settings is seen here first.
                origin = request.headers.get("Origin", "")[:200]
                _log.info("form_refused", code=fault.code, path=request.path, origin=origin)
                response = self._page(request, fault.status)
            case NotFound():
                response = self._page(request, 404)
            case Unavailable():
                _log.warning("portal_unavailable", code=fault.code, cause=repr(fault.__cause__))
                response = self._page(request, 503)
                response.headers["Retry-After"] = str(RETRY_AFTER)
            case _:
                response = self._page(request, 400)
        return response

    def _page(self, request: web.Request, status: int) -> web.Response:
        visitor = request.get(VISITOR)
        page = self._error_pages.render(
            visitor.tenant if visitor else None,
            status,
            request_id=visitor.request_id if visitor else "",
            cookie=visitor.cookie(LANGUAGE_COOKIE) if visitor else None,
            accept=accept_language(request),
        )
        headers = {"Content-Security-Policy": page.csp.decode(), "Vary": VARY}
        return web.Response(
            status=status, body=page.body, content_type="text/html", charset="utf-8", headers=headers
        )
