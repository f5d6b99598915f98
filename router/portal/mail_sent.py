"""After a form that had a mail sent: look into the mailbox. The same words whether there was one to send."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal

from aiohttp import web

from router.behind_edge import see_other
from router.portal.visitor import VISITOR

if TYPE_CHECKING:
    from router.portal.form_page import Desk

MAIL_SENT: Final = "/-/mail-sent"
_REASONS: Final = frozenset({"registration", "reset"})


class MailSentPage:
    """``/-/mail-sent``: a page of its own, so that to reload it sends nothing again."""

    path: ClassVar = MAIL_SENT

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: web.Request) -> web.Response:
        """GET."""
        reason = request.query.get("for", "")
        if reason not in _REASONS:
            raise web.HTTPNotFound
        return self._desk.pages.show(request, request[VISITOR], "mail_sent.html", {"reason": reason})


def mail_sent(reason: Literal["registration", "reset"]) -> web.Response:
    """Lead there."""
    return see_other(f"{MAIL_SENT}?for={reason}")
