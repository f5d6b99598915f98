"""Examples of what is sent, made from its JSON Schema: for the documentation's calls of curl.

PURE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN: Final[Mapping[str, Any]] = {"string": "…", "integer": 1, "number": 1.5, "boolean": True, "null": None}
_FORMATS: Final[Mapping[str, str]] = {"date-time": "2027-01-31T12:00:00Z", "date": "2027-01-31"}
_DEEPEST: Final = 6


def example_of(schema: Mapping[str, Any], known: Mapping[str, Any], depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """Make an example of a value: of an object, what it must have, or else what comes first."""
    said = _said(schema)
    if said is not None:
        return said
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        if one != {"type": "null"}:
            return example_of(one, known, depth)
    if "$ref" in schema:
        return example_of(known[schema["$ref"].rpartition("/")[2]], known, depth)
    if schema.get("type") == "array":
        return [example_of(schema["items"], known, depth + 1)] if "items" in schema else []
    if schema.get("type") == "object":
        return _object(schema, known, depth)
    return _FORMATS.get(schema.get("format", ""), _PLAIN.get(schema.get("type", "string"), "…"))


def _said(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - the same
    """Take the example that the schema itself has, if any."""
    examples = (
        *schema.get("examples", ()),
        schema.get("const"),
        schema.get("default"),
        *schema.get("enum", ()),
    )
    return next((each for each in examples if each is not None), None)


def _object(schema: Mapping[str, Any], known: Mapping[str, Any], depth: int) -> dict[str, Any]:
    fields = schema.get("properties", {})
    names = schema.get("required") or ([] if depth else list(fields)[:1])
    if depth > _DEEPEST:
        return {}
    return {name: example_of(fields[name], known, depth + 1) for name in names if name in fields}
