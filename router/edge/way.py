"""One way of a tunnel: what comes from one end goes to the other, at the pace of the slower."""

from __future__ import annotations

import asyncio
from typing import Final

from router.edge.frames import FrameTracker, close_frame

_BARE_FRAMES: Final = 5_000
"""Frames that bring nobody anything, between two looks: more than that are sent for the work they make."""


class Way:
    """From ``source`` to ``sink``; ``masked`` as clients' frames are (RFC 6455 section 5.3).

    What came in so many frames that following them takes long is held, and passed on piece by piece, so that
    other connections have their turn in between.
    """

    __slots__ = (
        "_full",
        "_goodbye",
        "_held",
        "_later",
        "_masked",
        "_sink",
        "_source",
        "_tracker",
    )

    def __init__(self, source: asyncio.Transport, sink: asyncio.Transport, *, masked: bool) -> None:
        self._source = source
        self._sink = sink
        self._masked = masked
        self._tracker = FrameTracker()
        self._held = b""
        self._later: asyncio.Handle | None = None
        self._full = False
        self._goodbye = 0  # the code of the close frame, once the end has come

    def pass_on(self, data: bytes) -> bool:
        """Write ``data`` if it may still go this way: after the goodbye nothing does (RFC 6455 5.5.1)."""
        if self._later is not None:
            self._held += data
            return True
        if not data or self._sink.is_closing():
            return False
        if self._goodbye:
            return self._finish_frame(data)
        taken = self._tracker.feed(data)
        if taken < len(data):
            self._held = data[taken:]
            self._later = asyncio.get_running_loop().call_soon(self._go_on)
            self._pause_or_resume()
            data = data[:taken]
        self._sink.write(data)
        return True

    @property
    def flooded(self) -> bool:
        """Whether it is used for nothing but to keep both ends busy, since the last ``look``."""
        return self._tracker.bare > _BARE_FRAMES

    def look(self) -> None:
        """Begin to count anew: called every few seconds."""
        self._tracker.bare = 0

    def full(self, *, full: bool) -> None:
        """The sink does not read, or reads again: so does the source wait."""
        self._full = full
        self._pause_or_resume()

    def say_goodbye(self, code: int) -> None:
        """End it with a close frame, after the frame that is under way, where there is one."""
        self._goodbye = code
        self._drop_held()
        self._write_goodbye()

    def flush(self) -> None:
        """Write what is held: no more will come."""
        if self._held and not self._sink.is_closing():
            self._sink.write(self._held)
        self._drop_held()

    def _finish_frame(self, data: bytes) -> bool:
        if self._tracker.between:
            return False
        self._sink.write(data[: self._tracker.feed(data, 0)])
        self._write_goodbye()
        return True

    def _write_goodbye(self) -> None:
        if self._tracker.between and not self._tracker.closing and not self._sink.is_closing():
            self._sink.write(close_frame(self._goodbye, masked=self._masked))

    def _go_on(self) -> None:
        self._later = None
        held, self._held = self._held, b""
        self.pass_on(held)
        self._pause_or_resume()

    def _drop_held(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
            self._held = b""
            self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        if self._source.is_closing():
            return
        if self._full or self._later is not None:
            self._source.pause_reading()
        else:
            self._source.resume_reading()
