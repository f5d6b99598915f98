"""The API's documentation: the OpenAPI document, and a page of it that needs no network and no script.

Both are the same for everybody and told without a token; they change with the router alone.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from base64 import b64encode
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from router.console.api.examples import example_of
from router.console.api.openapi import Json, codes_of, describe, name_of, tag_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from router.console.api.operation import Operation

_FOLDER: Final = "router.console.api"
_CACHED: Final = "public, max-age=300"


class Documentation:
    """Tells what the API can do. Written when it is first asked for, off the loop, and kept."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        self._writing = asyncio.Lock()
        self._written: tuple[Written, Written] | None = None

    def routes(self, root: str) -> list[web.RouteDef]:
        """Say where it is told."""
        return [
            web.get(root, self._to_page),
            web.get(f"{root}/", self._show),
            web.get(f"{root}/openapi.json", self._tell),
        ]

    async def _to_page(self, request: web.Request) -> web.Response:
        return web.Response(status=308, headers={"Location": f"{request.path}/"})

    async def _show(self, request: web.Request) -> web.Response:
        page, _ = await self._both()
        return page.answer(request)

    async def _tell(self, request: web.Request) -> web.Response:
        _, document = await self._both()
        return document.answer(request)

    async def _both(self) -> tuple[Written, Written]:
        async with self._writing:  # a few tenths of a second, once: others wait for it
            if self._written is None:
                self._written = await asyncio.to_thread(_write, self._operations)
        return self._written


@dataclass(frozen=True, slots=True)
class Written:
    """A document that is the same for everybody, as it is sent: whole, or compressed."""

    body: bytes
    zipped: bytes
    tag: str
    content_type: str
    policy: str

    @classmethod
    def of(cls, body: bytes, content_type: str, policy: str) -> Written:
        """Make one."""
        tag = hashlib.sha256(body).hexdigest()[:32]
        return cls(body, gzip.compress(body, mtime=0), tag, content_type, policy)

    def answer(self, request: web.Request) -> web.Response:
        """Answer it, or that it has not changed (RFC 9110 section 13.1.2)."""
        headers = {
            "Cache-Control": _CACHED,
            "Content-Security-Policy": self.policy,
            "ETag": f'W/"{self.tag}"',  # weak: compressed it is the same
            "Vary": "Accept-Encoding",
        }
        if any(known.value in (self.tag, "*") for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        zipped = "gzip" in request.headers.get("Accept-Encoding", "")
        if zipped:
            headers["Content-Encoding"] = "gzip"
        body = self.zipped if zipped else self.body
        return web.Response(body=body, content_type=self.content_type, charset="utf-8", headers=headers)


def _write(operations: Sequence[Operation]) -> tuple[Written, Written]:
    """Write the page, whose policy lets its one style in and nothing else, and the document."""
    described = describe(operations)
    style = (files(_FOLDER) / "documentation.css").read_text("utf-8")
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    nothing = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"
    page = render(operations, described, style).encode()
    document = json.dumps(described, ensure_ascii=False).encode() + b"\n"
    return (
        Written.of(page, "text/html", f"{nothing}; style-src 'sha256-{digest}'"),
        Written.of(document, "application/json", nothing),
    )


def render(operations: Sequence[Operation], described: Json, style: str) -> str:
    """Write the page."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"kind": kind_of, "prose": prose}
    template = environment.from_string((files(_FOLDER) / "documentation.html").read_text("utf-8"))
    tags = sorted({tag_of(operation) for operation in operations})
    return template.render(
        style=Markup(style),  # noqa: S704 - a file of ours
        about=described["info"]["description"].strip().split("\n\n"),
        groups={tag: [_view(each, described) for each in operations if tag_of(each) == tag] for tag in tags},
        schemas=described["components"]["schemas"],
    )


def _view(operation: Operation, described: Json) -> Mapping[str, Any]:
    told = described["paths"][operation.path][operation.method.lower()]
    done = next(status for status in told["responses"] if status.startswith("2"))
    content = told["responses"][done].get("content", {})
    media = next(iter(content), "")
    note, _, _ = told["description"].rpartition("\n\n")
    return {
        "name": name_of(operation),
        "operation": operation,
        "note": note,
        "parameters": told["parameters"],
        "body": _body(told),
        "status": done,
        "media": media,
        "answer": content.get(media, {}).get("schema"),
        "line": _line(operation),
        "codes": codes_of(operation),
        "curl": curl(operation, told, described["components"]["schemas"]),
    }


def _line(operation: Operation) -> Json | None:
    """What each line of a stream is."""
    if operation.streams is None or operation.answer is None:
        return None
    return {"$ref": f"#/{operation.answer.__name__}"}


def _body(told: Json) -> Json | None:
    content = told.get("requestBody", {}).get("content", {})
    schema: Json | None = content.get("application/json", {}).get("schema")
    return schema


def curl(operation: Operation, told: Json, known: Mapping[str, Any]) -> str:
    """Write an example of a call, for a shell that knows ``$ROUTER`` and ``$TOKEN``."""
    path = operation.path.replace("{tenant}", "acme").replace("{", "").replace("}", "")
    if operation.path.endswith("{id}"):
        path = operation.path.replace("{tenant}", "acme").replace("{id}", "ID")
    parts = [f'curl "$ROUTER/api/v1{path}" -H "Authorization: Bearer $TOKEN"']
    if operation.method != "GET":
        parts[0] = parts[0].replace("curl ", f"curl -X {operation.method} ", 1)
    if operation.versioned:
        parts.append("""-H 'If-Match: "v3"'""")
    if operation.creates:
        parts.append('-H "Idempotency-Key: $(uuidgen)"')
    body = _body(told)
    if body is not None:
        example = json.dumps(example_of(body, known), ensure_ascii=False).replace("'", "'\\''")
        parts.append(f"--json '{example}'")
    elif operation.octets:
        parts.append("--data-binary @FILE")
    return " \\\n  ".join(parts)


def kind_of(schema: Mapping[str, Any]) -> Markup:
    """Say in a few words what kind of value it is; other schemas are linked to."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#s-{0}">{0}</a>').format(name)
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if options:
        return Markup(" or ").join(kind_of(each) for each in options)
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return Markup(", ").join(Markup("<code>{}</code>").format(value) for value in values)
    if schema.get("type") == "array":
        return Markup("list of {}").format(kind_of(schema.get("items", {})))
    return escape(" ".join(_words(schema)))


def _words(schema: Mapping[str, Any]) -> Iterable[str]:
    yield {"date-time": "time"}.get(schema.get("format", ""), str(schema.get("type", "anything")))
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        yield f"{least} to {most}"
    if schema.get("maxLength") is not None:
        yield f"up to {schema['maxLength']} characters"
    if schema.get("default") not in (None, "", [], {}) and not isinstance(schema["default"], dict):
        yield f"({json.dumps(schema['default'])} unless said)"


def prose(text: str) -> Markup:
    """Write a text of ours as HTML: what is in backticks is code."""
    parts = escape(" ".join(text.split())).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )
