"""``…/traffic`` and ``…/upstreams``: how a tenant's portal does, of late and just now."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from router.console.api.bodies import Body
from router.console.api.operation import Call, Operation, Reply
from router.console.scopes import Scope
from router.storage.traffic import SPAN

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.console.use_cases import Look
    from router.observe.upstreams import UpstreamHealth
    from router.storage.traffic import Span, TrafficLog

_HOUR = 3600


class TrafficQuery(Body):
    """How far back to look."""

    hours: int = Field(6, ge=1, le=48, description="How many hours back.")


class TrafficSpan(BaseModel):
    """What came within five minutes."""

    at: datetime = Field(description="When they began.")
    requests: int
    refused: int = Field(description="Answered 4xx.")
    failed: int = Field(description="Answered 5xx.")
    sign_ins: int
    p50_ms: int | None = Field(description="Half of the visits took at most so long; none: there were none.")
    p99_ms: int | None = Field(description="All but one in a hundred took at most so long.")


class TrafficFacts(BaseModel):
    """The latest hours, the oldest span first; the last one is still being counted."""

    span_seconds: int
    items: list[TrafficSpan]


class UpstreamState(BaseModel):
    """How an upstream is: as visits found it, and as it answered this call."""

    url: str
    weight: int
    well: bool = Field(description="Whether it answered as the tenant's check wants it.")
    passed_over: bool = Field(description="Whether visits go to the others, as the worker asked knows it.")
    busy: int = Field(description="Visits under way there, or waiting, from the worker asked.")
    path: str = Field(description="What it was asked for.")
    expected: int | None = Field(description="The status that the tenant's check wants.")
    status: int | None = Field(description="The status it answered with; none: it did not.")
    milliseconds: float | None
    fault: str = Field(description="Why it did not answer.")


class UpstreamStates(BaseModel):
    """The upstreams, in the order of the tenant's settings; the platform's where the tenant has none."""

    items: list[UpstreamState]


class TrafficEndpoint:
    """Tells of traffic and of upstreams; ``look`` asks the upstreams."""

    def __init__(self, log: TrafficLog, look: Look, *, clock: Callable[[], float] = time.time) -> None:
        self._log = log
        self._look = look
        self._clock = clock

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        return (
            Operation(
                "GET",
                "/tenants/{tenant}/traffic",
                Scope.TENANTS_READ,
                self._of_tenant,
                "See how many visits a portal had of late, and how they went",
                query=TrafficQuery,
                answer=TrafficFacts,
            ),
            Operation(
                "GET",
                "/traffic",
                Scope.TENANTS_READ,
                self._of_all,
                "The same for all portals together",
                query=TrafficQuery,
                answer=TrafficFacts,
                platform=True,
            ),
            Operation(
                "GET",
                "/tenants/{tenant}/upstreams",
                Scope.TENANTS_READ,
                self._upstreams,
                "Ask a tenant's upstreams how they are",
                answer=UpstreamStates,
            ),
        )

    async def _of_tenant(self, call: Call[None, TrafficQuery]) -> Reply:
        return await self._read(call.admitted.tenant.id, call.query.hours)

    async def _of_all(self, call: Call[None, TrafficQuery]) -> Reply:
        return await self._read(None, call.query.hours)

    async def _upstreams(self, call: Call[None, None]) -> Reply:
        found = await self._look(call.admitted.tenant)
        return Reply(UpstreamStates(items=[_state(each) for each in found]))

    async def _read(self, tenant_id: str | None, hours: int) -> Reply:
        now = self._clock()
        spans = await self._log.read(tenant_id, now - hours * _HOUR, now)
        return Reply(TrafficFacts(span_seconds=SPAN, items=[_told(span) for span in spans]))


def _told(span: Span) -> TrafficSpan:
    return TrafficSpan(
        at=datetime.fromtimestamp(span.at, UTC),
        requests=span.requests,
        refused=span.refused,
        failed=span.failed,
        sign_ins=span.sign_ins,
        p50_ms=span.p50,
        p99_ms=span.p99,
    )


def _state(found: UpstreamHealth) -> UpstreamState:
    return UpstreamState(
        url=found.url,
        weight=found.weight,
        well=found.well,
        passed_over=found.passed_over,
        busy=found.busy,
        path=found.path,
        expected=found.expected,
        status=found.status,
        milliseconds=found.milliseconds,
        fault=found.fault,
    )
