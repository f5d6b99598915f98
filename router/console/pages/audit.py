"""``/audit`` and ``/tenants/{tenant}/audit``: who did what to whom, from where, and how it was and is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlencode

from router.console.api.lists import piece, place_of
from router.console.pages.page import Page
from router.console.scopes import Scope
from router.errors import BadInput
from router.storage.audit_trail import AuditFilter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.console.pages.page import Call, Desk
    from router.storage.audit_trail import AuditLine, AuditTrail

_AT_ONCE: Final = 50
_LONGEST: Final = 120


class AuditPage(Page):
    """The audit of everything."""

    path: ClassVar = "/audit"
    template: ClassVar = "audit.html"
    title: ClassVar = "Audit"
    section: ClassVar = "audit"
    scope: ClassVar = Scope.AUDIT_READ
    platform: ClassVar = True

    def __init__(self, desk: Desk, trail: AuditTrail) -> None:
        super().__init__(desk)
        self._trail = trail

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Read a piece of it, the newest lines first."""
        asked = {name: call.request.query.get(name, "").strip()[:_LONGEST] for name in ("actor", "action")}
        here, kept = call.address(self.path), {name: value for name, value in asked.items() if value}
        after = call.request.query.get("after", "")
        facts = {"asked": asked, "first": f"{here}?{urlencode(kept)}" if after else ""}
        if not all(value.isprintable() for value in asked.values()):
            return facts | {"lines": [], "fault": "A search is for printable characters.", "next": ""}
        try:
            lines, following = await self._read(await self._wanted(call, asked), after)
        except BadInput as fault:
            return facts | {"lines": [], "fault": fault.sentence, "next": ""}
        onward = f"{here}?{urlencode({**kept, 'after': following})}" if following else ""
        return facts | {"lines": [(line, _told(line.detail)) for line in lines], "fault": "", "next": onward}

    async def _wanted(self, call: Call, asked: Mapping[str, str]) -> AuditFilter:
        return AuditFilter(
            tenant_id=call.within, actor=asked["actor"] or None, action=asked["action"] or None
        )

    async def _read(self, wanted: AuditFilter, after: str) -> tuple[Sequence[AuditLine], str | None]:
        before = int(place_of(after, int)[0]) if after else None
        lines = await self._trail.page(wanted, most=_AT_ONCE + 1, before=before)
        return piece(lines, _AT_ONCE, lambda line: (line.sequence,))


class TenantAuditPage(AuditPage):
    """The audit of one tenant."""

    path: ClassVar = "/tenants/{tenant}/audit"
    section: ClassVar = "tenant-audit"
    platform: ClassVar = False


def _told(detail: Mapping[str, object]) -> list[tuple[str, str]]:
    """Write how it was and is: one line for each thing that the audit tells."""
    told = []
    for name, value in detail.items():
        if isinstance(value, dict) and value.keys() == {"from", "to"}:
            told.append((name, f"{_written(value['from'])} → {_written(value['to'])}"))
        else:
            told.append((name, _written(value)))
    return told


def _written(value: object) -> str:
    match value:
        case None | "" | [] | {}:
            return "\N{EN DASH}"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_written(each) for each in value)
        case dict():
            return ", ".join(f"{name}: {_written(each)}" for name, each in value.items())
        case _:
            return str(value)
