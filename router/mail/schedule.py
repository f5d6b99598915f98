"""When a mail is tried, and when no more.

PURE. A mail that could not be sent is tried again after a minute, and then after longer and longer pauses for
a day: a mail server that is away for a night loses nothing.
"""

from __future__ import annotations

from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600

PAUSES: Final = (
    _MINUTE,
    5 * _MINUTE,
    15 * _MINUTE,
    _HOUR,
    2 * _HOUR,
    *(4 * _HOUR,) * 5,
)
"""Seconds between one try and the next: 23 hours and 21 minutes in all."""

LEASE: Final = 5 * _MINUTE
"""Seconds for which a mail belongs to the worker that sends it; if the worker dies, another one's turn."""

TOO_OLD: Final = 7 * 86_400
"""Seconds after which a mail is of no use to anybody: the links in it have run out."""

KEPT: Final = 30 * 86_400
"""Seconds for which the outbox tells what became of a mail."""


def pause(attempts: int) -> int | None:
    """Answer the seconds to wait after so many attempts that failed; None when it is to be given up."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


def is_hopeless(attempts: int, created_at: int, now: float) -> bool:
    """Whether the attempt that would begin now, one of so many, is not worth it.

    That it was tried too often means here that its workers died of it: any other failure asks ``pause``.
    """
    return attempts > len(PAUSES) + 1 or now - created_at > TOO_OLD
