"""What is wrong with a field of a body or of a query: pydantic's findings, in plain sentences.

A field's own reading tells of it by its own code (``_by`` in bodies.py); for all else there are three:
``missing``, ``unknown_field`` and ``bad_value``.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from router.console.problems import FieldFault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

_NUMBER: Final = "It is a whole number."
_TRUTH: Final = "It is true or false."
_MOMENT: Final = "It is a time as RFC 3339 has it, with its zone, such as 2026-11-22T10:00:00Z."
_CHOICE: Final = "It is one of: {}."
_EITHER: Final = "It is a whole number, or a text."
_SENTENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "missing": "It is missing.",
        "string_type": "It is a text.",
        "bool_type": _TRUTH,
        "bool_parsing": _TRUTH,
        "int_type": _NUMBER,
        "int_parsing": _NUMBER,
        "int_parsing_size": _NUMBER,
        "int_from_float": _NUMBER,
        "list_type": "It is a list.",
        "model_type": "It is an object with fields.",
        "greater_than_equal": "It is {ge} at least.",
        "less_than_equal": "It is {le} at most.",
        "string_too_short": "It has {min_length} or more characters.",
        "string_too_long": "It has {max_length} characters at most.",
        "too_short": "It has {min_length} or more items.",
        "too_long": "It has {max_length} items at most.",
        "datetime_type": _MOMENT,
        "datetime_parsing": _MOMENT,
        "datetime_from_date_parsing": _MOMENT,
        "datetime_object_invalid": _MOMENT,
        "timezone_aware": _MOMENT,
    }
)
_OTHERWISE: Final = "It is not as it should be: /api/v1/ tells what it is."
_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {"missing": "missing", "extra_forbidden": "unknown_field"}
)
_ALTERNATIVE: Final = re.compile(r"int|str|literal\[.*|str-enum\[.*")
"""What pydantic adds to the place of a field that may be of either kind."""

_LONGEST: Final = 80


def faults_of(
    details: Sequence[ErrorDetails], model: type[BaseModel], *, called: str = "field"
) -> list[FieldFault]:
    """Tell what is wrong, a fault for each place, in the order in which it was found.

    ``called`` is what a field is here: one of a body, or a parameter of a query.
    """
    by_place: dict[tuple[int | str, ...], list[ErrorDetails]] = {}
    for detail in details:
        by_place.setdefault(place_of(detail), []).append(detail)
    found = []
    for place, each in by_place.items():
        code, sentence = _told(each)
        if code == "unknown_field":
            sentence = _unknown(place, model, called)
        found.append(FieldFault(pointer(place), code, sentence))
    return found


def place_of(detail: ErrorDetails) -> tuple[int | str, ...]:
    """Say in which field a fault is, step by step."""
    place, is_of_either = detail["loc"], False
    if detail["type"] not in _CODES and len(place) > 1:
        is_of_either = _ALTERNATIVE.fullmatch(str(place[-1])) is not None
    return place[:-1] if is_of_either else place


def pointer(place: Sequence[int | str]) -> str:
    """Point to a field, as a URI fragment (RFC 6901 section 6)."""
    return "#" + "".join("/" + str(step)[:_LONGEST].replace("~", "~0").replace("/", "~1") for step in place)


def _told(details: Sequence[ErrorDetails]) -> tuple[str, str]:
    """Give the code and the sentence for a field that is none of what it may be."""
    first = details[0]
    context = first.get("ctx", {})
    if "sentence" in context:  # by the field's own reading, which has a code of its own
        return first["type"], context["sentence"]
    code = _CODES.get(first["type"], "bad_value")
    expected = [_choices(each["ctx"]["expected"]) for each in details if "expected" in each.get("ctx", {})]
    if expected:
        return code, _CHOICE.format(", ".join(expected))
    sentences = [_SENTENCES.get(each["type"], _OTHERWISE).format_map(each.get("ctx", {})) for each in details]
    return code, _EITHER if len(sentences) > 1 else sentences[0]


def _choices(expected: str) -> str:
    """Spell what may be chosen: pydantic's is ``'active' or 'suspended'``."""
    return expected.replace("'", "").replace(" or ", ", ")


def _unknown(place: Sequence[int | str], model: type[BaseModel], called: str) -> str:
    fields = _fields_at(place[:-1], model)
    close = get_close_matches(str(place[-1])[:_LONGEST], fields, n=1)
    if close:
        return f"There is no such {called}; did you mean {close[0]}?"
    return f"There is no such {called}; there are {', '.join(fields)}."


def _fields_at(place: Sequence[int | str], model: type[BaseModel]) -> list[str]:
    """Name the fields of a model, or of the one that is in a place of it."""
    for step in place:
        inner = model.model_fields[str(step)].annotation
        assert isinstance(inner, type)  # noqa: S101 - only a model knows which fields it has not
        model = inner
    return list(model.model_fields)
