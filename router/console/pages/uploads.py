"""What a page's form brings: fields, and files where the page takes some."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from aiohttp import BodyPartReader, MultipartReader, StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.helpers import parse_mimetype
from aiohttp.http_exceptions import HttpProcessingError

from router.forms import BadForm, read_fields, read_octets

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADS: Final = 64 * 1024
"""Octets for the heads of a form's parts, beside what is in them."""

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
    async for part in _reader(request, await read_octets(request, octets + _HEADS)):
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


def _reader(request: web.Request, body: bytes) -> MultipartReader:
    """Read the parts of a body, which begins with the first of them.

    No browser writes anything before it (RFC 2046 section 5.1.1 lets others), and aiohttp would look for it
    line by line: three MiB of line ends held a worker for seconds. Raises ``ValueError``.
    """
    boundary = parse_mimetype(request.headers["Content-Type"]).parameters.get("boundary", "")
    first, mark = body[:200].partition(b"\n")[0].rstrip(), f"--{boundary}".encode()
    if first not in (mark, mark + b"--"):
        raise ValueError("it does not begin with its boundary")
    content = StreamReader(BaseProtocol(asyncio.get_running_loop()), len(body) + 1)
    content.feed_data(body)
    content.feed_eof()
    return MultipartReader(request.headers, content)


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
