"""Where look-ups wait for their turn, so that strangers' made-up keys never take the database from others.

Anybody can ask for a hostname, or show a session cookie, that nobody ever heard of; each costs a question.
So strangers' questions are asked a few at a time, and who was known before does not stand in line with them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import structlog

from router.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_log = structlog.get_logger(__name__)

BUSY: Final = "busy"
"""The code of what is raised where there is no place left; the room itself says so in the log, once."""


class WaitingRoom:
    """Two lines, of strangers and of acquaintances; from each, ``at_once`` are served at the same time.

    ``places`` are the strangers that may wait, ``places_each`` those that one asker may bring. At two at
    once, the strangers of three rooms leave a database of eight connections some for everything else.
    """

    def __init__(self, name: str, *, at_once: int = 2, places: int = 1_000, places_each: int = 200) -> None:
        self._name = name
        self._strangers = asyncio.Semaphore(at_once)
        self._acquaintances = asyncio.Semaphore(at_once)
        self._places = places
        self._places_each = places_each
        self._waiting: Counter[str] = Counter()  # strangers, by who asks for them
        self._told = False
        self.turned_away = 0
        """Strangers for whom there was no place."""

    def __repr__(self) -> str:
        return f"<WaitingRoom {self._name}: {self._waiting.total()} waiting, {self.turned_away} turned away>"

    @asynccontextmanager
    async def turn(self, *, known: bool, asker: str = "") -> AsyncIterator[None]:
        """Wait for a turn, and hold it. ``asker`` is whose question it is, empty where that is not known.

        Raises ``Unavailable("busy")`` where too many strangers wait already.
        """
        if known:
            async with self._acquaintances:
                yield
            return
        self._take_place(asker)
        try:
            async with self._strangers:
                yield
        finally:
            self._leave(asker)

    def _take_place(self, asker: str) -> None:
        crowd = bool(asker) and self._waiting[asker] >= self._places_each
        if crowd or self._waiting.total() >= self._places:
            self.turned_away += 1
            if not self._told:
                self._told = True
                _log.warning("strangers are turned away, too many are being looked for", room=self._name)
            raise Unavailable(BUSY, "Too many names are being looked for; try again in a moment.")
        self._waiting[asker] += 1

    def _leave(self, asker: str) -> None:
        self._waiting[asker] -= 1
        if not self._waiting[asker]:
            del self._waiting[asker]
        if not self._waiting:
            self._told = False
