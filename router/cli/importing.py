"""``tenant-router import``: thousands of tenants from a table, and a report of the lines that are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from router.cli.apply import Check, Yes, carry_out, report, summary
from router.cli.asking import confirmed, progress
from router.cli.output import AsJson, BadFile, Exit, FileFault, answer, show_list
from router.errors import BadInput
from router.tenants.plan import counted

if TYPE_CHECKING:
    from router.cli.stores import Stores
    from router.cli.tenant_table import TenantTable
    from router.tenants.plan import Step
    from router.tenants.wishes import Draft, Failure

_AT_ONCE: Final = 500
"""Tenants in one transaction: others wait for it, so it is to last a second at most."""
_SHOWN: Final = 20


async def import_(
    file: Annotated[
        Path,
        Parameter(
            allow_leading_hyphen=True, help="A CSV file, its first line the columns; - for standard input."
        ),
    ],
    /,
    *,
    report_to: Annotated[
        Path | None,
        Parameter(name="--report", help="Write the lines that are wrong into a file: .csv, or .json."),
    ] = None,
    all_or_nothing: Annotated[
        bool, Parameter(negative=(), help="Change nothing when a line is wrong.")
    ] = False,
    yes: Yes = False,
    check: Check = False,
    as_json: AsJson = False,
) -> int:
    """Add and change tenants by a table, a line each. An empty cell leaves a field as it is.

    Columns are called as the fields of `export` are: slug, name,
    theme_colour, upstreams (several with | between them), external_domain,
    allow_registration and so on. Lines that are wrong are left out, and told:
    then it exits with 1. The same again changes nothing.

    For example:
        tenant-router import tenants.csv --report wrong.csv --yes
    """
    from router.cli.stores import actor, opened  # noqa: PLC0415 - --help does without the database
    from router.cli.tenant_table import read_table  # noqa: PLC0415 - the same

    table = read_table(file)
    async with opened() as stores:
        draft = await _draft(stores, table, quiet=as_json)
        faults = table.located(draft.faults)
        tell_faults(faults, report_to, quiet=as_json)
        if faults and all_or_nothing:
            raise BadFile(table.name, faults)
        orders = draft.orders
        if not as_json:
            print(plan_told(draft.steps, faults))
        if check or not orders:
            tell_done(draft.steps, faults, (), said="Nothing was changed.", as_json=as_json)
            return exit_of(faults, pending=bool(orders))
        refused = confirmed("Do that?", yes=yes, as_json=as_json)
        if refused is not None:
            return refused
        failures = await carry_out(stores, orders, who=actor(), quiet=as_json, at_once=_AT_ONCE)
    failed = [*faults, *failed_lines(failures, table)]
    if failures:
        tell_faults(failed, report_to, quiet=as_json)
    tell_done(draft.steps, failed, failures, said=summary(draft.steps, failures), as_json=as_json)
    return exit_of(failed, pending=False)


async def _draft(stores: Stores, table: TenantTable, *, quiet: bool) -> Draft:
    with progress("Judging", len(table.wishes), quiet=quiet) as shown:
        return await stores.wishes.draft(table.wishes, lambda: shown(1))


def tell_faults(faults: Sequence[FileFault], path: Path | None, *, quiet: bool) -> None:
    """Report the lines that are wrong. Raises ``BadInput("file_unwritable")``."""
    from router.cli.tenant_table import spell_report  # noqa: PLC0415 - see import_

    if path is not None:
        try:
            path.write_text(spell_report(faults, path), "utf-8", newline="")
        except OSError as fault:
            raise BadInput("file_unwritable", f"{path} cannot be written: {fault.strerror}.") from fault
    if faults and not quiet:
        rows = [
            {"line": each.line, "column": each.where, "sentence": each.sentence, "code": each.code}
            for each in faults[:_SHOWN]
        ]
        show_list(rows, ("line", "column", "code", "sentence"), as_json=False, none="")
        if len(faults) > _SHOWN:
            print(f"… and {len(faults) - _SHOWN} faults more: --report FILE writes them all.")


def plan_told(steps: Sequence[Step], faults: Sequence[FileFault]) -> str:
    """Tell in one line what is going to be done."""
    found = counted(steps)
    wrong = len({fault.line for fault in faults})
    told = f"{found['add']} to add, {found['change']} to change, {found['unchanged']} as they are"
    return f"{told}, {wrong} lines wrong." if wrong else f"{told}."


def tell_done(
    steps: Sequence[Step],
    faults: Sequence[FileFault],
    failures: Sequence[Failure],
    *,
    said: str,
    as_json: bool,
) -> None:
    """Tell what was done, and which lines were left out."""
    wrong = [
        {"line": each.line, "column": each.where, "code": each.code, "sentence": each.sentence}
        for each in faults
    ]
    answer({**report(steps, failures), "faults": wrong}, said, as_json=as_json)


def failed_lines(failures: Sequence[Failure], table: TenantTable) -> list[FileFault]:
    """Say on which lines what could not be done is."""
    lines = {wish.slug: line for wish, line in zip(table.wishes, table.lines, strict=True)}
    return [FileFault(lines[each.slug], "-", each.code, each.sentence) for each in failures]


def exit_of(faults: Sequence[FileFault], *, pending: bool) -> Exit:
    """Find the exit code of an import."""
    if pending:
        return Exit.PENDING
    return Exit.WRONG if faults else Exit.OK
