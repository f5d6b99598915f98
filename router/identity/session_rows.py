"""Sessions in their table: what is read of them, with what their users say now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, false, func, select

from router.storage.schema import memberships, sessions, users

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Select

STORED: Final = (
    "key",
    "id",
    "tenant_id",
    "user_id",
    "signed_in_at",
    "seen_at",
    "expires_at",
    "idle_life",
    "remembered",
)
"""The columns of a session as the edge sees it."""

LISTED: Final = ("id", "address", "user_agent", "signed_in_at", "seen_at", "remembered")
"""The columns of a session in a list."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as its owner sees it in a list; ``id`` opens nothing. Times are unix seconds."""

    id: str
    customer: str
    address: str
    user_agent: str
    signed_in_at: int
    seen_at: int
    remembered: bool


def has_ended(now: int) -> ColumnElement[bool]:
    """Whether a session has ended by its own times, whoever swept it or not."""
    return (sessions.c.expires_at <= now) | (sessions.c.seen_at + sessions.c.idle_life <= now)


def joined(names: Iterable[str], *columns: ColumnElement[str]) -> Select[*tuple[Any, ...]]:
    """Select sessions with what their users say now; those of disabled users do not exist.

    A customer that the user acts for no longer is none, whoever chose it a moment ago.
    """
    chosen = and_(memberships.c.user_id == sessions.c.user_id, memberships.c.customer == sessions.c.customer)
    customer = func.coalesce(memberships.c.customer, "").label("customer")
    return (
        select(*(sessions.c[name] for name in names), customer, *columns)
        .join(users, users.c.id == sessions.c.user_id)
        .outerjoin(memberships, chosen)
        .where(users.c.disabled == false())
    )
