"""What pydantic finds wrong is told in plain sentences, each with its field and a stable code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from pydantic import BaseModel, ValidationError

from router.console.api.field_faults import _OTHERWISE, faults_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

    from tests.console.stand import Stand

# Which database there is makes no difference to what is said of a field.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

NONSENSE: Final[tuple[object, ...]] = (
    *(None, True, -1, 10**9, 10**30, 1.5),
    *("", "a", "\n", "x" * 5000),
    *([], [{}], [None] * 500, {}, {"a": 1}),
)
TYPED: Final = (
    "",
    "a",
    "\n",
    "x" * 5000,
    "-1",
    "1.5",
    "9" * 5000,
    "2026-13-01T00:00:00Z",
    "2026-11-01T00:00:00",
)


def details_of(model: type[BaseModel], content: dict[str, Any], *, query: bool) -> Iterator[ErrorDetails]:
    """What pydantic says of what was sent."""
    try:
        if query:
            model.model_validate_strings(content)
        else:
            model.model_validate_json(json.dumps(content))
    except ValidationError as error:
        yield from error.errors()


def nonsense_for(model: type[BaseModel], *, query: bool) -> Iterator[dict[str, Any]]:
    """Each field of a model, and of those within it, with each kind of nonsense."""
    yield {}
    yield {"nonsense": "a"}
    for name, field in model.model_fields.items():
        yield from ({name: value} for value in (TYPED if query else NONSENSE))
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from ({name: each} for each in nonsense_for(inner, query=query))


async def test_no_fault_is_told_in_pydantics_words(stand: Stand) -> None:
    """Whatever is sent as any field of any operation: a sentence of ours, and a known code."""
    told = 0
    for operation in stand.operations:
        for model, query in ((operation.query, True), (operation.body, False)):
            for content in nonsense_for(model, query=query) if model is not None else ():
                details = list(details_of(model, content, query=query)) if model is not None else []
                for fault in faults_of(details, model or BaseModel):
                    own = next((each["type"] for each in details if "sentence" in each.get("ctx", {})), "")
                    assert fault.code in {"missing", "unknown_field", "bad_value", own}
                    assert fault.detail.endswith((".", "?"))
                    assert "{" not in fault.detail
                    assert fault.detail != _OTHERWISE, details
                    assert all(each["msg"].rstrip(".") + "." != fault.detail or own for each in details)
                    told += 1
    assert told > 500


@pytest.mark.parametrize(
    ("query", "faults"),
    [
        ("limit=0", {"#/limit": ("bad_value", "It is 1 at least.")}),
        ("limit=201", {"#/limit": ("bad_value", "It is 200 at most.")}),
        ("limit=many", {"#/limit": ("bad_value", "It is a whole number.")}),
        ("status=gone", {"#/status": ("bad_value", "It is one of: active, suspended.")}),
        ("serach=a", {"#/serach": ("unknown_field", "There is no such parameter; did you mean search?")}),
        (
            "tenant=acme",
            {
                "#/tenant": (
                    "unknown_field",
                    "There is no such parameter; there are limit, after, search, status, sort.",
                )
            },
        ),
        (
            "limit=1&limit=2&sort=age",
            {
                "#/limit": ("duplicate_parameter", "It is there more than once: say it once."),
                "#/sort": (
                    "bad_value",
                    "It is one of: slug, -slug, name, -name, updated_at, -updated_at.",
                ),
            },
        ),
        (
            "after=!",
            {"#/after": ("bad_cursor", "That is no cursor of this list: begin anew, without “after”.")},
        ),
        ("search=%00", {"#/search": ("bad_search", "A search is for printable characters.")}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_each_parameter_at_fault_is_pointed_to(
    stand: Stand, query: str, faults: dict[str, tuple[str, str]]
) -> None:
    """422 as a problem whose errors say which parameter it is, by a stable code and a sentence."""
    stand.billing.token = await stand.new_token(None, "tenants:read")
    answer = await stand.billing.call("GET", f"tenants?{query}")
    assert answer.status == 422
    assert answer.code in ("invalid_query", *(code for code, _ in faults.values()))
    told = {each["pointer"]: (each["code"], each["detail"]) for each in answer.data["errors"]}
    assert told == faults


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_fields_of_a_wrong_kind_hide_no_others(stand: Stand, method: str) -> None:
    """What is no text, what is missing, and what is a text but a wrong one are told together."""
    stand.billing.token = await stand.new_token(None, "tenants:write", "tenants:manage")
    wish = {
        "name": 5,
        "theme_colour": "green",
        "upstreams": [5, "ftp://x"],
        "forwarding": {"max_body": [], "health_interval": 1},
        "gretting": "Hello",
    }
    path, version = ("tenants", None) if method == "POST" else ("tenants/acme", "*")
    answer = await stand.billing.call(method, path, wish, version=version)
    assert (answer.status, answer.code) == (422, "invalid_body")
    missing = {"#/portal_address": "missing"} if method == "POST" else {}
    assert {error["pointer"]: error["code"] for error in answer.data["errors"]} == missing | {
        "#/name": "bad_value",
        "#/upstreams/0": "bad_value",
        "#/forwarding/max_body": "bad_value",
        "#/gretting": "unknown_field",
        "#/theme_colour": "bad_colour",
        "#/forwarding/health_interval": "bad_health_interval",
    }


async def test_a_name_that_is_taken_is_told_beside_other_faults(stand: Stand) -> None:
    """Not only after those are mended."""
    stand.billing.token = await stand.new_token(None, "tenants:manage")
    wish = {"portal_address": "acme", "name": "Acme", "theme_colour": "green", "upstreams": ["ftp://x"]}
    answer = await stand.billing.call("POST", "tenants", wish)
    assert answer.status == 422
    assert {error["pointer"]: error["code"] for error in answer.data["errors"]} == {
        "#/portal_address": "slug_taken",
        "#/theme_colour": "bad_colour",
        "#/upstreams/0": "bad_upstream",
    }
