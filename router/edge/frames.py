"""WebSocket frames, as far as a tunnel must know them: where one ends, so that a close frame fits in.

PURE. RFC 6455 section 5.2. The tunnel passes every octet through unread but these headers.
"""

from __future__ import annotations

from typing import Final

GOING_AWAY: Final = 1001
POLICY: Final = 1008
"""Close codes (RFC 6455 section 7.4.1): the endpoint goes away; the session that opened it has ended."""

_CLOSE: Final = 0x8
_LENGTH_16, _LENGTH_64 = 126, 127


class FrameTracker:
    """Follows one direction of a WebSocket. ``between`` says that no frame is under way."""

    __slots__ = ("_header", "_left", "closing")

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self.closing = False
        """A close frame has gone by: nothing may follow it."""

    @property
    def between(self) -> bool:
        """Whether another frame could begin here."""
        return not self._left and not self._header

    def feed(self, data: bytes) -> None:
        """Follow ``data``, in whatever pieces it comes."""
        at, end = 0, len(data)
        while at < end:
            if self._left:
                step = min(self._left, end - at)
                self._left -= step
                at += step
                continue
            taken = min(_header_missing(self._header), end - at)
            self._header += data[at : at + taken]
            at += taken
            if not _header_missing(self._header):
                self.closing = self.closing or self._header[0] & 0x0F == _CLOSE
                self._left = _payload(self._header)
                self._header = b""


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
