"""``tenant-router export`` and ``apply``: tenants as files, which say how the tenants are to be."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from router.cli.asking import confirmed, progress
from router.cli.output import AsJson, Exit, Record, answer, complain, show_list
from router.errors import BadInput, NotFound, Unavailable

if TYPE_CHECKING:
    from router.cli.stores import Stores
    from router.cli.tenant_file import TenantFile
    from router.tenants.entry import TenantEntry
    from router.tenants.plan import Step
    from router.tenants.registry import Order
    from router.tenants.wishes import Draft, Failure

Yes = Annotated[bool, Parameter(name="--yes", negative=(), help="Do not ask.")]
Check = Annotated[
    bool,
    Parameter(
        negative=(), help="Change nothing; exit with 8 when there is something to do, with 0 when not."
    ),
]

_SHOWN: Final = 200
"""Rows of a plan that people are shown; more is told by numbers, and by --json."""
_LONGEST: Final = 60
"""Characters of a value in a plan's table."""


async def export(
    *,
    tenant: Annotated[
        list[str] | None,
        Parameter(negative=(), help="A tenant's short name; may be repeated. All by default."),
    ] = None,
    output: Annotated[
        Path | None, Parameter(name=("--output", "-o"), help="Write into a file instead of standard output.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write tenants as a file that `apply` reads: each field that is not as by default.

    Pictures, users and certificates are not in it, nor are any secrets.
    With --json the same is written as JSON.

    For example:
        tenant-router export --tenant acme -o tenants.yaml
    """
    from router.cli.stores import opened  # noqa: PLC0415 - --help does without the database
    from router.tenants.entry import entry_of  # noqa: PLC0415 - the same

    async with opened() as stores:
        found = await _chosen(stores, tenant)
    entries = [entry_of(record.tenant, record.claims) for record in found]
    write_export(entries, output, as_json=as_json)


async def apply(
    *,
    file: Annotated[
        Path, Parameter(name=("--file", "-f"), help="What `export` wrote; - for standard input, with --yes.")
    ],
    yes: Yes = False,
    check: Check = False,
    as_json: AsJson = False,
) -> int:
    """Make tenants as a file says. What it does not say of a tenant is as by default.

    The plan is shown before anything is done. Each tenant is one
    transaction; the same again changes nothing, and goes on where it was
    interrupted. Tenants that are not in the file stay as they are.

    For example:
        tenant-router apply -f tenants.yaml --check
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - see export
    from router.cli.tenant_file import read_tenants  # noqa: PLC0415 - see export

    read = read_tenants(file)
    async with opened() as stores:
        draft = await _draft(stores, read, quiet=as_json)
        orders = draft.orders
        if not as_json:
            show_plan(draft.steps)
        if check or not orders:
            answer(report(draft.steps), nothing_done(orders), as_json=as_json)
            return Exit.PENDING if orders else Exit.OK
        refused = confirmed("Do that?", yes=yes, as_json=as_json)
        if refused is not None:
            return refused
        failures = await carry_out(stores, orders, who=actor(), quiet=as_json)
    return tell_done(draft.steps, failures, as_json=as_json)


def write_export(entries: Sequence[TenantEntry], output: Path | None, *, as_json: bool) -> None:
    """Write a file of tenants, or onto the screen. Raises ``BadInput("file_unwritable")``."""
    from router.cli.tenant_file import spell_tenants  # noqa: PLC0415 - see export

    text = spell_tenants(entries, as_json=as_json)
    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text, "utf-8")
    except OSError as fault:
        raise BadInput("file_unwritable", f"{output} cannot be written: {fault.strerror}.") from fault
    many = "One tenant was" if len(entries) == 1 else f"{len(entries)} tenants were"
    print(f"{many} written to {output}.", file=sys.stderr)


async def carry_out(
    stores: Stores, orders: Sequence[Order], *, who: str, quiet: bool, at_once: int = 1
) -> list[Failure]:
    """Do what was ordered, with progress. Raises ``Unavailable``, saying how far it came."""
    done = 0
    with progress("Tenants", len(orders), quiet=quiet) as shown:

        def count(more: int) -> None:
            nonlocal done
            done += more
            shown(more)

        try:
            return await stores.wishes.carry_out(orders, actor=who, at_once=at_once, on_done=count)
        except Unavailable as fault:
            so_far = f" {done} of {len(orders)} were done, and stay: the same again goes on from there."
            raise Unavailable(fault.code, fault.sentence + so_far) from fault.__cause__


def show_plan(steps: Sequence[Step]) -> None:
    """Show people what is going to be done, field by field."""
    rows = [row for step in steps if step.act != "unchanged" for row in _rows(step)]
    if rows:
        show_list(rows[:_SHOWN], ("tenant", "act", "field", "from", "to"), as_json=False, none="")
    if len(rows) > _SHOWN:
        print(f"… and {len(rows) - _SHOWN} rows more: --json has them all.")


def report(steps: Sequence[Step], failures: Sequence[Failure] = ()) -> Record:
    """Tell programs the plan, and what became of it."""
    from router.tenants.plan import counted  # noqa: PLC0415 - see export

    changes = [
        {
            "tenant": step.slug,
            "act": step.act,
            "fields": {each.field: {"from": each.was, "to": each.wished} for each in step.differences},
        }
        for step in steps
        if step.act != "unchanged"
    ]
    failed = [{"tenant": each.slug, "code": each.code, "sentence": each.sentence} for each in failures]
    counts: dict[str, int] = {**counted(steps)} | {"failed": len(failed)}
    return {"counts": counts, "changes": changes, "failed": failed}


def summary(steps: Sequence[Step], failures: Sequence[Failure] = ()) -> str:
    """Tell what was done in one line."""
    from router.tenants.plan import counted  # noqa: PLC0415 - see export

    failed = {each.slug for each in failures}
    done = counted(step for step in steps if step.slug not in failed)
    said = f"{done['add']} added, {done['change']} changed, {done['unchanged']} unchanged"
    return f"{said}, {len(failures)} failed." if failures else f"{said}."


async def _draft(stores: Stores, read: TenantFile, *, quiet: bool) -> Draft:
    """Judge and plan a whole file. Raises ``BadFile`` with all its faults."""
    from router.tenants.wishes import wish_of  # noqa: PLC0415 - see export

    wishes = [wish_of(entry) for entry in read.entries]
    with progress("Judging", len(wishes), quiet=quiet) as shown:
        draft = await stores.wishes.draft(wishes, lambda: shown(1))
    read.check(draft.faults)
    return draft


def nothing_done(orders: Sequence[object]) -> str:
    """Tell that nothing was changed, and how much there is to do."""
    if not orders:
        return "Nothing to do: everything is as the file says."
    return f"Tenants to add or change: {len(orders)}. Nothing was changed."


def tell_done(steps: Sequence[Step], failures: Sequence[Failure], *, as_json: bool) -> Exit:
    """Tell what was done, and what could not be."""
    answer(report(steps, failures), summary(steps, failures), as_json=as_json)
    if not as_json:
        for failure in failures:
            complain(failure.code, f"{failure.slug}: {failure.sentence}", as_json=False)
    return Exit.CONFLICT if failures else Exit.OK


def _rows(step: Step) -> list[dict[str, Any]]:
    return [
        {
            "tenant": step.slug,
            "act": step.act,
            "field": each.field,
            "from": _short(each.was) if step.act == "change" else "",
            "to": _short(each.wished),
        }
        for each in step.differences
    ]


def _short(value: object) -> object:
    if isinstance(value, list):
        return [_short(each) for each in value]
    text = value if isinstance(value, bool) else str(value)
    return f"{text[:_LONGEST]}…" if isinstance(text, str) and len(text) > _LONGEST else text


async def _chosen(stores: Stores, slugs: Sequence[str] | None) -> Sequence[Any]:
    if not slugs:
        return await stores.registry.list()
    found = await stores.registry.named(list(dict.fromkeys(slugs)))
    missing = set(slugs) - {record.tenant.slug for record in found}
    if missing:
        raise NotFound("tenant_not_found", f"There is no tenant “{min(missing)[:60]}”.")
    return found
