"""A session as the edge sees it: one frozen value and the rule that admits it.

PURE. Times are unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

COOKIE: Final = "__Host-portal-session"
"""The cookie's name; the prefix makes browsers refuse it without Secure and Path=/, or with a Domain."""


@dataclass(frozen=True, slots=True)
class Session:
    """A user who signed in at one tenant's portal.

    ``key`` is the SHA-256 of the cookie's token in hexadecimal and is what is stored; ``id`` is the public
    name of the session (the ``sid`` claim) and opens nothing. ``idle_life`` is in seconds; ``expires_at`` is
    the absolute end, whatever was used in between. ``customer`` is empty while the user, who has several,
    has not chosen one; nothing is forwarded then. ``remembered`` ones outlast the browser.
    """

    key: str
    id: str
    tenant_id: str
    user_id: str
    email: str
    customer: str
    signed_in_at: int
    seen_at: int
    expires_at: int
    idle_life: int
    remembered: bool = False

    def admits(self, tenant_id: str, now: float) -> bool:
        """Whether it opens ``tenant_id``'s portal at ``now``: the same tenant, neither idle nor ended."""
        return self.tenant_id == tenant_id and now < self.expires_at and now < self.seen_at + self.idle_life
