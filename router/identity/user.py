"""A user as every room sees them: one frozen value.

PURE.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class User:
    """A person who signs in at one tenant's portal, for each of ``customers`` (references, sorted).

    ``language`` is the one they chose for pages and mails, if they ever did.
    """

    id: str
    tenant_id: str
    email: str
    customers: tuple[str, ...]
    language: str | None
    disabled: bool
    password_hash: str = field(repr=False)
