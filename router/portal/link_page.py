"""Pages behind the one-time links in mails.

Opening one changes nothing: what the link is for happens when the form is sent. A link that opens nothing is
explained, with the way on: 404 for one that is not known, 410 for one that was used, has expired or was
replaced by a newer one.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

from router.errors import RouterError
from router.portal.form_page import FormPage

if TYPE_CHECKING:
    from aiohttp import web

    from router.portal.form_page import Call, Faulty, Form

TOKEN: Final = "t"  # noqa: S105 - a name
"""The token's name in the link's address, and in the form."""

_FAULT: Final = "link_"


class LinkPage(FormPage):
    """What all pages behind a link have in common; ``kind`` says in the template which link it is."""

    kind: ClassVar[str]
    carried: ClassVar = (TOKEN,)

    @abstractmethod
    async def look(self, call: Call, token: str) -> object:
        """Say what the link stands for, or the fault (a ``str``) for which it opens nothing."""

    async def page(self, call: Call, form: Form, *, status: int = 200) -> web.Response:
        """Render the form for what the link stands for, or say why it opens nothing."""
        found = await self.look(call, form.value(TOKEN))
        if isinstance(found, str):
            return self._closed(call, form, found)
        return self.render(call, form, {"link": found}, status=status)

    async def failed(self, call: Call, form: Form, fault: Faulty | RouterError) -> web.Response:
        """Explain a link that was used up, ran out or was withdrawn before the form came."""
        if isinstance(fault, RouterError) and fault.code.startswith(_FAULT):
            return self._closed(call, form, fault.code.removeprefix(_FAULT))
        return await super().failed(call, form, fault)

    def _closed(self, call: Call, form: Form, fault: str) -> web.Response:
        facts = {"kind": self.kind, "fault": fault, "signed_in": call.session is not None}
        status = 404 if fault == "unknown" else 410
        return self._desk.pages.show(
            call.request, call.visitor, "link.html", facts, here=self.address(form), status=status
        )
