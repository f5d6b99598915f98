"""Scopes: what a token may be used for.

PURE.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from router.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable


class Scope(StrEnum):
    """One thing that a token may do."""

    INVOICE_LINE = "invoice-line"  # ask for the line of an invoice, and withdraw its link
    INVITATIONS = "invitations"  # invite people to a tenant's portal


def parse_scopes(raw: Iterable[str]) -> tuple[Scope, ...]:
    """Read the names of scopes, each once; at least one. Raises ``BadInput("bad_scope")``."""
    given = set(raw)
    if not given or given - set(Scope):
        known = ", ".join(Scope)
        raise BadInput("bad_scope", f"A token's scopes are one or more of: {known}.")
    return tuple(scope for scope in Scope if scope in given)
