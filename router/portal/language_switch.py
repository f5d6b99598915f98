"""Choosing a language: in this browser, and for who is signed in also in others, and in mails."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from router.behind_edge import see_other
from router.errors import NotFound, Unavailable
from router.forms import BadForm, local_path
from router.portal.forms import read_form
from router.portal.languages import remember_language
from router.portal.visitor import VISITOR, session_of

if TYPE_CHECKING:
    from aiohttp import web

    from router.identity.account import Account
    from router.portal.form_page import Desk


class LanguageSwitch:
    """``POST /-/language``: the form at the foot of every page. It leads back to the page."""

    path: ClassVar = "/-/language"

    def __init__(self, desk: Desk, account: Account) -> None:
        self._desk = desk
        self._account = account

    async def submit(self, request: web.Request) -> web.Response:
        """Remember the choice."""
        visitor = request[VISITOR]
        fields = await read_form(request, visitor, self._desk.csrf)
        language = fields.get("language", "")
        if not self._desk.pages.speaks(visitor, language):
            raise BadForm("bad_language", "These pages do not speak that language.", status=400)
        with suppress(Unavailable, NotFound):  # this browser remembers it all the same
            session = await session_of(visitor, self._desk.sessions, self._desk.clock())
            if session is not None:
                await self._account.set_language(session.user_id, language)
        response = see_other(local_path(fields.get("here", "/")))
        remember_language(response, language)
        return response
