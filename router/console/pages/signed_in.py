"""Who looks at a page: what the edge says of the browser, and which operator its cookie stands for.

The console listens on a private Unix socket only, behind the edge, which drops every ``X-Router-*`` field
that a client sends and sets its own; so what they say is believed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from router.behind_edge import Caller

if TYPE_CHECKING:
    from router.console.operator_rows import Operator
    from router.console.operator_sessions import OperatorSession, OperatorSessions
    from router.console.principal import Principal

SESSION_COOKIE: Final = "__Host-console-session"
CSRF_COOKIE: Final = "__Host-console-csrf"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An operator who is signed in; ``principal`` is what they may do."""

    operator: Operator
    session: OperatorSession
    principal: Principal


VISITOR: Final = web.RequestKey("visitor", Caller)
SIGNED_IN: Final = web.RequestKey("signed_in", SignedIn)
"""Set once it is known, so that a page that tells of a failure has the same frame as others."""


async def find_signed_in(request: web.Request, sessions: OperatorSessions) -> SignedIn | None:
    """Find whose session the cookie opens. Raises ``Unavailable``."""
    token = request[VISITOR].cookie(SESSION_COOKIE)
    found = await sessions.find(token) if token else None
    if found is None:
        return None
    session, operator = found
    signed_in = request[SIGNED_IN] = SignedIn(operator, session, operator.principal)
    return signed_in
