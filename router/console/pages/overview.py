"""The platform as a whole: what needs attention, what comes in, and why a hostname gets what it gets."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from router.console.diagnosis import Shown
from router.console.pages.page import Fault, Form, Page
from router.console.pages.traffic import reach_of, traffic_facts
from router.console.scopes import Scope
from router.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from router.console.attention import Attention
    from router.console.inquiry import Explainer
    from router.console.pages.page import Call, Desk
    from router.storage.traffic import TrafficLog

_LONGEST: Final = 2000
_KINDS: Final = MappingProxyType(
    {
        "worker_fault": ("worker", "bad"),
        "certificate_expired": ("certificate expired", "bad"),
        "upstream_failing": ("upstream failing", "bad"),
        "domain_moved": ("domain moved", "bad"),
        "certificate_expiring": ("certificate expiring", "warn"),
        "domain_conflict": ("domain in conflict", "warn"),
        "domain_lost": ("domain lost", "warn"),
        "mail_failed": ("mail failed", "warn"),
        "webhook_failing": ("webhook failing", "warn"),
    }
)


class OverviewPage(Page):
    """``/overview``."""

    path: ClassVar = "/overview"
    template: ClassVar = "overview.html"
    title: ClassVar = "Overview"
    section: ClassVar = "overview"
    scope: ClassVar = Scope.TENANTS_READ
    platform: ClassVar = True

    def __init__(
        self,
        desk: Desk,
        attention: Attention,
        log: TrafficLog,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(desk)
        self._attention = attention
        self._log = log
        self._clock = clock

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Gather it."""
        found = await self._attention.look()
        more = [_KINDS[kind][0] for kind in found.more]
        traffic = await traffic_facts(self._log, None, reach_of(call.request), self._clock())
        return {"matters": found.matters, "more": more, "kinds": _KINDS, **traffic}


class ExplainPage(Page):
    """``/explain``: the whole decision for a host and a path; nothing is changed by asking."""

    path: ClassVar = "/explain"
    template: ClassVar = "explain.html"
    title: ClassVar = "Explain"
    section: ClassVar = "explain"
    scope: ClassVar = Scope.TENANTS_READ
    platform: ClassVar = True

    def __init__(self, desk: Desk, explainer: Explainer) -> None:
        super().__init__(desk)
        self._explainer = explainer

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Explain what is asked for, if anything is."""
        query = call.request.query
        asked = {"host": query.get("host", "").strip(), "path": query.get("path", "").strip() or "/"}
        asked = {name: value[:_LONGEST] for name, value in asked.items()}
        if not asked["host"]:
            return {"form": Form(asked), "found": None, "certificate": None}
        try:
            found = await self._explainer.explain(asked["host"], asked["path"])
        except BadInput as fault:
            faults = {each.field or "form": Fault(each.code, each.sentence) for each in fault.faults}
            return {"form": Form(asked, faults), "found": None, "certificate": None}
        shown = found.facts.shown
        return {
            "form": Form(asked),
            "found": found,
            "certificate": shown if isinstance(shown, Shown) else None,
        }
