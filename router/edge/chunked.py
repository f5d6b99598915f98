"""The chunked transfer coding, read strictly and written plainly.

PURE. RFC 9112 section 7.1. A decoder that is fed what came off the wire and gives back the data, so that
what leaves this proxy is framed anew: chunk extensions are dropped, sizes are written in one way, and
nothing a recipient could read differently gets through.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.edge.headers import Header

LAST_CHUNK = b"0\r\n\r\n"

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x7e]*)?")
_TRAILER_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_MAX_SIZE_LINE = 256
_MAX_TRAILERS = 8192

_LINES_AT_ONCE = 1024
"""Lines of framing read in one go: a millisecond's work, however small the chunks are."""

_STRETCH = 16_384
"""Chunks over which their average size is judged."""


class BadChunk(Exception):  # noqa: N818 - it is what came, not what we did
    """The bytes are not a chunked body; whoever sent them is not to be listened to any further."""


class TinyChunks(BadChunk):
    """The body is nearly all framing, over thousands of chunks: work for us, and for the upstream."""


class ChunkedDecoder:
    """Decodes one body. Memory is bounded by one size line or one trailer section, never by a chunk.

    After ``done`` is true, ``rest`` holds what followed the body and ``trailers`` the trailer fields. Before,
    ``rest`` is what was too much for one go: it is to be fed again, once others have had their turn.
    ``least`` is the size in octets that chunks must have on average, over some thousands of them.
    """

    __slots__ = (
        "_between",
        "_buffer",
        "_chunks",
        "_least",
        "_left",
        "_octets",
        "_trailer_octets",
        "done",
        "rest",
        "trailers",
    )

    def __init__(self, *, least: int = 0) -> None:
        self._least = least
        self._chunks = 0  # of the present stretch, and their octets
        self._octets = 0
        self._buffer = b""
        self._left = 0  # octets of the current chunk still to come
        self._between = False  # a chunk's data is over, its CRLF is still to come
        self._trailer_octets = -1  # none: the last chunk has not been seen
        self.done = False
        self.rest = b""
        self.trailers: list[Header] = []

    def feed(self, data: bytes) -> bytes:
        """Take what came; return the body data in it, possibly empty. Raises ``BadChunk``.

        What it leaves is in ``rest``.
        """
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        pieces: list[bytes] = []
        at, end, lines = 0, len(data), _LINES_AT_ONCE
        while at < end and not self.done:
            if self._left:
                piece = data[at : at + self._left]
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._between = not self._left
            else:
                line_end = self._line_end(data, at)
                if line_end < 0:
                    break
                self._take_line(data[at:line_end])
                at = line_end + 2
                lines -= 1
                if not lines:
                    break
        if self.done or not lines:
            self.rest = data[at:]
        else:
            self.rest, self._buffer = b"", data[at:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _line_end(self, data: bytes, at: int) -> int:
        """Where the line that starts at ``at`` ends; -1 when it is not all here."""
        if self._between:  # only CRLF may follow the data, and it is judged octet by octet
            if not b"\r\n".startswith(data[at : at + 2]):
                raise BadChunk("no CRLF after a chunk")
            return at if len(data) - at >= 2 else -1  # noqa: PLR2004 - the length of CRLF
        limit = _MAX_SIZE_LINE if self._trailer_octets < 0 else _MAX_TRAILERS
        line_end = data.find(b"\r\n", at, at + limit)
        if line_end < 0:
            if len(data) - at >= limit:
                raise BadChunk("a line without an end")
            if data.find(b"\n", at) >= 0:
                raise BadChunk("a bare LF in the framing")
        return line_end

    def _take_line(self, line: bytes) -> None:
        if self._between:
            self._between = False
        elif self._trailer_octets >= 0:
            self._take_trailer(line)
        else:
            match = _SIZE_LINE.fullmatch(line)
            if match is None:
                raise BadChunk("a malformed chunk size")
            self._left = int(match[1], 16)
            if not self._left:
                self._trailer_octets = 0
            elif self._least:
                self._weigh()

    def _weigh(self) -> None:
        self._chunks += 1
        self._octets += self._left
        if self._chunks == _STRETCH:
            if self._octets < self._least * _STRETCH:
                raise TinyChunks("next to nothing in each of thousands of chunks")
            self._chunks = self._octets = 0

    def _take_trailer(self, line: bytes) -> None:
        if not line:
            self.done = True
            return
        match = _TRAILER_LINE.fullmatch(line)
        self._trailer_octets += len(line) + 2
        if match is None or self._trailer_octets > _MAX_TRAILERS:
            raise BadChunk("a malformed trailer section")
        self.trailers.append((match[1], match[2].rstrip(b" \t")))


def encode_chunk(data: bytes) -> bytes:
    """Frame one piece of data; it must not be empty, because an empty chunk ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def encode_end(trailers: list[Header]) -> bytes:
    """The last chunk, with the trailer fields given."""
    if not trailers:
        return LAST_CHUNK
    lines = b"".join(b"%b: %b\r\n" % trailer for trailer in trailers)
    return b"0\r\n%b\r\n" % lines
