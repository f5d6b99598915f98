"""``tenant-router audit``: list, export."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from router.cli.output import AsJson, show_list, when
from router.errors import BadInput

if TYPE_CHECKING:
    from router.cli.stores import Stores
    from router.storage.audit_trail import AuditFilter, AuditLine, AuditTrail

app = App(name="audit", help="The audit, who did what: list, export.")


@Parameter(name="*")  # each field is an option of its own, without a prefix
@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """Which lines are wanted: those that all of it is true of."""

    tenant: Annotated[
        str | None, Parameter(help="Those of one tenant: its short name or, of one that is gone, its id.")
    ] = None
    actor: Annotated[str | None, Parameter(help="Who did it, such as operator:ada@example.com.")] = None
    action: Annotated[
        str | None, Parameter(help="What was done: tenant.change, or tenant for all that begin so.")
    ] = None
    since: Annotated[str | None, Parameter(help="From then on: 2026-11-01, or 2026-11-01T08:00Z.")] = None
    until: Annotated[str | None, Parameter(help="Before then.")] = None

    @property
    def times(self) -> tuple[int | None, int | None]:
        """From when until when, in unix seconds. Raises ``BadInput("bad_time")``."""
        return _read_time(self.since), _read_time(self.until)


@app.command(name="list")
async def list_(
    *,
    options: AuditOptions | None = None,
    most: Annotated[int, Parameter(help="How many lines at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the latest lines of the audit, the newest first.

    For example:
        tenant-router audit list --tenant acme --action domain
    """
    from router.cli.stores import opened  # noqa: PLC0415 - --help does without the database

    async with opened() as stores:
        trail, wanted = await _wanted(stores, options or AuditOptions())
        lines = await trail.page(wanted, most=max(0, most))
    show_lines([described(line) for line in lines], as_json=as_json)


@app.command
async def export(
    *,
    options: AuditOptions | None = None,
    output: Annotated[
        Path | None, Parameter(name=("--output", "-o"), help="Write into a file instead of standard output.")
    ] = None,
    as_json: AsJson = False,  # noqa: ARG001 - it is JSON ever
) -> None:
    """Write the audit as JSON lines, the oldest first.

    For example:
        tenant-router audit export --since 2026-11-01 -o audit.jsonl
    """
    from router.cli.stores import opened  # noqa: PLC0415 - see list_

    async with opened() as stores:
        trail, wanted = await _wanted(stores, options or AuditOptions())
        with writing(output) as file:
            async for line in trail.stream(wanted):
                file.write(json.dumps(described(line), ensure_ascii=False) + "\n")


def described(line: AuditLine) -> dict[str, Any]:
    """Describe a line as the API does."""
    return {
        "sequence": line.sequence,
        "at": when(line.at),
        "actor": line.actor,
        "address": line.address,
        "action": line.action,
        "subject": line.subject,
        "tenant": line.slug,
        "tenant_id": line.tenant_id,
        "detail": dict(line.detail),
    }


def show_lines(lines: list[dict[str, Any]], *, as_json: bool) -> None:
    """Show lines; people are told the detail in short."""
    if not as_json:
        lines = [line | {"detail": _short(line["detail"])} for line in lines]
    columns = ("at", "actor", "address", "action", "tenant", "detail")
    show_list(lines, columns, as_json=as_json, none="There are no such lines.")


def writing(output: Path | None) -> AbstractContextManager[IO[str]]:
    """Open a file to write to, or standard output. Raises ``BadInput("file_unwritable")``."""
    if output is None:
        return nullcontext(sys.stdout)
    try:
        return output.open("w", encoding="utf-8")
    except OSError as fault:
        raise BadInput("file_unwritable", f"{output} cannot be written: {fault.strerror}.") from fault


async def _wanted(stores: Stores, options: AuditOptions) -> tuple[AuditTrail, AuditFilter]:
    from router.storage.audit_trail import AuditFilter, AuditTrail  # noqa: PLC0415 - see list_

    trail, (since, until) = AuditTrail(stores.database), options.times
    tenant_id = None if options.tenant is None else await trail.tenant_named(options.tenant)
    return trail, AuditFilter(tenant_id, options.actor, options.action, since, until)


def _read_time(raw: str | None) -> int | None:
    """Read a date or a moment; without a time zone it is in UTC."""
    if raw is None:
        return None
    try:
        moment = datetime.fromisoformat(raw.strip())
    except ValueError as fault:
        sentence = f"“{raw[:40]}” is no time: write 2026-11-01, or 2026-11-01T08:00Z."
        raise BadInput("bad_time", sentence) from fault
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _short(detail: Mapping[str, Any]) -> str:
    """Write what changed in one line: ``name: Acme → Acme Inc.``."""
    return "; ".join(f"{name}: {_change(value)}" for name, value in detail.items())[:200]


def _change(value: object) -> str:
    if isinstance(value, dict) and set(value) == {"from", "to"}:
        return f"{_value(value['from'])} → {_value(value['to'])}"
    return _value(value)


def _value(value: object) -> str:
    return (
        "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    )
