"""Who is asking, as the edge tells the portal.

The portal listens on a private Unix socket only, behind the edge, which drops every ``X-Router-*`` header
that a client sends and sets its own; so what they say is believed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from router.behind_edge import Caller, read_caller
from router.errors import NotFound
from router.identity.session import COOKIE

if TYPE_CHECKING:
    from router.identity.session import Session
    from router.identity.sessions import Sessions
    from router.tenants.directory import Directory
    from router.tenants.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Visitor(Caller):
    """One request's tenant and circumstances."""

    tenant: Tenant


VISITOR: Final = web.RequestKey("visitor", Visitor)


async def find_visitor(request: web.Request, directory: Directory) -> Visitor:
    """Read the edge's headers and find the tenant.

    Raises ``BadInput("no_edge")`` where the headers are missing, ``NotFound("unknown_host")`` where the
    hostname has no tenant or by now another one than the edge found, and what ``Directory.find`` raises.
    """
    caller = read_caller(request, plane="portal")
    tenant = await directory.find(caller.host)
    if tenant is None or tenant.id != request.headers.get("X-Router-Tenant"):
        raise NotFound("unknown_host", "There is no portal at this address.")
    return Visitor(
        host=caller.host,
        origins=caller.origins,
        address=caller.address,
        request_id=caller.request_id,
        user_agent=caller.user_agent,
        cookies=caller.cookies,
        tenant=tenant,
    )


async def session_of(visitor: Visitor, sessions: Sessions, now: float) -> Session | None:
    """Find the session that the visitor's cookie opens at this tenant. Raises as ``Sessions.find``."""
    token = visitor.cookie(COOKIE)
    session = await sessions.find(token) if token else None
    return session if session is not None and session.admits(visitor.tenant.id, now) else None
