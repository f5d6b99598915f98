"""YAML as far as files of ours need it: mappings, lists, texts, whole numbers, true and false.

A text is what YAML 1.2 calls one: ``no``, ``on`` and ``12:30`` are texts and nothing else. A key that stands
twice, an anchor, a tag or a second document is refused, each by its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from router.errors import BadInput

_DEEPEST: Final = 20
_QUOTED: Final = frozenset("'\"|>")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})")
_WORDS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None, "~": None, "": None}
_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_DUMPER: Final = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper

Path = tuple[str | int, ...]
"""Where something is in a document: ``("tenants", 3, "slug")``."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds, and on which line each part of it is, counted from 1."""

    content: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """Name the line of a part, or, where it is missing, of what it would be in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse_yaml(text: str) -> Document:
    """Read one document; nothing is None. Raises ``BadInput("bad_yaml")``, with the line in its sentence."""
    try:
        return _Reader(yaml.parse(text, Loader=_LOADER)).read()
    except yaml.MarkedYAMLError as fault:
        raise _fault(fault.problem or "it cannot be read", fault.problem_mark) from fault
    except yaml.YAMLError as fault:
        raise _fault("it has a character that YAML does not allow", None) from fault


def dump_yaml(content: object) -> str:
    """Write a document that :func:`parse_yaml` reads, in the order in which things are given."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Reader:
    """Reads a document from what the parser meets, one thing after the other."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._lines: dict[Path, int] = {}

    def read(self) -> Document:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return Document(None)
        content = self._read(next(self._events), ())
        next(self._events)  # the document's end
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            raise _fault("there is a second document", following.start_mark)
        return Document(content, self._lines)

    def _read(self, event: Any, path: Path) -> Any:  # noqa: ANN401 - YAML is anything, its stubs say less
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _fault("an anchor (&) or an alias (*) is not read: write it out", event.start_mark)
        if event.tag is not None:
            raise _fault("a tag (!) is not read", event.start_mark)
        if len(path) > _DEEPEST:
            raise _fault("it is nested too deeply", event.start_mark)
        self._lines.setdefault(path, _line(event))
        match event:
            case yaml.MappingStartEvent():
                return self._read_mapping(path)
            case yaml.SequenceStartEvent():
                return self._read_list(path)
            case _:
                return _read_scalar(event)

    def _read_list(self, path: Path) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._read(event, (*path, len(found))))
        return found

    def _read_mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            if not isinstance(key, yaml.ScalarEvent) or key.anchor or key.tag:
                raise _fault("a name is a plain text", key.start_mark)
            if key.value in found:
                raise _fault(f"“{key.value[:60]}” stands here a second time", key.start_mark)
            self._lines[(*path, key.value)] = _line(key)
            found[key.value] = self._read(next(self._events), (*path, key.value))
        return found


def _read_scalar(event: yaml.ScalarEvent) -> Any:  # noqa: ANN401 - YAML is anything
    if event.style in _QUOTED:
        return event.value
    return int(event.value) if _NUMBER.fullmatch(event.value) else _WORDS.get(event.value, event.value)


def _line(event: Any) -> int:  # noqa: ANN401 - of either parser
    return int(event.start_mark.line) + 1


def _fault(what: str, mark: Any) -> BadInput:  # noqa: ANN401 - of either parser, or none
    where = f"Line {mark.line + 1}" if mark is not None else "The file"
    return BadInput("bad_yaml", f"{where}: {what}.")


class _Dumper(_DUMPER):  # type: ignore[misc, valid-type]
    """Quotes whatever any version of YAML would take for something else than a text."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - asked of everything: always
        return True


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent)
