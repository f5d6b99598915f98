"""``/audit`` and ``/audit.jsonl``: who did what; who is bound to a tenant reads that tenant's lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field

from router.console.api.bodies import Body, Printable
from router.console.api.lists import Paging, piece, place_of
from router.console.api.operation import Call, Operation, Reply
from router.console.scopes import Scope
from router.errors import NotFound
from router.storage.audit_trail import AuditFilter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router.console.principal import Principal
    from router.storage.audit_trail import AuditLine, AuditTrail

_Text = Annotated[Printable, Field(max_length=120)]


class AuditQuery(Body):
    """Which lines are wanted: those that all of this is true of."""

    tenant: _Text | None = Field(None, description="A tenant's short name; of one that is gone, its id.")
    actor: _Text | None = Field(None, description="Who did it.", examples=["operator:ada@example.com"])
    action: _Text | None = Field(
        None, description="What was done: one action, or what some begin with.", examples=["tenant"]
    )
    since: AwareDatetime | None = Field(None, description="From then on.")
    until: AwareDatetime | None = Field(None, description="Before then.")


class AuditPaging(AuditQuery, Paging):
    """Which lines are wanted, and which piece of them."""


class AuditEntry(BaseModel):
    """Who did what to whom, from where, and how it was and is."""

    sequence: int
    at: datetime
    actor: str = Field(description="`operator:…`, `token:…`, `cli:…`, `user:…`, `link:…` or `router`.")
    address: str | None = Field(description="From where; none: from the router's own machine.")
    action: str
    subject: str = Field(description="The id of what it was done to.")
    tenant: str | None = Field(description="Whose that is, as long as there is such a tenant.")
    tenant_id: str | None = Field(description="Whose that is or was; none: the platform's.")
    detail: dict[str, Any]


class AuditEntries(BaseModel):
    """Some lines of the audit, the newest first."""

    items: list[AuditEntry]
    next: str | None


class AuditEndpoint:
    """Tells what was done."""

    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail

    def operations(self) -> tuple[Operation, ...]:
        """Say what can be done."""
        return (
            Operation(
                "GET",
                "/audit",
                Scope.AUDIT_READ,
                self._list,
                "Read the audit, the newest lines first",
                query=AuditPaging,
                answer=AuditEntries,
                fails=("bad_cursor", "tenant_not_found"),
            ),
            Operation(
                "GET",
                "/audit.jsonl",
                Scope.AUDIT_READ,
                self._export,
                "Take the audit away as JSON lines, the oldest first",
                query=AuditQuery,
                answer=AuditEntry,
                streams="application/jsonl",
                fails=("tenant_not_found",),
            ),
        )

    async def _list(self, call: Call[None, AuditPaging]) -> Reply:
        """Without filters, all that the token may read."""
        query = call.query
        before = int(place_of(query.after, int)[0]) if query.after is not None else None
        wanted = await self._wanted(call.principal, query)
        lines = await self._trail.page(wanted, most=query.limit + 1, before=before)
        rows, following = piece(lines, query.limit, lambda line: (line.sequence,))
        return Reply(AuditEntries(items=[_entry(line) for line in rows], next=following))

    async def _export(self, call: Call[None, AuditQuery]) -> Reply:
        """All there are at the moment of the call, sent while they are read: any number of them."""
        wanted = await self._wanted(call.principal, call.query)
        headers = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
        return Reply(stream=self._octets(wanted), headers=headers)

    async def _octets(self, wanted: AuditFilter) -> AsyncIterator[bytes]:
        async for line in self._trail.stream(wanted):
            yield json_line(line)

    async def _wanted(self, principal: Principal, query: AuditQuery) -> AuditFilter:
        return AuditFilter(
            tenant_id=await self._whose(principal, query.tenant),
            actor=query.actor,
            action=query.action,
            since=int(query.since.timestamp()) if query.since is not None else None,
            until=int(query.until.timestamp()) if query.until is not None else None,
        )

    async def _whose(self, principal: Principal, named: str | None) -> str | None:
        if named is None:
            return principal.tenant_id
        if principal.tenant_id is None:
            return await self._trail.tenant_named(named)
        if named not in (principal.slug, principal.tenant_id):
            raise NotFound("tenant_not_found", f"There is no tenant “{named[:60]}”.")
        return principal.tenant_id


def json_line(line: AuditLine) -> bytes:
    """Write a line as one of JSON (https://jsonlines.org)."""
    return json.dumps(_entry(line).model_dump(mode="json"), ensure_ascii=False).encode() + b"\n"


def _entry(line: AuditLine) -> AuditEntry:
    return AuditEntry(
        sequence=line.sequence,
        at=datetime.fromtimestamp(line.at, UTC),
        actor=line.actor,
        address=line.address,
        action=line.action,
        subject=line.subject,
        tenant=line.slug,
        tenant_id=line.tenant_id,
        detail=dict(line.detail),
    )
