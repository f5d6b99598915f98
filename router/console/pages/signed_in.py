"""Who looks at a page: what the edge says of the browser, and which operator its cookie stands for.

The console listens on a private Unix socket only, behind the edge, which drops every ``X-Router-*`` field
that a client sends and sets its own; so what they say is believed here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from aiohttp import web

from router.errors import BadInput
from router.forms import own_origins, read_cookie
from router.hostname import Hostname, parse_authority

if TYPE_CHECKING:
    from router.console.operator_rows import Operator
    from router.console.operator_sessions import OperatorSession, OperatorSessions
    from router.console.principal import Principal

SESSION_COOKIE: Final = "__Host-console-session"
CSRF_COOKIE: Final = "__Host-console-csrf"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser, whoever sits before it.

    ``origins`` is what it may call this site in an Origin field. ``address`` is the client's IP address.
    """

    origins: frozenset[str]
    address: str
    request_id: str
    user_agent: str
    cookies: str = field(repr=False)

    def cookie(self, name: str) -> str | None:
        """Read a cookie; none where there are two of the name."""
        return read_cookie(self.cookies, name)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An operator who is signed in; ``principal`` is what they may do."""

    operator: Operator
    session: OperatorSession
    principal: Principal


VISITOR: Final = web.RequestKey("visitor", Visitor)
SIGNED_IN: Final = web.RequestKey("signed_in", SignedIn)
"""Set once it is known, so that a page that tells of a failure has the same frame as others."""


def read_visitor(request: web.Request) -> Visitor:
    """Read the edge's fields. Raises ``BadInput`` where they are missing."""
    headers = request.headers
    authority = headers.get("X-Router-Host", "")
    host = parse_authority(authority.encode("utf-8", "replace")).host if authority else None
    if not isinstance(host, Hostname):
        raise BadInput("no_edge", "The console answers only requests that come through the edge.")
    return Visitor(
        origins=own_origins(host, authority, headers.get("Host", "")),
        address=headers.get("X-Router-Client", ""),
        request_id=headers.get("X-Router-Request-Id", ""),
        user_agent=headers.get("User-Agent", "")[:200],
        cookies=";".join(headers.getall("Cookie", [])),
    )


async def find_signed_in(request: web.Request, sessions: OperatorSessions) -> SignedIn | None:
    """Find whose session the cookie opens. Raises ``Unavailable``."""
    token = request[VISITOR].cookie(SESSION_COOKIE)
    found = await sessions.find(token) if token else None
    if found is None:
        return None
    session, operator = found
    signed_in = request[SIGNED_IN] = SignedIn(operator, session, operator.principal)
    return signed_in
