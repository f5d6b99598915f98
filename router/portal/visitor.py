"""Who is asking, as the edge tells the portal.

The portal listens on a private Unix socket only, behind the edge, which drops every ``X-Router-*`` header
that a client sends and sets its own; so what they say is believed here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aiohttp import web

from router.errors import BadInput, NotFound
from router.forms import own_origins, read_cookie
from router.hostname import Hostname, parse_authority
from router.identity.session import COOKIE

if TYPE_CHECKING:
    from router.identity.session import Session
    from router.identity.sessions import Sessions
    from router.tenants.directory import Directory
    from router.tenants.tenant import Tenant

_MAX_USER_AGENT = 200


@dataclass(frozen=True, slots=True)
class Visitor:
    """One request's tenant and circumstances.

    ``origins`` is what the browser may call this site in an Origin header (RFC 6454): by the port that
    customers are meant to see, and by the one in the Host header, where those differ (a mapped port).
    ``address`` is the client's IP address.
    """

    tenant: Tenant
    origins: frozenset[str]
    address: str
    request_id: str
    user_agent: str
    cookies: str = field(repr=False)

    def cookie(self, name: str) -> str | None:
        """Read a cookie; none where there are two of the name."""
        return read_cookie(self.cookies, name)


VISITOR: Final = web.RequestKey("visitor", Visitor)


async def find_visitor(request: web.Request, directory: Directory) -> Visitor:
    """Read the edge's headers and find the tenant.

    Raises ``BadInput("no_edge")`` where the headers are missing, ``NotFound("unknown_host")`` where the
    hostname has no tenant or by now another one than the edge found, and what ``Directory.find`` raises.
    """
    headers = request.headers
    authority = headers.get("X-Router-Host", "")
    host = parse_authority(authority.encode("utf-8", "replace")).host if authority else None
    if not isinstance(host, Hostname):
        raise BadInput("no_edge", "The portal answers only requests that come through the edge.")
    tenant = await directory.find(host)
    if tenant is None or tenant.id != headers.get("X-Router-Tenant"):
        raise NotFound("unknown_host", "There is no portal at this address.")
    return Visitor(
        tenant=tenant,
        origins=own_origins(host, authority, headers.get("Host", "")),
        address=headers.get("X-Router-Client", ""),
        request_id=headers.get("X-Router-Request-Id", ""),
        user_agent=headers.get("User-Agent", "")[:_MAX_USER_AGENT],
        cookies=";".join(headers.getall("Cookie", [])),
    )


async def session_of(visitor: Visitor, sessions: Sessions, now: float) -> Session | None:
    """Find the session that the visitor's cookie opens at this tenant. Raises as ``Sessions.find``."""
    token = visitor.cookie(COOKIE)
    session = await sessions.find(token) if token else None
    return session if session is not None and session.admits(visitor.tenant.id, now) else None
