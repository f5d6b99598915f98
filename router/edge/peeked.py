"""What came before TLS, and was looked at without being consumed.

PURE. Shared by the two that read it: the PROXY protocol and the ClientHello.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Missing:
    """What was peeked is cut short: ``count`` octets, at least, must still come."""

    count: int
