"""The language of a page: chosen for each visit, remembered in a cookie where the visitor said one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.languages.choice import LANGUAGE_COOKIE

if TYPE_CHECKING:
    from aiohttp import web

    from router.languages.texts import Languages, Texts
    from router.portal.visitor import Visitor

LANGUAGE_LIFE: Final = 365 * 24 * 3600
"""Seconds for which a browser remembers the language that was chosen in it."""

VARY: Final = "Accept-Language, Cookie"
"""What a page differs by besides its address (RFC 9110 section 12.5.5)."""


def texts_for(request: web.Request, visitor: Visitor, languages: Languages) -> Texts:
    """Give the texts of the language to answer in."""
    code = languages.choose(
        cookie=visitor.cookie(LANGUAGE_COOKIE),
        accept=accept_language(request),
        tenant=visitor.tenant.branding.language,
    )
    return languages.texts(code)


def accept_language(request: web.Request) -> str:
    """Read Accept-Language, whose lines are one list (RFC 9110 section 5.3)."""
    return ", ".join(request.headers.getall("Accept-Language", []))


def language_facts(texts: Texts, languages: Languages) -> dict[str, object]:
    """Say what every template needs to know: ``texts``, ``language``, and ``languages`` for the switcher."""
    return {
        "texts": texts,
        "language": texts.code,
        "languages": [(each.code, each.name) for each in languages.offered],
    }


def remember_language(response: web.StreamResponse, code: str) -> None:
    """Keep an explicit choice in this browser."""
    response.set_cookie(
        LANGUAGE_COOKIE,
        code,
        max_age=LANGUAGE_LIFE,
        path="/",
        secure=True,
        httponly=True,
        samesite="Lax",
    )
