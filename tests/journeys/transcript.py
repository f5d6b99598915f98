"""What an upstream was sent, read as strictly as HTTP/1.1 can be.

Whatever two servers could read in two ways is a failure of the router's. No code is shared with the router,
on purpose.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_REQUEST_LINE = re.compile(rb"([A-Z-]+) (/[\x21-\x7e\x80-\xff]*) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+\-.^`|~0-9A-Za-z]+): ((?:[\x21-\x7e\x80-\xff][\t\x20-\x7e\x80-\xff]*)?)")
_SIZE = re.compile(rb"[1-9a-f][0-9a-f]*")
_LENGTH = re.compile(rb"0|[1-9][0-9]*")


@dataclass(frozen=True)
class Request:
    """One request as the upstream had to read it; ``whole`` is false while octets of it are missing."""

    method: bytes
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    whole: bool = True

    def values(self, name: str) -> list[bytes]:
        """All values of a field."""
        return [value for key, value in self.fields if key.lower() == name.lower().encode()]

    def value(self, name: str) -> bytes:
        """The one value of a field; ``AssertionError`` when there is another number of them."""
        values = self.values(name)
        assert len(values) == 1, f"{name} stands {len(values)} times"
        return values[0]


def requests_in(octets: bytes) -> list[Request]:
    """Read a connection from its first octet; what follows an upgrade is no HTTP and is left alone.

    ``AssertionError`` says what is ambiguous.
    """
    found: list[Request] = []
    while octets:
        head, end, rest = octets.partition(b"\r\n\r\n")
        if not end:
            return found
        request, octets = _take(head, rest)
        found.append(request)
        if request.values("upgrade") or not request.whole:
            return found
    return found


def _take(head: bytes, rest: bytes) -> tuple[Request, bytes]:
    first, *lines = head.split(b"\r\n")
    started = _REQUEST_LINE.fullmatch(first)
    assert started is not None, f"a request line of another form: {first[:80]!r}"
    request = Request(started[1], started[2], tuple(_read_field(line) for line in lines))
    assert len(request.values("host")) == 1, "not exactly one Host"
    codings, lengths = request.values("transfer-encoding"), request.values("content-length")
    assert len(codings) + len(lengths) <= 1, "more than one framing"
    if codings:
        assert codings == [b"chunked"]
        return _take_chunked(request, rest)
    if not lengths:
        return request, rest
    assert _LENGTH.fullmatch(lengths[0]), f"an odd length: {lengths[0]!r}"
    length = int(lengths[0])
    return replace(request, body=rest[:length], whole=len(rest) >= length), rest[length:]


def _read_field(line: bytes) -> tuple[bytes, bytes]:
    field = _FIELD.fullmatch(line)
    assert field is not None, f"a field line of another form: {line[:80]!r}"
    assert b"_" not in field[1], f"a name that reads like another: {line[:80]!r}"
    return field[1], field[2]


def _take_chunked(request: Request, rest: bytes) -> tuple[Request, bytes]:
    body = b""
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if end and line == b"0":
            return _take_trailers(replace(request, body=body), rest)
        if not end:
            return replace(request, body=body, whole=False), b""
        assert _SIZE.fullmatch(line), f"an odd chunk size: {line[:80]!r}"
        size = int(line, 16)
        if len(rest) < size + 2:
            return replace(request, body=body + rest[:size], whole=False), b""
        assert rest[size : size + 2] == b"\r\n", "no CRLF after a chunk"
        body, rest = body + rest[:size], rest[size + 2 :]


def _take_trailers(request: Request, rest: bytes) -> tuple[Request, bytes]:
    trailers: list[tuple[bytes, bytes]] = []
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not line:
            return replace(request, trailers=tuple(trailers), whole=bool(end)), rest
        trailers.append(_read_field(line))
