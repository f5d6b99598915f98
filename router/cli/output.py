"""What a command answers: tables for people, JSON for programs, and the exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated, Final

from cyclopts import Parameter

from router.errors import BadInput, BadSettings, Conflict, NotFound, RouterError, Unavailable

AsJson = Annotated[
    bool,
    Parameter(name="--json", negative=(), show_default=False, help="Answer in JSON, errors too."),
]
"""The option that every command has."""

_PIPED_WIDTH: Final = 200
"""Columns of a table that goes into a pipe or a file: cut by nobody's window."""

Record = Mapping[str, object]


class Exit(IntEnum):
    """How a command ends, for scripts."""

    OK = 0
    WRONG = 1  # explain, domain verify, theme check or keys found something wrong
    USAGE = 2
    BAD_INPUT = 3
    NOT_FOUND = 4
    CONFLICT = 5
    UNAVAILABLE = 6
    TIMED_OUT = 7  # what was waited for did not come
    PENDING = 8  # --check: something is to be done
    UNCONFIRMED = 9  # somebody said no, or nobody could be asked


EXIT_CODES: Final = (
    "Exit codes: 0 done; 1 explain, domain verify, theme check or keys found something wrong, or import left "
    "lines out; 2 usage; 3 bad input or settings; 4 not found; 5 conflict; 6 unavailable (database, Redis, "
    "disk, the server); 7 domain wait or certificate upload --wait waited in vain; "
    "8 --check found something to do; 9 not confirmed."
)

_EXITS: Final[Sequence[tuple[type[RouterError], Exit]]] = (
    (BadSettings, Exit.BAD_INPUT),
    (BadInput, Exit.BAD_INPUT),
    (NotFound, Exit.NOT_FOUND),
    (Conflict, Exit.CONFLICT),
    (Unavailable, Exit.UNAVAILABLE),
)


class Usage(RouterError):  # noqa: N818 - named as its family is, after what happened
    """The options contradict one another, or one is missing."""


@dataclass(frozen=True, slots=True)
class FileFault:
    """What is wrong where in a file: the line counted from 1, the place as in ``tenants[3].theme_colour``."""

    line: int
    where: str
    code: str
    sentence: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.where}: {self.sentence} ({self.code})"


class BadFile(BadInput):
    """A file has faults, and nothing was changed."""

    def __init__(self, file: str, found: Sequence[FileFault]) -> None:
        many = "one fault" if len(found) == 1 else f"{len(found)} faults"
        super().__init__("bad_file", f"{file} has {many}: nothing was changed.")
        self.found = tuple(found)

    @property
    def lines(self) -> list[str]:
        """The faults for people, one a line."""
        return [str(fault) for fault in self.found]

    @property
    def details(self) -> list[Record]:
        """The faults for programs."""
        return [asdict(fault) for fault in self.found]


def exit_for(fault: RouterError) -> Exit:
    """Find the exit code that tells a script what kind of failure it was."""
    return next((code for kind, code in _EXITS if isinstance(fault, kind)), Exit.USAGE)


def complain(
    code: str,
    sentence: str,
    *,
    as_json: bool,
    cause: BaseException | None = None,
    faults: Sequence[Record] = (),
    lines: Sequence[str] = (),
) -> None:
    """Tell what went wrong, on standard error; a person at a terminal also gets to know the cause.

    Where it is several things, ``faults`` are for programs and ``lines`` for people.
    """
    if as_json:
        error = {"code": code, "sentence": sentence} | ({"faults": list(faults)} if faults else {})
        print(_json({"error": error}), file=sys.stderr)
        return
    print(f"Error: {sentence}", *lines, sep="\n  ", file=sys.stderr)
    if cause is not None:
        # The driver's own words alone: SQLAlchemy's hold the statement and its parameters.
        origin = getattr(cause, "orig", None) or cause
        print(f"Cause: {type(origin).__name__}: {origin}", file=sys.stderr)


def answer(data: object, *sentences: str, as_json: bool) -> None:
    """Answer with the data for programs, or with sentences for people."""
    if as_json:
        print(_json(data))
    else:
        for sentence in sentences:
            print(sentence)


def show_record(record: Record, *, as_json: bool, told: Record | None = None) -> None:
    """Show one thing, a field a line; ``told`` is how people are told of it, where that is not the same."""
    if as_json:
        print(_json(record))
    else:
        _table([[_label(field), _cell(value)] for field, value in (told or record).items()], [])


def show_list(records: Sequence[Record], columns: Sequence[str], *, as_json: bool, none: str) -> None:
    """Show several things of a kind, in the columns that people need; ``none`` is what to say for none."""
    if as_json:
        print(_json(list(records)))
    elif records:
        _table([[_cell(record[column]) for column in columns] for record in records], columns)
    else:
        print(none)


def when(at: int) -> str:
    """Write unix seconds as a date and time in UTC (RFC 3339)."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _json(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2, default=str)


def _label(field: str) -> str:
    return field.replace("_", " ")


def _cell(value: object) -> str:
    if value is None or value in ([], ""):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(_cell(each) for each in value.values() if each is not None)
    if isinstance(value, list | tuple):
        return "\n".join(_cell(each) for each in value)
    return str(value)


def _table(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> None:
    from rich import box  # noqa: PLC0415 - an answer in JSON does without rich
    from rich.console import Console  # noqa: PLC0415 - the same
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    table = Table(box=box.SIMPLE_HEAD, show_header=bool(columns), pad_edge=False, header_style="bold")
    for column in columns or ("", ""):
        table.add_column(_label(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a name in square brackets is no markup
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    console = Console(file=sys.stdout, width=width, highlight=False)
    with console.capture() as rendered:
        console.print(table)
    print(rendered.get(), end="")  # not by rich: it exits by itself when a pipe is closed
