"""Whether a client wants an answer compressed.

PURE. Accept-Encoding, RFC 9110 section 12.5.3.
"""

from __future__ import annotations

import re
from typing import Final

_CODING: Final = re.compile(
    r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?"
)
_SAME: Final = {"x-gzip": "gzip"}  # RFC 9110 section 8.4.1.3


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether gzip may be sent; an element that cannot be read, or says ``q=0``, is no leave."""
    weights: dict[str, float] = {}
    for element in accept_encoding.split(","):
        match = _CODING.fullmatch(element)
        if match is not None:
            name = match[1].lower()
            weights[_SAME.get(name, name)] = float(match[2] or 1)
    return weights.get("gzip", weights.get("*", 0.0)) > 0
