"""Entering: the session's cookie, from the moment somebody is let in."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from router.behind_edge import see_other
from router.errors import Unavailable
from router.identity.session import COOKIE
from router.identity.sessions import key_of
from router.portal.pages import set_cookie

if TYPE_CHECKING:
    from aiohttp import web

    from router.identity.session import Session
    from router.identity.user import User
    from router.portal.form_page import Call, Desk


async def enter(desk: Desk, call: Call, user: User, *, target: str = "/") -> web.Response:
    """Sign in a user whom a one-time link has just made; whatever session the browser had is over.

    Raises ``Conflict("user_changed")`` and ``Unavailable``.
    """
    visitor, now = call.visitor, desk.clock()
    token, session = await desk.sessions.start(
        visitor.tenant.id, user, address=visitor.address, user_agent=visitor.user_agent, now=now
    )
    previous = visitor.cookie(COOKIE)
    if previous is not None:
        with suppress(Unavailable):  # it ends by itself, and the browser has forgotten it
            await desk.sessions.revoke(key_of(previous))
    response = see_other(target)
    hold_session(response, token, session, now)
    return response


def hold_session(response: web.Response, token: str, session: Session, now: float) -> None:
    """Give the browser a session's token: until it is closed, or as long as a remembered session lives."""
    set_cookie(response, COOKIE, token, life=int(session.expires_at - now) if session.remembered else None)
