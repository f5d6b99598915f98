"""Which hostnames the names of a certificate cover.

PURE. RFC 6125 section 6.4.3, read strictly: a wildcard is the whole left-most label and stands for exactly
one label. RFC 9110 section 7.4 (421) and the choice of a certificate go by the same rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Container


def wildcard_over(hostname: str) -> str | None:
    """Name the wildcard that covers a hostname: ``*.example.com`` for ``www.example.com``."""
    parent = hostname.partition(".")[2]
    return f"*.{parent}" if parent else None


def covers(names: Container[str], hostname: str) -> bool:
    """Whether a certificate with these names may answer for ``hostname``: by that name or by a wildcard."""
    return hostname in names or wildcard_over(hostname) in names
