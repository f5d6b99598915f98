"""Lists with the latest rows first, read in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

_Found = TypeVar("_Found", bound="Select[Any]")


def latest_first(
    found: _Found,
    at: ColumnElement[int],
    by_id: ColumnElement[str],
    *,
    after: tuple[int, str] | None,
    most: int,
) -> _Found:
    """Put rows in the order of ``at``, the latest first, those of one second by their ids; ``most`` of them.

    ``after`` is the time and the id of the row that the piece before ended with: whatever is added or removed
    meanwhile, none is told twice and none passed over.
    """
    if after is not None:
        time, last = after
        found = found.where((at < time) | ((at == time) & (by_id > last)))
    return found.order_by(at.desc(), by_id).limit(most)
