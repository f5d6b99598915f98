"""When a claim's proof is looked for, and how long a hostname serves without it.

PURE. ``luck``, a number from 0 to 1, spreads the checks of many claims: each pause is up to a twentieth
shorter or longer.
"""

from __future__ import annotations

from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400

TRIES: Final = 75
"""Checks in vain after which nobody looks any more until somebody asks: after seven days."""

LOST_LIFE: Final = 7 * _DAY
"""Seconds for which a hostname serves without proof."""

NOTICES: Final = (0, 3 * _DAY, 6 * _DAY)
"""Seconds after the loss at which it is told."""

_QUICK_TRIES: Final = 10
_LONGEST: Final = 4 * _HOUR


def pause(checks: int, luck: float) -> int:
    """Answer the seconds until the next check, after so many that were in vain.

    60 s x 1.05^n for the first ten, then 60 s x 1.15^n, never more than four hours.
    """
    growth = 1.05 if checks < _QUICK_TRIES else 1.15
    return _spread(min(_MINUTE * growth**checks, _LONGEST), luck)


def pause_while_proved(luck: float) -> int:
    """Answer the seconds until an active hostname's proof is looked for again."""
    return _spread(_LONGEST, luck)


def pause_in_doubt(luck: float) -> int:
    """Answer the seconds until the next look where something may change soon.

    That is: the proof was lost, another tenant holds the hostname, or the name servers could not tell.
    """
    return _spread(_HOUR, luck)


def serves_until(lost_at: int) -> int:
    """Answer when a hostname whose proof was lost then is released."""
    return lost_at + LOST_LIFE


def notices_due(lost_at: int, now: int) -> int:
    """Answer how many notices of the loss have to have gone out by now."""
    return sum(now >= lost_at + after for after in NOTICES)


def _spread(seconds: float, luck: float) -> int:
    return round(seconds * (1 + (luck - 0.5) / 10))
