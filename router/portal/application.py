"""The portal's application: which path shows what, and what happens when something goes wrong.

It listens on a private Unix socket of its worker, behind the edge (see visitor.py).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp_jinja2
import structlog
from aiohttp import web

from router.behind_edge import RETRY_AFTER, SeeOther, protect, see_other
from router.errors import NotFound, RouterError, Unavailable
from router.forms import MAX_FORM, BadForm, Csrf
from router.languages.choice import LANGUAGE_COOKIE
from router.portal.account import AccountPage, EmailPage, PasswordPage
from router.portal.confirm_email import ConfirmEmailPage
from router.portal.customer import CustomerPage
from router.portal.documents import Documents
from router.portal.form_page import Desk
from router.portal.language_switch import LanguageSwitch
from router.portal.languages import VARY, accept_language
from router.portal.mail_sent import MailSentPage
from router.portal.newcomer import ConfirmPage, InvitationPage
from router.portal.pages import BARE_CSP, Pages
from router.portal.recovery import ForgotPage, ResetPage
from router.portal.register import RegisterPage
from router.portal.sign_in import SignInPage
from router.portal.sign_out import SignedOutPage, SignOutPage
from router.portal.visitor import VISITOR, find_visitor
from router.storage.auditing import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

    from router.identity.account import Account
    from router.identity.invitations import Invitations
    from router.identity.recovery import Recovery
    from router.identity.registrations import Registrations
    from router.identity.sessions import Sessions
    from router.identity.sign_in import SignIn
    from router.identity.signing_keys import SigningKeys
    from router.identity.users import Users
    from router.portal.error_pages import ErrorPages
    from router.portal.images import Images
    from router.portal.rendering import Renderer
    from router.tenants.directory import Directory

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the pages have done: everything that identity can do for a visitor."""

    users: Users
    sessions: Sessions
    sign_in: SignIn
    invitations: Invitations
    registrations: Registrations
    recovery: Recovery
    account: Account


def build_portal(
    *,
    directory: Directory,
    use_cases: UseCases,
    signing_keys: SigningKeys,
    renderer: Renderer,
    images: Images,
    error_pages: ErrorPages,
    csrf_key: bytes,
    clock: Callable[[], float] = time.time,
) -> web.Application:
    """Put the portal together. ``csrf_key`` (32 octets) is the same on every worker of the fleet."""
    csrf = Csrf(csrf_key)
    desk = Desk(Pages(renderer, csrf), csrf, use_cases.sessions, clock)
    documents = Documents(renderer.themes.assets, signing_keys)
    application = web.Application(
        middlewares=[Front(directory, error_pages).answer], client_max_size=MAX_FORM
    )
    application[aiohttp_jinja2.APP_KEY] = renderer.themes.environment
    application.add_routes(
        [
            *_pages(desk, use_cases),
            web.get("/-/static/{path:.+}", documents.static),
            web.get("/-/image/{fingerprint:[0-9a-f]{16}}", images.show),
            web.get("/.well-known/portal-jwks.json", documents.jwks),
        ]
    )
    return application


def _pages(desk: Desk, use_cases: UseCases) -> list[web.RouteDef]:
    """Mount every page at its path: GET shows it, POST does what it is for."""
    users, account = use_cases.users, use_cases.account
    forms = (
        SignInPage(desk, use_cases.sign_in, users),
        SignOutPage(desk),
        CustomerPage(desk, users),
        InvitationPage(desk, use_cases.invitations),
        RegisterPage(desk, use_cases.registrations),
        ConfirmPage(desk, use_cases.registrations),
        ForgotPage(desk, use_cases.recovery),
        ResetPage(desk, use_cases.recovery),
        AccountPage(desk, users),
        PasswordPage(desk, account),
        EmailPage(desk, account),
        ConfirmEmailPage(desk, account),
    )
    language = LanguageSwitch(desk, account)
    return [
        *(web.get(page.path, page.show) for page in (*forms, SignedOutPage(desk), MailSentPage(desk))),
        *(web.post(page.path, page.submit) for page in forms),
        web.post(language.path, language.submit),
    ]


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
            ORIGIN.set(visitor.address)
            if visitor.tenant.status == "suspended":
                response: web.StreamResponse = self._page(request, 503)
            else:
                response = await handler(request)
        except SeeOther as elsewhere:
            response = see_other(elsewhere.target)
        except web.HTTPException as refusal:  # aiohttp's own: no such path, no such method
            response = self._page(request, refusal.status)
            if "Allow" in refusal.headers:
                response.headers["Allow"] = refusal.headers["Allow"]
        except RouterError as fault:
            response = self._failed(request, fault)
        except Exception:  # noqa: BLE001 - the last resort of every page: logged, and told as a 500
            _log.exception("portal_failed", path=request.path, method=request.method)
            response = self._page(request, 500)
        protect(response, BARE_CSP)
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
