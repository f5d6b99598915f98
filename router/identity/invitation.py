"""An invitation as operators see it, and the rule that says how it stands.

PURE. Times are unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

InvitationStatus = Literal["open", "accepted", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Invitation:
    """An e-mail address asked to sign in for a customer; ``sent_at`` is when the latest mail was queued."""

    id: str
    tenant_id: str
    email: str
    customer: str
    language: str | None
    invited_by: str
    created_at: int
    sent_at: int
    expires_at: int
    accepted_at: int | None = None
    revoked_at: int | None = None

    def status(self, now: float) -> InvitationStatus:
        """Say how it stands at ``now``."""
        if self.accepted_at is not None:
            return "accepted"
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= now else "open"
