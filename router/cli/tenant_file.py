"""Tenants as files: what an export writes and ``apply`` reads, and where in a file something is wrong."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import BaseModel, ValidationError

from router.cli.output import BadFile, FileFault
from router.cli.yaml_file import Document, dump_yaml, parse_yaml
from router.errors import BadInput
from router.tenants.entry import TenantEntry

MAX_FILE: Final = 64 * 2**20
"""Octets of a file: a hundred thousand tenants fit in many times."""

_TENANTS: Final = "tenants"
_WRONG: Final = {
    "missing": ("missing_field", "It is missing."),
    "string_type": ("bad_value", "It is a text: put it into quotes."),
    "bool_type": ("bad_value", "It is true or false."),
    "int_type": ("bad_value", "It is a whole number."),
    "list_type": ("bad_value", "It is a list: each on a line of its own, after a dash."),
    "model_type": ("bad_value", "It is a list of fields, NAME: VALUE each."),
}
_STAND_INS: Final = {"name": "-", "theme_colour": "#000000"}
"""For fields that are missing, while the others are judged."""
_LONGEST_NAME: Final = 60
_EMPTY: Final = "It is empty: leave the field out, or put a value that begins with # into quotes."


class _WishFault(Protocol):
    @property
    def position(self) -> int: ...
    @property
    def field(self) -> str: ...
    @property
    def code(self) -> str: ...
    @property
    def sentence(self) -> str: ...


@dataclass(frozen=True, slots=True)
class TenantFile:
    """What was read: the entries that can be judged, and what is wrong with the others."""

    name: str
    entries: tuple[TenantEntry, ...]
    positions: tuple[int, ...]
    faults: tuple[FileFault, ...]
    document: Document

    def check(self, judged: Iterable[_WishFault]) -> None:
        """Raise ``BadFile`` for what is wrong in the file, and for what was judged wrong in the entries."""
        # What was taken away because it was wrong is told once, and not as missing, too.
        known = [fault.where for fault in self.faults]
        told = [
            fault
            for fault in map(self._located, judged)
            if not any(where.startswith(fault.where) for where in known)
        ]
        if found := [*self.faults, *told]:
            raise BadFile(self.name, sorted(found, key=lambda fault: fault.line))

    def _located(self, fault: _WishFault) -> FileFault:
        position = self.positions[fault.position]
        steps = fault.field.replace("[", ".").replace("]", "").split(".")
        path = (_TENANTS, position, *(int(step) if step.isdigit() else step for step in steps))
        where = f"{_TENANTS}[{position}].{fault.field}".removesuffix(".")
        return FileFault(self.document.line(path), where, fault.code, fault.sentence)


def read_tenants(path: Path) -> TenantFile:
    """Read a file of tenants; ``-`` is standard input.

    Raises ``BadInput`` with ``file_unreadable``, ``bad_yaml`` or ``bad_file``.
    """
    name = "standard input" if str(path) == "-" else str(path)
    document = parse_yaml(read_text(path, name))
    given = _listed(document, name)
    entries, positions, faults = [], [], []
    for position, raw in enumerate(given):
        entry, wrong = _read_entry(raw)
        faults += [_fault_of(each, position, document) for each in wrong]
        if entry is not None:
            entries.append(entry)
            positions.append(position)
    return TenantFile(name, tuple(entries), tuple(positions), tuple(faults), document)


def read_text(path: Path, name: str) -> str:
    """Read a file of text. Raises ``BadInput("file_unreadable")``."""
    try:
        with sys.stdin.buffer if str(path) == "-" else path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except OSError as fault:
        raise BadInput("file_unreadable", f"{name} cannot be read: {fault.strerror}.") from fault
    if len(raw) > MAX_FILE:
        raise BadInput("file_unreadable", f"{name} is larger than {MAX_FILE // 2**20} MiB.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        raise BadInput("file_unreadable", f"{name} is not UTF-8: see line {line}.") from fault


def spell_tenants(entries: Iterable[TenantEntry], *, as_json: bool) -> str:
    """Spell a file of tenants, by short name, each with what differs from the defaults."""
    ordered = sorted(entries, key=lambda entry: entry.slug)
    content = {_TENANTS: [entry.written() for entry in ordered]}
    return f"{json.dumps(content, ensure_ascii=False, indent=2)}\n" if as_json else dump_yaml(content)


def _read_entry(raw: Any) -> tuple[TenantEntry | None, Sequence[Any]]:  # noqa: ANN401 - whatever YAML holds
    """Read an entry without its fields that are wrong, so that the others are judged all the same."""
    try:
        return TenantEntry.model_validate(raw), ()
    except ValidationError as error:
        # Of a field that is either a text or a number, each of the two says what it is not.
        each = {_place(detail): detail for detail in error.errors(include_url=False)}
    wrong = list(each.values())
    if not isinstance(raw, dict) or not isinstance(raw.get("slug"), str):
        return None, wrong
    rest = copy.deepcopy(raw)
    for place in each:
        _without(rest, place)
    return TenantEntry.model_validate(_STAND_INS | rest), wrong


def _place(error: Any) -> tuple[str | int, ...]:  # noqa: ANN401 - pydantic's, a dict
    return tuple(step for step in error["loc"] if step not in ("int", "str"))


def _without(content: Any, path: Sequence[Any]) -> None:  # noqa: ANN401 - the same
    """Take the field away that a path leads to or, within a list, the whole list."""
    for step in path[:-1]:
        inner = content.get(step)
        if not isinstance(inner, dict):
            content.pop(step, None)
            return
        content = inner
    content.pop(path[-1], None)


def _listed(document: Document, name: str) -> list[Any]:
    content = document.content
    if not isinstance(content, dict) or set(content) != {_TENANTS} or not isinstance(content[_TENANTS], list):
        sentence = "A file of tenants is tenants: and below it a list, as tenant-router export writes it."
        raise BadFile(name, [FileFault(document.line(()), _TENANTS, "bad_file", sentence)])
    return content[_TENANTS]


def _fault_of(error: Any, position: int, document: Document) -> FileFault:  # noqa: ANN401 - pydantic's, a dict
    place = _place(error)
    code, sentence = _WRONG.get(error["type"], ("bad_value", f"{error['msg']}."))
    if error["type"] == "extra_forbidden":
        code, sentence = "unknown_field", _unknown(place)
    elif error["type"].endswith("_type") and error["input"] is None:
        sentence = _EMPTY
    named = [step if isinstance(step, int) else step[:_LONGEST_NAME] for step in place]
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{_printable(step)}" for step in named)
    line = document.line((_TENANTS, position, *place))
    return FileFault(line, f"{_TENANTS}[{position}]{steps}", code, sentence)


def _printable(name: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name)


def _unknown(place: Sequence[Any]) -> str:
    section: type[BaseModel] = TenantEntry
    for step in place[:-1]:
        annotation = section.model_fields[str(step)].annotation
        section = (
            annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else section
        )
    close = get_close_matches(str(place[-1]), section.model_fields, n=1)
    return f"There is no such field; did you mean {close[0]}?" if close else "There is no such field."
