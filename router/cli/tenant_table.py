"""Tenants as a table, CSV: a line a tenant, a column a field, and which cell is wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from router.cli.output import BadFile, FileFault
from router.cli.tenant_file import read_text
from router.errors import BadInput
from router.tenants.branding import BrandingForm
from router.tenants.form import TenantForm
from router.tenants.forwarding import ForwardingForm
from router.tenants.wishes import Wish, WishFault

_BRANDING: Final = frozenset(each.name for each in fields(BrandingForm)) - {"logo", "favicon"}
_FORWARDING: Final = frozenset(each.name for each in fields(ForwardingForm)) - {"upstream_ca"}
_OWN: Final = frozenset(each.name for each in fields(TenantForm)) - {"branding", "forwarding"}
COLUMNS: Final = frozenset({"slug", "suspended"}) | _OWN | _BRANDING | _FORWARDING
"""What a column may be called: the field's name."""

_ALSO: Final = {
    "portal_address": "slug",  # as the API and the console call it
    "upstream": "upstreams",  # as the options are called
    "public_path": "public_paths",
}
_YES_OR_NO: Final = frozenset(
    {"suspended", "behind_cdn", "allow_registration", "keep_host", "rewrite_location", "maintenance"}
)
_LISTS: Final = frozenset({"upstreams", "public_paths", "websocket_origins", "answer_fields"})
_SEVERAL: Final = "|"
_WORDS: Final = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_LONGEST_CELL: Final = 131_072


@dataclass(frozen=True, slots=True)
class TenantTable:
    """What was read: the wishes that can be judged, on which lines they are, what is wrong with others."""

    name: str
    columns: tuple[str, ...]
    wishes: tuple[Wish, ...]
    lines: tuple[int, ...]
    faults: tuple[FileFault, ...]

    def located(self, judged: Iterable[WishFault]) -> list[FileFault]:
        """Give every fault of the table, by its line; ``judged`` are those of the wishes."""
        found = [
            FileFault(self.lines[fault.position], _column(fault.field), fault.code, fault.sentence)
            for fault in judged
        ]
        place = {column: index for index, column in enumerate(self.columns)}
        return sorted((*self.faults, *found), key=lambda fault: (fault.line, place.get(fault.where, -1)))


def read_table(path: Path) -> TenantTable:
    """Read a CSV file with a line of columns first; ``-`` is standard input. Empty cells say nothing.

    Raises ``BadInput("file_unreadable")``, and ``bad_file`` when its columns are wrong.
    """
    name = "standard input" if str(path) == "-" else str(path)
    text = read_text(path, name)
    csv.field_size_limit(_LONGEST_CELL)
    rows = csv.reader(io.StringIO(text, newline=""), _dialect(text), strict=True)
    wishes, lines, faults = [], [], []
    try:
        columns = _read_columns(next(rows, []), name)
        before = rows.line_num
        for row in rows:
            line, before = before + 1, rows.line_num
            if any(cell.strip() for cell in row):
                wish, wrong = _read_row(row, columns, line)
                faults += wrong
                if wish is not None:
                    wishes.append(wish)
                    lines.append(line)
    except csv.Error as fault:
        wrong_at = FileFault(rows.line_num, "-", "bad_csv", f"It is no CSV: {fault}.")
        raise BadFile(name, [wrong_at]) from fault
    return TenantTable(name, tuple(columns), tuple(wishes), tuple(lines), tuple(faults))


def spell_report(faults: Sequence[FileFault], path: Path) -> str:
    """Spell a report of bad lines: as JSON where the file's name says so, else as CSV."""
    if path.suffix == ".json":
        told = [{"line": each.line, "column": each.where, **_rest(each)} for each in faults]
        return f"{json.dumps(told, ensure_ascii=False, indent=2)}\n"
    out = io.StringIO(newline="")
    written = csv.writer(out)
    written.writerow(["line", "column", "code", "sentence"])
    written.writerows([each.line, each.where, each.code, each.sentence] for each in faults)
    return out.getvalue()


def _rest(fault: FileFault) -> Mapping[str, Any]:
    return {name: value for name, value in asdict(fault).items() if name in ("code", "sentence")}


def _dialect(text: str) -> type[csv.Dialect]:
    """Read what separates the cells off the first line: a comma, a semicolon or a tab."""

    class Read(csv.excel):
        delimiter = max(",;\t", key=text.partition("\n")[0].count)

    return Read


def _read_columns(row: Sequence[str], name: str) -> list[str]:
    given = [cell.strip().lower().replace("-", "_").replace(" ", "_") for cell in row]
    columns = [_ALSO.get(cell, cell) for cell in given]
    faults = [_unknown(column) for column in columns if column not in COLUMNS]
    faults += [
        FileFault(1, column, "duplicate_column", "It stands there more than once.")
        for column in sorted({each for each in columns if columns.count(each) > 1})
    ]
    if "slug" not in columns:
        faults.append(FileFault(1, "slug", "missing_column", "The tenants' short names are missing."))
    if faults:
        raise BadFile(name, faults)
    return columns


def _unknown(column: str) -> FileFault:
    close = get_close_matches(column, COLUMNS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(COLUMNS))}."
    return FileFault(1, column[:60] or "-", "unknown_column", f"There is no such column; {hint}")


def _read_row(row: Sequence[str], columns: Sequence[str], line: int) -> tuple[Wish | None, list[FileFault]]:
    if len(row) != len(columns):
        sentence = f"The line has {len(row)} cells, and there are {len(columns)} columns."
        return None, [FileFault(line, "-", "bad_line", sentence)]
    given: dict[str, Any] = {}
    faults = []
    for column, raw in zip(columns, row, strict=True):
        cell = raw.strip()
        if not cell:
            continue
        try:
            given[column] = _read_cell(column, cell)
        except BadInput as fault:
            faults.append(FileFault(line, column, fault.code, fault.sentence))
    if "slug" not in given:
        faults.append(FileFault(line, "slug", "missing_field", "The tenant's short name is missing."))
    return (None if faults else _wish(given)), faults


def _read_cell(column: str, cell: str) -> object:
    if column in _YES_OR_NO:
        if cell.lower() not in _WORDS:
            raise BadInput("bad_value", f"“{cell[:20]}” is neither yes nor no.")
        return _WORDS[cell.lower()]
    if column in _LISTS:
        return [each.strip() for each in cell.split(_SEVERAL) if each.strip()]
    return cell


def _wish(given: Mapping[str, Any]) -> Wish:
    def of(names: frozenset[str]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if name in names}

    form = TenantForm(
        **of(_OWN), branding=BrandingForm(**of(_BRANDING)), forwarding=ForwardingForm(**of(_FORWARDING))
    )
    return Wish(given["slug"], form, given.get("suspended"))


def _column(field: str) -> str:
    """Name the column of a field: that of ``branding.greeting`` is called greeting."""
    return field.rpartition(".")[2].partition("[")[0] or "-"
