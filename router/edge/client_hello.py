"""Read a TLS ClientHello without consuming it: server name and ALPN, or how many bytes are still missing.

PURE. RFC 8446 section 4.1.2 (the message), RFC 6066 section 3 (server_name), RFC 7301 (ALPN), RFC 8446
section 5.1 (records; a hello may be spread over several). Whatever is cut short says how much it lacks,
so that the listener can sleep until that much has come.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from router.edge.peeked import Missing

MAX_HELLO = 16_384
"""Octets of a ClientHello we are willing to wait for. Browsers send about 2,000."""

UNRECOGNIZED_NAME = bytes.fromhex("15030300020270")
"""The fatal alert *unrecognized_name* (RFC 6066 section 3) as a whole record."""

DECODE_ERROR = bytes.fromhex("15030300020232")
"""The fatal alert *decode_error* (RFC 8446 section 6.2) as a whole record."""

_RECORD_HEADER = 5
_HANDSHAKE = 22
_CLIENT_HELLO = 1
_MAX_RECORD = 16_384
_MAX_RECORDS = 32
"""Records of one hello. All are read again whenever more comes: thousands of tiny ones would cost seconds."""

_SERVER_NAME = 0
_ALPN = 16
_HOST_NAME = 0
_FIRST_NAME = 5  # behind the length of the list, the kind of name, and its length
_TWO_NUMBERS = struct.Struct(">HH").unpack_from  # an extension's kind and length


class BadClientHello(Exception):  # noqa: N818 - it is what came, not what we did
    """The bytes are not a ClientHello that we would answer."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client says before anything is encrypted. ``server_name`` is as sent, not yet a Hostname."""

    server_name: str | None
    alpn: tuple[bytes, ...] = ()


def read_client_hello(data: bytes) -> ClientHello | Missing:
    """Read the hello at the start of ``data``.

    Raises ``BadClientHello`` for whatever is not one: another protocol, a length that lies, more than
    ``MAX_HELLO`` octets, two server names.
    """
    message = _unwrap_records(data)
    if isinstance(message, Missing):
        return message
    return _read_message(message)


def _unwrap_records(data: bytes) -> bytes | Missing:
    """Join the handshake fragments of as many records as the hello spans."""
    message = bytearray()
    needed = 4  # the handshake header, whose length field says how much more
    at = records = 0
    while len(message) < needed:
        records += 1
        if records > _MAX_RECORDS:
            raise BadClientHello("a ClientHello in crumbs")
        header = data[at : at + _RECORD_HEADER]
        _check_record_header(header)
        if len(header) < _RECORD_HEADER:
            return Missing(_RECORD_HEADER - len(header))
        length = int.from_bytes(header[3:5], "big")
        end = at + _RECORD_HEADER + length
        message += data[at + _RECORD_HEADER : end]
        if len(message) >= 4:  # noqa: PLR2004 - the handshake header again
            needed = _message_length(message)
        if end > len(data) and len(message) < needed:
            return Missing(end - len(data))
        at = end
    return bytes(message[4:needed])


def _check_record_header(header: bytes) -> None:
    if header[:1] not in (b"", bytes([_HANDSHAKE])) or header[1:2] not in (b"", b"\x03"):
        raise BadClientHello("not a TLS handshake record")
    if len(header) == _RECORD_HEADER and not 0 < int.from_bytes(header[3:5], "big") <= _MAX_RECORD:
        raise BadClientHello("a record of an impossible length")


def _message_length(message: bytearray) -> int:
    if message[0] != _CLIENT_HELLO:
        raise BadClientHello("the first handshake message is not a ClientHello")
    length = 4 + int.from_bytes(message[1:4], "big")
    if length > MAX_HELLO:
        raise BadClientHello("the ClientHello is too long")
    return length


# By index, not by an object that takes one field after the other: a hello has ten to twenty extensions, and a
# call for each of their fields made it 14 µs instead of 5.6.


def _read_message(hello: bytes) -> ClientHello:
    at = _after(hello, 2 + 32, 1)  # legacy_version and random, legacy_session_id
    at = _after(hello, at, 2)  # cipher_suites
    at = _after(hello, at, 1)  # legacy_compression_methods
    if at == len(hello):
        return ClientHello(None)
    end = _after(hello, at, 2)
    at += 2
    server_name: str | None = None
    alpn: tuple[bytes, ...] = ()
    seen: set[int] = set()
    while at < end:
        if at + 4 > end:
            raise _lie()
        kind, length = _TWO_NUMBERS(hello, at)
        body, at = at + 4, at + 4 + length
        if at > end:
            raise _lie()
        if kind in seen:
            raise BadClientHello("an extension stands twice")  # RFC 8446 section 4.2
        seen.add(kind)
        if kind == _SERVER_NAME:
            server_name = _read_server_name(hello[body:at])
        elif kind == _ALPN:
            alpn = _read_alpn(hello[body:at])
    return ClientHello(server_name, alpn)


def _after(data: bytes, at: int, octets: int) -> int:
    """Where the vector at ``at`` ends, whose length is a number of so many ``octets``."""
    start = at + octets
    end = start + int.from_bytes(data[at:start], "big")
    if start > len(data) or end > len(data):
        raise _lie()
    return end


def _lie() -> BadClientHello:
    return BadClientHello("a field is longer than its message")


def _read_server_name(extension: bytes) -> str:
    end = _after(extension, 0, 2)
    if end != len(extension) or end < _FIRST_NAME or extension[2] != _HOST_NAME:
        raise BadClientHello("a server name list that is not one host name")
    if _after(extension, 3, 2) != end:
        raise BadClientHello("a server name list that is not one host name")
    try:
        return extension[_FIRST_NAME:].decode("ascii")
    except UnicodeDecodeError as fault:
        raise BadClientHello("the server name is not ASCII") from fault


def _read_alpn(extension: bytes) -> tuple[bytes, ...]:
    end = _after(extension, 0, 2)
    at = 2
    found = []
    while at < end:
        start, at = at + 1, _after(extension, at, 1)
        found.append(extension[start:at])
    return tuple(found)
