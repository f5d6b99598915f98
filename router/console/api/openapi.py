"""The API described by OpenAPI 3.1, made from the operations themselves: so it is what is done."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from router.console.api.operation import Operation

Json = dict[str, Any]

_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_WITH_STATUS: Final = re.compile(r"([45]\d\d) (\w+)")
_UNKNOWN: Final = re.compile(r"no_such_\w+|\w+_not_found|not_found")
_DONE_TO_TENANTS: Final = ("suspend", "resume")
_REFERENCE: Final = "#/components/schemas/{model}"

_ABOUT: Final = """\
Everything that the console can do, for programs. Times are RFC 3339 in UTC; ids are opaque.

Every call shows a token: `Authorization: Bearer trt_…`. A token has scopes, which say what it may be used
for, and is for one tenant or for all of them; another's tenant is answered as one that does not exist.

Failures are `application/problem+json` (RFC 9457) with a stable `code`; `errors` names the fields at fault.

Lists come in pieces: ask for the next one with `after`, which is the `next` of the piece before.

What changes a tenant says which version it changes: `If-Match` with the `ETag` of what was read.

What makes something may carry an `Idempotency-Key`: sent again within a day, it is done once.
"""

_PROBLEM: Final[Json] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong (RFC 9457): `code` is for programs, `detail` for people.",
    "required": ["status", "code", "title", "detail"],
    "properties": {
        "status": {"type": "integer", "description": "The answer's HTTP status."},
        "code": {"type": "string", "description": "What went wrong; stable."},
        "title": {"type": "string", "description": "What HTTP calls the status."},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
        "errors": {
            "type": "array",
            "description": "Which fields are at fault, and why.",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "The field, as a JSON pointer (RFC 6901)."},
                    "code": {"type": "string", "description": "What is wrong with it; stable."},
                    "detail": {"type": "string", "description": "The same in words."},
                },
            },
        },
        "request_id": {"type": "string", "description": "Names the call in the router's log."},
    },
}

_HEADERS: Final[Mapping[str, Json]] = {
    "ETag": {
        "description": "The version of what was answered, for If-Match.",
        "schema": {"type": "string", "examples": ['"v3"']},
    },
    "RateLimit-Policy": {
        "description": "How many calls (`q`) a token has in how many seconds (`w`).",
        "schema": {"type": "string", "examples": ['"api-calls";q=3000;w=60']},
    },
    "RateLimit": {
        "description": "How many calls are left (`r`), and when all are again (`t`, in seconds).",
        "schema": {"type": "string", "examples": ['"api-calls";r=2999;t=42']},
    },
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {
        "description": "`true` where this was done before, and this is what was answered then.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "WWW-Authenticate": {
        "description": "How to show a token, or which scope it lacks (RFC 6750).",
        "schema": {"type": "string"},
    },
}

_IF_MATCH: Final[Json] = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The ETag of what you read, so that nobody's change is lost; or `*` for any.",
    "schema": {"type": "string", "examples": ['"v3"']},
}
_IDEMPOTENCY_KEY: Final[Json] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Anything unique, such as a UUID: the same call with it again is answered as the first.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
}
_SHARED: Final[Mapping[int, tuple[str, ...]]] = {
    401: ("token_needed", "invalid_token"),
    403: ("insufficient_scope",),
    429: ("too_many_requests",),
    500: ("internal",),
    503: ("database_unavailable", "database_busy"),
}
"""What every operation fails with alike."""

_NAMES: Final[Mapping[str, str]] = {"tenant": "The tenant's short name.", "id": "Which one, by its id."}


def describe(operations: Sequence[Operation]) -> Json:
    """Describe operations as an OpenAPI document (3.1.1)."""
    schemas = _Schemas(operations)
    paths: Json = {}
    for operation in operations:
        told = _operation(operation, schemas, has_version=_has_version(operation, operations))
        paths.setdefault(operation.path, {})[operation.method.lower()] = told
    tags = sorted({tag_of(operation) for operation in operations})
    return {
        "openapi": "3.1.1",
        "info": {"title": "tenant-router", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/api/v1"}],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": {"Problem": _PROBLEM, **schemas.told},
            "headers": dict(_HEADERS),
            "responses": {
                _reference(status)["$ref"].rpartition("/")[2]: _failure(status, codes)
                for status, codes in _SHARED.items()
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token, `trt_…`."}
            },
        },
    }


def tag_of(operation: Operation) -> str:
    """Name the kind of thing that an operation is about: the first name in its path but the tenant's."""
    names = [part for part in operation.path.split("/") if part and not part.startswith("{")]
    within = names[0] == "tenants" and len(names) > 1 and names[1] not in _DONE_TO_TENANTS
    return names[1 if within else 0].partition(".")[0]


def name_of(operation: Operation) -> str:
    """Name an operation by its method and path, for generated clients and the page's anchors."""
    words = re.findall(r"\w+", operation.path)
    return "_".join([operation.method.lower(), *(word.replace("-", "_") for word in words)])


def codes_of(operation: Operation) -> Mapping[int, Sequence[str]]:
    """Say which codes an operation may fail with, by the status that each comes with."""
    found: dict[int, list[str]] = {}
    for status, code in (*_general(operation), *(_own(said) for said in operation.fails)):
        if code not in found.setdefault(status, []):
            found[status].append(code)
    return dict(sorted(found.items()))


def _general(operation: Operation) -> Iterable[tuple[int, str]]:
    yield 400, "token_in_query"
    yield from ((status, code) for status, codes in _SHARED.items() for code in codes)
    if "{tenant}" in operation.path:
        yield 404, "tenant_not_found"
    if "{" in operation.path:
        yield 404, "not_found"
    if operation.versioned:
        yield from ((412, "changed_meanwhile"), (428, "if_match_needed"))
    if operation.body is not None:
        yield from ((400, "bad_json"), (415, "json_only"), (422, "invalid_body"))
    if operation.body is not None or operation.octets:
        yield 413, "body_too_large"
    if operation.query is not None:
        yield 422, "invalid_query"
    if operation.creates:
        yield from ((400, "bad_idempotency_key"), (409, "idempotency_key_in_use"))
        yield 422, "idempotency_key_reused"
        if operation.secret:
            yield 409, "already_done"


def _own(said: str) -> tuple[int, str]:
    match = _WITH_STATUS.fullmatch(said)
    if match is not None:
        return int(match[1]), match[2]
    return (404 if _UNKNOWN.fullmatch(said) else 422), said


class _Schemas:
    """The models of all operations, as JSON Schema (2020-12)."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        asked = {model: None for each in operations for model in (each.body, each.query) if model is not None}
        answers = {each.answer: None for each in operations if each.answer is not None}
        wanted = [(model, "validation") for model in asked] + [(model, "serialization") for model in answers]
        references, document = models_json_schema(wanted, ref_template=_REFERENCE)  # type: ignore[arg-type]
        self._references = references
        self.told: Json = _plain(document.get("$defs", {}))
        # What is asked in a query is told as parameters, and nothing refers to its model.
        queries = {each.query for each in operations if each.query is not None}
        self._queries = {query: self.told.pop(self._name(query, "validation")) for query in queries}

    def of(self, model: type[Any], mode: str) -> Json:
        """Refer to a model's schema."""
        return {"$ref": _REFERENCE.format(model=self._name(model, mode))}

    def of_query(self, query: type[Any]) -> Iterable[Json]:
        """Tell a query's fields as parameters."""
        schema = self._queries[query]
        for name, field in schema.get("properties", {}).items():
            told = dict(field)
            yield {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "description": told.pop("description", ""),
                "schema": _given(told),
            }

    def _name(self, model: type[Any], mode: str) -> str:
        return str(self._references[(model, mode)]["$ref"]).rpartition("/")[2]  # type: ignore[index]


def _plain(schema: Any) -> Any:  # noqa: ANN401 - JSON is anything
    """Leave out the titles, which only repeat the fields' names; in Markdown, code has one backtick."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if isinstance(schema, dict):
        titled = isinstance(schema.get("title"), str)
        return {name: _plain(each) for name, each in schema.items() if not (titled and name == "title")}
    return schema.replace("``", "`") if isinstance(schema, str) else schema


def _given(schema: Json) -> Json:
    """Tell what a parameter that is given is like: one that is left out is not null but absent."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    return {**rest, **options[0]}


def _operation(operation: Operation, schemas: _Schemas, *, has_version: bool) -> Json:
    told: Json = {
        "operationId": name_of(operation),
        "tags": [tag_of(operation)],
        "summary": operation.summary,
        "description": _description(operation),
        "security": [{"token": [operation.scope.value]}],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation, schemas)],
        "responses": _answers(operation, schemas, has_version=has_version),
    }
    if operation.versioned:
        told["parameters"].append(_IF_MATCH)
    if operation.creates:
        told["parameters"].append(_IDEMPOTENCY_KEY)
    if operation.body is not None:
        content = {"application/json": {"schema": schemas.of(operation.body, "validation")}}
        told["requestBody"] = {"required": True, "content": content}
    elif operation.octets:
        told["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    return told


def _description(operation: Operation) -> str:
    needs = f"Needs the scope `{operation.scope}`"
    if operation.platform:
        needs += ", and a token for all tenants"
    note = " ".join((operation.handle.__doc__ or "").split()).replace("``", "`")
    return f"{note}\n\n{needs}." if note else f"{needs}."


def _path_parameters(operation: Operation) -> Iterable[Json]:
    for name in _PARAMETER.findall(operation.path):
        told = _NAMES.get(name, "Which one.")
        schema = {"type": "string", "minLength": 1, "maxLength": 255}
        yield {"name": name, "in": "path", "required": True, "description": told, "schema": schema}


def _query_parameters(operation: Operation, schemas: _Schemas) -> Iterable[Json]:
    return schemas.of_query(operation.query) if operation.query is not None else ()


def _has_version(operation: Operation, operations: Sequence[Operation]) -> bool:
    """Whether the answer has an ETag: it tells of what is changed by its version at the same path."""
    return operation.answer is not None and any(
        other.versioned and other.path in (operation.path, operation.path + "/{tenant}")
        for other in operations
    )


def _answers(operation: Operation, schemas: _Schemas, *, has_version: bool) -> Json:
    status = operation.status if operation.answer is not None else 204
    names = ["RateLimit-Policy", "RateLimit"]
    names += ["ETag"] * has_version + ["Idempotency-Replayed"] * operation.creates
    done: Json = {"description": operation.summary + ".", "headers": _headers(names)}
    if operation.answer is not None:
        media = operation.streams or "application/json"
        # Of a stream the schema is that of each line, which no validator reads as one document.
        schema = {} if operation.streams else {"schema": schemas.of(operation.answer, "serialization")}
        done["content"] = {media: schema}
    told: Json = {str(status): done}
    for failed, codes in codes_of(operation).items():
        shared = _SHARED.get(failed) == tuple(codes)
        told[str(failed)] = _reference(failed) if shared else _failure(failed, codes)
    return told


def _reference(status: int) -> Json:
    return {"$ref": f"#/components/responses/{HTTPStatus(status).name.title().replace('_', '')}"}


def _failure(status: int, codes: Sequence[str]) -> Json:
    names = {401: ["WWW-Authenticate"], 403: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}
    known = {"allOf": [{"$ref": _REFERENCE.format(model="Problem")}]}
    known["properties"] = {"code": {"enum": list(codes)}}  # type: ignore[assignment]
    return {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in codes)}.",
        "headers": _headers(names.get(status, [])),
        "content": {"application/problem+json": {"schema": known}},
    }


def _headers(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
