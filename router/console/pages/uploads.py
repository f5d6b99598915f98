"""What a page's form brings: fields, and files where the page takes some."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from router.forms import BadForm, read_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNREADABLE: Final = (
    ConnectionError,
    HttpProcessingError,  # what aiohttp says of a part's head
    ValueError,
    AssertionError,
    web.RequestPayloadError,
)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was chosen: its name as the browser says it, and its octets."""

    name: str
    body: bytes = field(repr=False)
    beside: tuple[Upload, ...] = ()
    """Those that were chosen in the same field, besides."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A form as it was sent; a file that was not chosen is not in ``files``."""

    fields: Mapping[str, str]
    files: Mapping[str, Upload]

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")


async def read_sent(request: web.Request, *, octets: int, fields: int) -> Sent:
    """Read a form, ``multipart/form-data`` (RFC 7578) too. Raises ``BadForm`` as ``read_fields`` does."""
    if request.content_type != "multipart/form-data":
        return Sent(await read_fields(request, octets=octets, fields=fields), {})
    try:
        return await _parts(request, octets, fields)
    except _UNREADABLE as fault:
        raise BadForm("bad_form", "The form cannot be read, or broke off on its way.", status=400) from fault


async def _parts(request: web.Request, octets: int, most: int) -> Sent:
    fields: dict[str, str] = {}
    files: dict[str, Upload] = {}
    left, parts = octets, 0
    async for part in await request.multipart():
        name = part.name if isinstance(part, BodyPartReader) else None
        if not isinstance(part, BodyPartReader) or not name or _twice(part, name, fields, files):
            raise BadForm("bad_form", "The form has a field twice, or one without a name.", status=400)
        body = await _body(part, left)
        left -= len(body)
        if part.filename is None:
            fields[name] = body.decode("utf-8")
        elif part.filename or body:
            upload, first = Upload(part.filename[:200], body), files.get(name)
            files[name] = upload if first is None else replace(first, beside=(*first.beside, upload))
        parts += 1
        if parts > most:
            raise BadForm("bad_form", "The form has too many fields.", status=400)
    return Sent(fields, files)


def _twice(part: BodyPartReader, name: str, fields: Mapping[str, str], files: Mapping[str, Upload]) -> bool:
    """Whether a field is there already; of one that takes files there may be several."""
    return name in fields or (name in files and part.filename is None)


async def _body(part: BodyPartReader, most: int) -> bytes:
    body = bytearray()
    while chunk := await part.read_chunk():
        body += chunk
        if len(body) > most:
            raise BadForm("form_too_large", "The form is too long.", status=413)
    return bytes(body)
