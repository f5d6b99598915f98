"""Bodies: read by a model, each fault told with the field it is in; answers written by one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from router.console.problems import FieldFault, Refused
from router.errors import BadInput
from router.identity.users import normalise_email, parse_customer
from router.languages.choice import parse_language

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic_core import ErrorDetails

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_OWN_CODES: Final = {"missing": "missing", "extra_forbidden": "unknown_field"}


class Body(BaseModel):
    """A request's body: exact in its fields and their types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


_Body = TypeVar("_Body", bound=Body)


def _by(parse: Callable[[str], str]) -> Callable[[str], str]:
    def check(raw: str) -> str:
        try:
            return parse(raw)
        except BadInput as fault:
            raise PydanticCustomError(fault.code, "{sentence}", {"sentence": fault.sentence}) from fault

    return check


Customer = Annotated[
    str,
    AfterValidator(_by(parse_customer)),
    Field(description="Your reference of the customer.", examples=["C-1001"]),
]
Email = Annotated[
    str,
    AfterValidator(_by(normalise_email)),
    Field(description="One e-mail address.", examples=["ada@example.com"]),
]
Language = Annotated[
    str,
    AfterValidator(_by(parse_language)),
    Field(description="A language's code.", examples=["de", "de-AT"]),
]


def _printable(raw: str) -> str:
    if _CONTROLS.search(raw):
        sentence = "This is a text of one line: no control characters."
        raise PydanticCustomError("not_printable", "{sentence}", {"sentence": sentence})
    return raw


Printable = Annotated[
    str, AfterValidator(_printable), Field(json_schema_extra={"pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]*$"})
]
"""A text of one line, as both databases can store and compare it."""


async def read_octets(request: web.Request, most: int) -> bytes:
    """Read a request's body, as it is. Raises ``Refused`` (413) or ``HTTPRequestEntityTooLarge``."""
    if (request.content_length or 0) > most:  # before it comes
        raise Refused(413, "body_too_large", f"The body has {most} octets at most.")
    return await request.clone(client_max_size=most).read()


def check_json(request: web.Request) -> None:
    """Check that a request's body is said to be JSON. Raises ``Refused`` (415)."""
    charset = (request.charset or "utf-8").lower()
    if (
        request.content_type != "application/json"
        or charset != "utf-8"
        or "Content-Encoding" in request.headers
    ):
        raise Refused(
            415,
            "json_only",
            "The body is JSON in UTF-8, said by Content-Type: application/json, and not compressed.",
            headers={"Accept-Post": "application/json"},
        )


def read_body(raw: bytes, model: type[_Body]) -> _Body:
    """Read JSON. Raises ``Refused``: 400 for what is none, 422 for a field at fault."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise _told(error.errors(include_input=False, include_url=False)) from None  # it would quote the body


def read_query(request: web.Request, model: type[_Body]) -> _Body:
    """Read a request's query: each name once, as the model wants it. Raises ``Refused`` (422)."""
    twice = [name for name in request.query if len(request.query.getall(name)) > 1]
    if twice:
        raise Refused(422, "invalid_query", f"The query names “{twice[0][:80]}” more than once.")
    try:
        return model.model_validate_strings(dict(request.query))
    except ValidationError as error:
        faults = [_field_fault(each) for each in error.errors(include_input=False, include_url=False)]
        sentence = "Some of the query is not as it should be: see errors."
        raise Refused(422, "invalid_query", sentence, faults=faults) from None


def _told(details: Sequence[ErrorDetails]) -> Refused:
    if any(detail["type"] == "json_invalid" for detail in details):
        return Refused(400, "bad_json", "The body is not JSON.")
    if any(not detail["loc"] for detail in details):
        return Refused(422, "invalid_body", "The body is to be a JSON object.")
    faults = [_field_fault(detail) for detail in details]
    return Refused(422, "invalid_body", "Some fields are not as they should be: see errors.", faults=faults)


def _field_fault(detail: ErrorDetails) -> FieldFault:
    ours = "sentence" in detail.get("ctx", {})
    code = detail["type"] if ours else _OWN_CODES.get(detail["type"], "bad_value")
    return FieldFault(_pointer(detail["loc"]), code, detail["msg"].removesuffix(".") + ".")


def _pointer(where: tuple[Any, ...]) -> str:
    """Point to a field, as a URI fragment (RFC 6901 section 6)."""
    return "#" + "".join("/" + str(step)[:80].replace("~", "~0").replace("/", "~1") for step in where)


def answered(answer: BaseModel, *, status: int = 200) -> web.Response:
    """Write an answer."""
    body = answer.model_dump_json().encode() + b"\n"
    return web.Response(status=status, body=body, content_type="application/json", charset="utf-8")
