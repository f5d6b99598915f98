"""How dear it would be to try a passphrase on an encrypted key.

PURE. An upload says by itself how often its passphrase is to be hashed (PBKDF2, RFC 8018 appendix A.2;
PKCS#12, RFC 7292 section 4; scrypt, RFC 7914 section 7). Two thousand million rounds would hold a thread for
minutes, so the number is read from the DER before anything is tried.

In each of those structures a salt, an OCTET STRING, is followed by the counts, INTEGERs. That pattern is
looked for, also inside OCTET STRINGs, because PKCS#12 nests its parts in them. What is inside an encrypted
part cannot be seen: a PKCS#12 file that hides another lock behind its first one is not found out.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

MAX_ROUNDS: Final = 2_000_000
"""Rounds of a PBKDF2 or PKCS#12 hash: a fifth of a second. OpenSSL writes 2,048, careful tools 600,000."""

MAX_SCRYPT: Final = 1 << 18
"""N·r·p of scrypt: 32 MiB. OpenSSL writes half of that."""

_INTEGER, _OCTETS, _CONSTRUCTED = 0x02, 0x04, 0x20
_LONG_FORM = 0x80
_INDEFINITE = tuple(bytes([tag, _LONG_FORM]) for tag in (0x24, 0x30, 0x31, 0xA0, 0xA1))
"""How what PKCS#12 is made of starts, where its length is not told (X.690 section 8.1.3.6): BER, not DER."""


class Cost(Enum):
    """What trying a passphrase would cost."""

    FAIR = "fair"
    DEAR = "dear"
    UNTOLD = "untold"  # not DER, so that the counts cannot be found


def cost_of(der: bytes) -> Cost:
    """Look for the counts in ``der``."""
    pending = [(memoryview(der), True)]  # each octet is the head of one element at most, so this ends soon
    while pending:
        content, is_der = pending.pop()
        elements, rest = _elements(content)
        # An OCTET STRING may hold anything, ciphertext for one: only what is plainly BER in it is suspicious.
        if rest and (is_der or rest[:2].tobytes() in _INDEFINITE):
            return Cost.UNTOLD
        if _has_dear_counts(elements):
            return Cost.DEAR
        for tag, value in elements:
            if tag & _CONSTRUCTED or tag == _OCTETS:
                pending.append((value, is_der and tag != _OCTETS))
    return Cost.FAIR


def _has_dear_counts(elements: list[tuple[int, memoryview]]) -> bool:
    counts: list[int] = []
    after_salt = False
    for tag, value in elements:
        if tag == _INTEGER and after_salt:
            counts.append(int.from_bytes(value))
            if _dear(counts):
                return True
        else:
            counts, after_salt = [], tag == _OCTETS
    return False


def _dear(counts: list[int]) -> bool:
    if len(counts) < 3:  # noqa: PLR2004 - PBKDF2 has rounds and at times a key length, scrypt N, r and p
        return counts[0] > MAX_ROUNDS
    return counts[0] * counts[1] * counts[2] > MAX_SCRYPT


def _elements(content: memoryview) -> tuple[list[tuple[int, memoryview]], memoryview]:
    """Split into (tag, value), and what is left where that does not come out even."""
    found: list[tuple[int, memoryview]] = []
    at = 0
    while at < len(content):
        head = _length(content, at + 1)
        if head is None or head[1] + head[0] > len(content):
            break
        length, start = head
        found.append((content[at], content[start : start + length]))
        at = start + length
    return found, content[at:]


def _length(content: memoryview, at: int) -> tuple[int, int] | None:
    """Read the length field at ``at``: (length of the value, where the value starts)."""
    if at >= len(content):
        return None
    first = content[at]
    if first < _LONG_FORM:
        return first, at + 1
    size = first - _LONG_FORM
    if not 1 <= size <= 8 or at + 1 + size > len(content):  # noqa: PLR2004 - OpenSSL reads no more
        return None
    return int.from_bytes(content[at + 1 : at + 1 + size]), at + 1 + size
