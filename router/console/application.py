"""The console's application: which path does what, and what happens when something goes wrong.

It listens on a private Unix socket of its worker, behind the edge, which sends it what is asked of the admin
hostname and of no other, drops every ``X-Router-*`` field that a client sends, and sets its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from router.console.access import Access
from router.console.api.audit import AuditEndpoint
from router.console.api.bearer import ALLOWANCE
from router.console.api.calls import ROOT, Calls
from router.console.api.certificates import CertificatesEndpoint
from router.console.api.documentation import Documentation
from router.console.api.domains import DomainsEndpoint
from router.console.api.invitations import InvitationsEndpoint
from router.console.api.invoice_lines import InvoiceLinesEndpoint
from router.console.api.operators import OperatorsEndpoint
from router.console.api.platform import PlatformEndpoint
from router.console.api.tenants import TenantsEndpoint
from router.console.api.tokens import TokensEndpoint
from router.console.api.traffic import TrafficEndpoint
from router.console.api.users import SessionsEndpoint, UsersEndpoint
from router.console.api.webhooks import WebhooksEndpoint
from router.console.pages.front import API
from router.console.pages.mounting import mount_pages
from router.console.problems import problem, problem_of
from router.errors import RouterError, Unavailable
from router.storage.auditing import ORIGIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.typedefs import Handler

    from router.console.api.bearer import Bearer
    from router.console.api.idempotency import Idempotency
    from router.console.use_cases import UseCases
    from router.languages.texts import Languages

_log = structlog.get_logger(__name__)

MAX_BODY: Final = 64 * 1024
"""Octets of a request's body; the edge lets no more through either."""

OPERATIONS: Final = web.AppKey("operations", tuple)
"""What the API can do, for whoever looks at the whole of it."""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "tenant-router",  # else aiohttp says its version and Python's
    "X-Content-Type-Options": "nosniff",
}


def build_console(
    *,
    use_cases: UseCases,
    bearer: Bearer,
    idempotency: Idempotency,
    languages: Languages,
    public_port: int,
    csrf_key: bytes,
    link_address: Callable[[str], str],
) -> web.Application:
    """Put the console together: the API, and the operators' pages.

    ``public_port`` is the HTTPS port as customers see it; ``csrf_key`` (32 octets) is the same on every
    worker of the fleet; ``link_address`` says where the token of an operator's link is opened.
    """
    access = Access(use_cases.registry)
    endpoints = (
        InvoiceLinesEndpoint(use_cases.invoice_links, languages, public_port=public_port),
        InvitationsEndpoint(use_cases.invitations, languages),
        UsersEndpoint(use_cases.users),
        SessionsEndpoint(use_cases.users, use_cases.sessions),
        TenantsEndpoint(use_cases.registry, public_port=public_port),
        PlatformEndpoint(use_cases.explainer, use_cases.attention, public_port=public_port),
        DomainsEndpoint(use_cases.domains, use_cases.registry),
        CertificatesEndpoint(use_cases.uploads, use_cases.vault, use_cases.standings),
        TokensEndpoint(use_cases.tokens, access),
        OperatorsEndpoint(use_cases.operators, access, link_address),
        TrafficEndpoint(use_cases.traffic, use_cases.look_at_upstreams),
        AuditEndpoint(use_cases.audit_trail),
        WebhooksEndpoint(use_cases.webhooks, access),
    )
    application = web.Application(middlewares=[_answer], client_max_size=MAX_BODY)
    operations = tuple(each for endpoint in endpoints for each in endpoint.operations())
    application[OPERATIONS] = operations
    application.add_routes(Calls(bearer, access, idempotency).routes(operations))
    application.add_routes(Documentation(operations).routes(ROOT))
    mount_pages(
        application,
        use_cases,
        access,
        csrf_key=csrf_key,
        link_address=link_address,
        public_port=public_port,
    )
    return application


@web.middleware
async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the handler answer, tell every failure as a problem, and add the fields every answer carries.

    What is not the API's is a page, which has its own front (pages/front.py).
    """
    if not request.path.startswith(API):
        return await handler(request)
    request_id = request.headers.get("X-Router-Request-Id", "")
    ORIGIN.set(request.headers.get("X-Router-Client"))
    try:
        response = await handler(request)
    except (RouterError, web.HTTPException) as fault:
        if isinstance(fault, Unavailable):
            _log.warning("console_unavailable", code=fault.code, cause=repr(fault.__cause__))
        response = problem_of(fault, request_id)
    except Exception:  # noqa: BLE001 - the last resort of every call: logged, and told as a 500
        _log.exception("console_failed", method=request.method, visit=request_id)
        response = problem(
            500, "internal", "This is our fault. The log has more, by the request's id.", request_id
        )
    allowance = request.get(ALLOWANCE)
    if allowance is not None:
        response.headers.update(allowance.fields())
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response
