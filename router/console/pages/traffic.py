"""``/tenants/{tenant}/traffic``: what came of late, how it went and how long it took."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Final

from router.console.pages.page import Page
from router.console.plots import HEIGHT, WIDTH, line, stacked, top_of
from router.console.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aiohttp import web

    from router.console.pages.page import Call, Desk
    from router.storage.traffic import Span, TrafficLog

_HOUR: Final = 3600
_REACHES: Final = {"1": 300, "6": 300, "24": 900, "48": 1800}
"""Seconds of one bar, by how many hours are shown."""

_USUAL: Final = "6"


class TrafficPage(Page):
    """A tenant's traffic."""

    path: ClassVar = "/tenants/{tenant}/traffic"
    template: ClassVar = "traffic.html"
    title: ClassVar = "Traffic"
    section: ClassVar = "traffic"
    scope: ClassVar = Scope.TENANTS_READ

    def __init__(self, desk: Desk, log: TrafficLog, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(desk)
        self._log = log
        self._clock = clock

    async def facts(self, call: Call) -> Mapping[str, object]:
        """Read the hours that are asked for."""
        reach = reach_of(call.request)
        return await traffic_facts(self._log, call.admitted.tenant.id, reach, self._clock())


def reach_of(request: web.Request) -> str:
    """Say how many hours are asked for; what is not offered is the usual."""
    asked = request.query.get("hours", "")
    return asked if asked in _REACHES else _USUAL


async def traffic_facts(log: TrafficLog, tenant_id: str | None, reach: str, now: float) -> dict[str, object]:
    """Collect what ``plots.html`` draws, of a tenant or of all together, for so many hours."""
    spans = await log.read(tenant_id, now - int(reach) * _HOUR, now, span=_REACHES[reach])
    minutes = _REACHES[reach] // 60
    return {"reach": reach, "reaches": tuple(_REACHES), "minutes": minutes, "spans": spans} | _plotted(spans)


def _plotted(spans: Sequence[Span]) -> dict[str, object]:
    good = [span.requests - span.refused - span.failed for span in spans]
    most = top_of([span.requests for span in spans])
    slowest = top_of([span.p99 or 0 for span in spans])
    layers = stacked([good, [span.refused for span in spans], [span.failed for span in spans]], most)
    return {
        "box": (WIDTH, HEIGHT),
        "bars": dict(zip(("served", "refused", "failed"), layers, strict=True)),
        "visits": most,
        "lines": {
            "p50": line([span.p50 for span in spans], slowest),
            "p99": line([span.p99 for span in spans], slowest),
        },
        "times": slowest,
        "sums": {
            name: sum(getattr(span, name) for span in spans)
            for name in ("requests", "refused", "failed", "sign_ins")
        },
    }
