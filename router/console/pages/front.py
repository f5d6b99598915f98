"""What stands before every page: who is asking, and a proper page for every failure.

Calls of the API are left to their own front (application.py): people get pages, programs problems.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from router.behind_edge import RETRY_AFTER, SeeOther, protect, read_caller, see_other
from router.console.access import Forbidden
from router.console.pages.rendering import CSP
from router.console.pages.signed_in import SESSION_COOKIE, SIGNED_IN, VISITOR
from router.errors import BadInput, Conflict, NotFound, RouterError, Unavailable
from router.forms import BadForm
from router.storage.auditing import ORIGIN

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from router.console.pages.rendering import Pages

API: Final = "/api/"

_log = structlog.get_logger(__name__)

_TITLES: Final = {
    403: "This is not for you",
    404: "There is nothing here",
    405: "This page is not asked that way",
    409: "That does not go together",
    413: "That is too large",
    500: "Something went wrong here",
    503: "We cannot look this up right now",
}
_SENTENCES: Final = {
    403: "Ask an operator of the platform, if you need it.",
    404: "The address may be mistyped, or what was here is gone.",
    500: "This is our fault. The log has more, by the reference below.",
    503: "The database does not answer. Try again in a moment; portals go on being served.",
}


class Front:
    """Answers every page, whatever becomes of it."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    @web.middleware
    async def answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Read who is asking, let the handler answer, and add the fields that every answer carries."""
        if request.path.startswith(API):
            return await handler(request)
        try:
            request[VISITOR] = read_caller(request, plane="console")
        except BadInput:
            return web.Response(status=400, text="This is reached through the edge only.\n")
        ORIGIN.set(request[VISITOR].address)
        response = await self._answered(request, handler)
        protect(response, CSP)
        return response

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except SeeOther as elsewhere:
            if _came_from_elsewhere(request):
                return self._pages.show(request, "continue.html", {"target": request.raw_path})
            return see_other(elsewhere.target)
        except web.HTTPException as refusal:  # aiohttp's own: no such path, no such method
            response = self._page(request, refusal.status, "")
            if "Allow" in refusal.headers:
                response.headers["Allow"] = refusal.headers["Allow"]
            return response
        except RouterError as fault:
            return self._failed(request, fault)
        except Exception:  # noqa: BLE001 - the last resort of every page: logged, and told as a 500
            _log.exception("page_failed", path=request.path, method=request.method)
            return self._page(request, 500, "")

    def _failed(self, request: web.Request, fault: RouterError) -> web.Response:
        match fault:
            case BadForm():
                # Origin, because a wrong public port in the settings is seen here first.
                origin = request.headers.get("Origin", "")[:200]
                _log.info("form_refused", code=fault.code, path=request.path, origin=origin)
                return self._page(request, fault.status, fault.sentence)
            case NotFound():
                return self._page(request, 404, "")  # another's tenant, or none: the same
            case Forbidden():
                return self._page(request, 403, fault.sentence)
            case Unavailable():
                _log.warning("page_unavailable", code=fault.code, cause=repr(fault.__cause__))
                response = self._page(request, 503, "")
                response.headers["Retry-After"] = str(RETRY_AFTER)
                return response
            case Conflict():
                return self._page(request, 409, fault.sentence)
            case _:
                return self._page(request, 422, fault.sentence)

    def _page(self, request: web.Request, status: int, sentence: str) -> web.Response:
        facts = {
            "title": _TITLES.get(status, HTTPStatus(status).phrase),
            "sentence": sentence or _SENTENCES.get(status, ""),
            "status": status,
            # A page that says that there is nothing is the same for every visit.
            "reference": request[VISITOR].request_id if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "",
        }
        return self._pages.show(request, "error.html", facts, status=status)


def _came_from_elsewhere(request: web.Request) -> bool:
    """Whether a browser followed another site's link, so that it kept our SameSite=Strict cookie back.

    A page of ours that asks for the same address once more gets it.
    """
    return (
        request.method == "GET"
        and SIGNED_IN not in request
        and request.headers.get("Sec-Fetch-Site") == "cross-site"
        and request[VISITOR].cookie(SESSION_COOKIE) is None
    )
