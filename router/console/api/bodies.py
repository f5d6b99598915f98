"""Bodies: read by a model, each fault told with the field it is in; answers written by one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from aiohttp import web
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError, from_json, to_json

from router.console.api.field_faults import faults_of, place_of, pointer
from router.console.problems import FieldFault, Refused
from router.errors import BadInput
from router.identity.users import normalise_email, parse_customer
from router.languages.choice import parse_language

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pydantic_core import ErrorDetails

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TWICE: Final = "It is there more than once: say it once."


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
        details = error.errors(include_input=False, include_url=False)  # it would quote the body
        raise _told(details, model) from None


def sound_part(raw: bytes, model: type[_Body]) -> _Body | None:
    """Read of JSON what is not at fault, so that it can be judged, too; none, if that is nothing to judge.

    A list with a fault is left out as a whole; an empty text stands in for what is needed and is not there.
    """
    content = from_json(raw)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        for detail in error.errors(include_input=False, include_url=False):
            _leave_out(content, place_of(detail))
    needed = {name: "" for name, field in model.model_fields.items() if field.is_required()}
    try:
        return model.model_validate_json(to_json(needed | content))
    except ValidationError:
        return None


def _leave_out(content: Any, place: Sequence[int | str]) -> None:  # noqa: ANN401 - whatever JSON holds
    for step in place[:-1]:
        inner = content.get(step)
        if not isinstance(inner, dict):
            content.pop(step, None)
            return
        content = inner
    content.pop(place[-1], None)


def read_query(request: web.Request, model: type[_Body]) -> _Body:
    """Read a request's query: each name once, as the model wants it. Raises ``Refused`` (422)."""
    query = request.query
    twice = dict.fromkeys(name for name in query if len(query.getall(name)) > 1)
    faults = [FieldFault(pointer([name]), "duplicate_parameter", _TWICE) for name in twice]
    try:
        read = model.model_validate_strings(dict(query))
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False)
        faults += faults_of(details, model, called="parameter")
    else:
        if not faults:
            return read
    sentence = "Some of the query is not as it should be: see errors."
    raise Refused(422, "invalid_query", sentence, faults=faults)


def _told(details: Sequence[ErrorDetails], model: type[BaseModel]) -> Refused:
    if any(detail["type"] == "json_invalid" for detail in details):
        return Refused(400, "bad_json", "The body is not JSON.")
    if any(not detail["loc"] for detail in details):
        return Refused(422, "invalid_body", "The body is to be a JSON object.")
    faults = faults_of(details, model)
    return Refused(422, "invalid_body", "Some fields are not as they should be: see errors.", faults=faults)


def answered(answer: BaseModel, *, status: int = 200) -> web.Response:
    """Write an answer."""
    body = answer.model_dump_json().encode() + b"\n"
    return web.Response(status=status, body=body, content_type="application/json", charset="utf-8")
