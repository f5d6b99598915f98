"""Which language a visitor is answered in.

PURE. An explicit choice comes first (the cookie of the language switcher; signing in sets it to what the
account says), then what the browser asks for, then the tenant's own language, then English.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from router.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

SOURCE: Final = "en"
"""The language that texts are written in, in templates and code."""

LANGUAGE_COOKIE: Final = "__Host-portal-language"
"""Where a browser keeps the language that was chosen in it."""

_MOST_RANGES = 20
_CODE = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2}|-[0-9]{3})?")
# language-range [ weight ] (RFC 9110 sections 12.4.2 and 12.5.4; basic ranges of RFC 4647 section 2.1)
_RANGE = re.compile(
    r"[ \t]*(\*|[a-z]{1,8}(?:-[a-z0-9]{1,8})*)[ \t]*(?:;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?[ \t]*"
)


def choose_language(
    offered: Collection[str],
    *,
    cookie: str | None = None,
    accept: str = "",
    tenant: str | None = None,
) -> str:
    """Choose one of ``offered`` (codes such as ``de`` or ``pt-BR``), or English.

    ``accept`` is the value of Accept-Language; whatever names no language that is offered is passed over.
    """
    if cookie is not None and cookie in offered:
        return cookie
    asked = _asked_for(accept, offered) if accept else None
    if asked is not None:
        return asked
    return tenant if tenant is not None and tenant in offered else SOURCE


def parse_language(raw: str) -> str:
    """Read a language's code as people write it: ``DE``, ``pt_br`` and ``pt-BR`` alike.

    Raises ``BadInput("bad_language")``. Whether there are texts in it is another question.
    """
    first, *rest = raw.strip().replace("_", "-").split("-")
    code = "-".join([first.lower(), *(part.title() if len(part) == 4 else part.upper() for part in rest)])  # noqa: PLR2004 - a script has four letters (RFC 5646 section 2.2.3)
    if _CODE.fullmatch(code) is None:
        raise BadInput("bad_language", f"“{raw[:20]}” is not a language's code such as de or pt-BR.")
    return code


def accepted(header: str) -> list[str]:
    """Read Accept-Language into language ranges in lower case, the most wanted first, without refused ones.

    An element that breaks the grammar counts as absent; of equal weight, the earlier one is wanted more.
    """
    return [wanted for wanted, weight in _weighted(header) if weight > 0]


def _weighted(header: str) -> list[tuple[str, float]]:
    parts = header.lower().split(",", _MOST_RANGES)[:_MOST_RANGES]
    matches = (_RANGE.fullmatch(part) for part in parts)
    found = [(match[1], float(match[2] or 1)) for match in matches if match]
    return sorted(found, key=lambda pair: -pair[1])


def _asked_for(header: str, offered: Collection[str]) -> str | None:
    """Find the best language for a browser: "Lookup" (RFC 4647 section 3.4), and then by the beginning.

    So ``de-AT`` finds ``de``, and ``pt`` or ``pt-PT`` finds ``pt-BR`` where there is no other Portuguese.
    """
    weighted = _weighted(header)
    refused = {wanted for wanted, weight in weighted if weight == 0}
    spelled = {code.lower(): code for code in offered if code.lower() not in refused}
    for wanted, weight in weighted:
        if weight == 0 or wanted == "*":  # anything at all: then the tenant's language is as good
            continue
        for shorter in _shortened(wanted):
            if shorter in spelled:
                return spelled[shorter]
        primary = wanted.partition("-")[0]
        for code, spelling in spelled.items():
            if code.startswith(f"{primary}-"):
                return spelling
    return None


def _shortened(wanted: str) -> Iterator[str]:
    """Take away the last subtag again and again, and with it a single letter before it."""
    subtags = wanted.split("-")
    while subtags:
        yield "-".join(subtags)
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:
            subtags.pop()
