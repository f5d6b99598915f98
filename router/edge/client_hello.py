"""Read a TLS ClientHello without consuming it: server name and ALPN, or how many bytes are still missing.

PURE. RFC 8446 section 4.1.2 (the message), RFC 6066 section 3 (server_name), RFC 7301 (ALPN), RFC 8446
section 5.1 (records; a hello may be spread over several). Whatever is cut short says how much it lacks,
so that the listener can sleep until that much has come.
"""

from __future__ import annotations

from dataclasses import dataclass

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


class BadClientHello(Exception):  # noqa: N818 - it is what came, not what we did
    """The bytes are not a ClientHello that we would answer."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The hello is cut short: ``count`` octets, at least, must still come."""

    count: int


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client says before anything is encrypted. ``server_name`` is as sent, not yet a Hostname."""

    server_name: str | None
    alpn: tuple[bytes, ...] = ()


class _Reader:
    """Takes length-prefixed fields off a message; a field that does not fit is a lie."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise BadClientHello("a field is longer than its message")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def number(self, octets: int) -> int:
        return int.from_bytes(self.take(octets), "big")

    def vector(self, octets: int) -> bytes:
        return self.take(self.number(octets))


def read_client_hello(data: bytes) -> ClientHello | Missing:
    """Read the hello at the start of ``data``.

    Raises ``BadClientHello`` for whatever is not one: another protocol, a length that lies, more than
    ``MAX_HELLO`` octets, two server names.
    """
    message = _unwrap_records(data)
    if isinstance(message, Missing):
        return message
    return _read_message(_Reader(message))


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


def _read_message(hello: _Reader) -> ClientHello:
    hello.take(2 + 32)  # legacy_version, random
    hello.vector(1)  # legacy_session_id
    hello.vector(2)  # cipher_suites
    hello.vector(1)  # legacy_compression_methods
    server_name: str | None = None
    alpn: tuple[bytes, ...] = ()
    extensions = _Reader(hello.vector(2)) if hello else _Reader(b"")
    seen: set[int] = set()
    while extensions:
        kind, body = extensions.number(2), extensions.vector(2)
        if kind in seen:
            raise BadClientHello("an extension stands twice")  # RFC 8446 section 4.2
        seen.add(kind)
        if kind == _SERVER_NAME:
            server_name = _read_server_name(_Reader(body))
        elif kind == _ALPN:
            alpn = _read_alpn(_Reader(body))
    return ClientHello(server_name, alpn)


def _read_server_name(extension: _Reader) -> str:
    names = _Reader(extension.vector(2))
    kind, name = names.number(1), names.vector(2)
    if kind != _HOST_NAME or names or extension:
        raise BadClientHello("a server name list that is not one host name")
    try:
        return name.decode("ascii")
    except UnicodeDecodeError as fault:
        raise BadClientHello("the server name is not ASCII") from fault


def _read_alpn(extension: _Reader) -> tuple[bytes, ...]:
    names = _Reader(extension.vector(2))
    found = []
    while names:
        found.append(names.vector(1))
    return tuple(found)
