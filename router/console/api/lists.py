"""Lists: answered in pieces, each with a cursor to the next; nothing is left out or told twice by a change.

A cursor says after which row a piece ended, in the list's own order; for its caller it is opaque.
"""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import Field

from router.console.api.bodies import Body
from router.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_CURSOR: Final = 2000
"""Characters: room for the longest name that anything is in order of."""

_MAX_NUMBER: Final = 2**53
_Row = TypeVar("_Row")


class Paging(Body):
    """Which piece of a list is wanted; lists that filter inherit from it."""

    limit: int = Field(50, ge=1, le=200, description="How many at most.")
    after: str | None = Field(
        None,
        description="The `next` of the piece before; without it, the first one.",
        json_schema_extra={"pattern": f"^[A-Za-z0-9_-]{{1,{MAX_CURSOR}}}$"},
    )


def cursor_of(*place: str | int) -> str:
    """Name the place of a row by what its list is in order of."""
    written = json.dumps(place, ensure_ascii=False, separators=(",", ":"))
    return urlsafe_b64encode(written.encode()).decode().rstrip("=")


def place_of(cursor: str, *kinds: type[str | int]) -> tuple[str | int, ...]:
    """Read a place that :func:`cursor_of` named, each part of the kind it is to be.

    Raises ``BadInput("bad_cursor")``.
    """
    if len(cursor) > MAX_CURSOR:
        raise _bad_cursor()
    try:
        place = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError) as fault:
        raise _bad_cursor() from fault
    if not isinstance(place, list) or [type(part) for part in place] != list(kinds):
        raise _bad_cursor()
    if not all(_storable(part) for part in place):
        raise _bad_cursor()
    return tuple(place)


def piece(
    rows: Sequence[_Row], limit: int, place: Callable[[_Row], tuple[str | int, ...]]
) -> tuple[Sequence[_Row], str | None]:
    """Cut ``limit`` rows off one more than were asked for, and name the cursor to the next piece, if any."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], cursor_of(*place(rows[limit - 1]))


def _storable(part: str | int) -> bool:
    """Whether both databases have such a value: PostgreSQL's texts hold no NUL and no lone surrogate."""
    if isinstance(part, int):
        return abs(part) < _MAX_NUMBER
    return part.isprintable()


def _bad_cursor() -> BadInput:
    sentence = "That is no cursor of this list: begin anew, without “after”."
    return BadInput("bad_cursor", sentence, field="after")
