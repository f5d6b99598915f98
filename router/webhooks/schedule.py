"""When a delivery is tried, and when no more.

PURE. One that did not arrive is tried again after seconds, and then after longer and longer pauses for a day.
"""

from __future__ import annotations

from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400

PAUSES: Final = (5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 8 * _HOUR, 8 * _HOUR)
"""Seconds between one try and the next: eight tries within 23 hours and 35 minutes."""

LEASE: Final = 2 * _MINUTE
"""Seconds for which a delivery belongs to the worker that makes it; if that dies, to another one."""

TIMEOUT: Final = 10.0
"""Seconds that a receiver has for an answer."""

GIVEN_UP_AFTER: Final = 3 * _DAY
"""Seconds of nothing but failures after which a webhook is disabled, once another delivery has failed."""

KEPT: Final = 30 * _DAY
"""Seconds for which it is told what became of a delivery."""

GONE: Final = 410
"""The status of whoever wants no more (RFC 9110 section 15.5.11): nothing is tried again."""


def pause(attempts: int) -> int | None:
    """Answer the seconds to wait after so many tries that failed; None when it is to be given up."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


def is_hopeless(attempts: int) -> bool:
    """Whether the try that would begin now, one of so many, is one too many: its workers died of it."""
    return attempts > len(PAUSES) + 1


def is_received(status: int) -> bool:
    """Whether an answer says that the event arrived; a redirect does not, and is not followed."""
    return 200 <= status < 300  # noqa: PLR2004 - the class of success (RFC 9110 section 15.3)


def is_unwanted(status: int | None, failing_since: int | None, now: float) -> bool:
    """Whether a webhook is to be disabled now that a delivery has failed for good."""
    return status == GONE or (failing_since is not None and now - failing_since >= GIVEN_UP_AFTER)
