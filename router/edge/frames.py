"""WebSocket frames, as far as a tunnel must know them: where one ends, so that a close frame fits in.

PURE. RFC 6455 section 5.2. The tunnel passes every octet through unread but these headers.
"""

from __future__ import annotations

from typing import Final

GOING_AWAY: Final = 1001
POLICY: Final = 1008
"""Close codes (RFC 6455 section 7.4.1): the endpoint goes away; the session that opened it has ended."""

_CLOSE: Final = 0x8
_CONTROL: Final = 0x8  # the bit that all control frames have in their opcode (section 5.5)
_SHORT: Final = 6  # octets of a masked header whose length is in its second octet
_LENGTH_16, _LENGTH_64 = 126, 127

FRAMES_AT_ONCE: Final = 2048
"""Frames followed in one go: a millisecond's work, however short they are."""


class FrameTracker:
    """Follows one direction of a WebSocket. ``between`` says that no frame is under way.

    ``bare`` counts the frames that brought nobody anything: empty ones, and control frames.
    """

    __slots__ = ("_header", "_left", "bare", "closing")

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self.closing = False
        """A close frame has gone by: nothing may follow it."""
        self.bare = 0

    @property
    def between(self) -> bool:
        """Whether another frame could begin here."""
        return not self._left and not self._header

    def feed(self, data: bytes, frames: int = FRAMES_AT_ONCE) -> int:
        """Follow ``data``, in whatever pieces it comes; return how many octets of it were followed.

        That is all of it, but where more than ``frames`` begin in it: then up to the end of the last of them.
        """
        at, end = 0, len(data)
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                at += step
                continue
            if not self._header:
                if not frames:
                    break
                frames -= 1
                length = data[at + 1] & 0x7F if end - at >= _SHORT else _LENGTH_16
                if length < _LENGTH_16:  # a short header, all here: most are, and this is a third of the work
                    self._begin(data[at], length)
                    at += _SHORT if data[at + 1] & 0x80 else 2
                    continue
            taken = min(_header_missing(self._header), end - at)
            self._header += data[at : at + taken]
            at += taken
            if not _header_missing(self._header):
                self._begin(self._header[0], _payload(self._header))
                self._header = b""
        return at

    def _begin(self, first: int, length: int) -> None:
        self._left = length
        if not length or first & _CONTROL:
            self.bare += 1
            self.closing = self.closing or first & 0x0F == _CLOSE


def close_frame(code: int, *, masked: bool) -> bytes:
    """A close frame; a client's are masked (RFC 6455 section 5.3), and a mask of zeros is a mask."""
    if masked:
        return bytes([0x80 | _CLOSE, 0x82, 0, 0, 0, 0]) + code.to_bytes(2, "big")
    return bytes([0x80 | _CLOSE, 2]) + code.to_bytes(2, "big")


def _header_missing(header: bytes) -> int:
    """How many octets of a frame's header are still to come."""
    if len(header) < 2:  # noqa: PLR2004 - the shortest header
        return 2 - len(header)
    length = header[1] & 0x7F
    size = 2 + {_LENGTH_16: 2, _LENGTH_64: 8}.get(length, 0) + (4 if header[1] & 0x80 else 0)
    return size - len(header)


def _payload(header: bytes) -> int:
    length = header[1] & 0x7F
    if length == _LENGTH_16:
        return int.from_bytes(header[2:4], "big")
    if length == _LENGTH_64:
        return int.from_bytes(header[2:10], "big")
    return length
