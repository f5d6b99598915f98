"""What the planes behind the edge have in common: who calls, in the edge's words; how pages are answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from aiohttp import web

from router.errors import BadInput
from router.forms import own_origins, read_cookie
from router.hostname import Hostname, parse_authority

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRY_AFTER: Final = 30
"""Seconds after which to try again while something below us is away."""

FOR_EVER: Final = "public, max-age=31536000, immutable"
"""The Cache-Control (RFC 9111, RFC 8246) of what has another address once it is another."""

_MAX_USER_AGENT = 200

_PAGE_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        # An address may hold a one-time link's token, and the backend is the same origin: so no path is said
        # to anyone. Not no-referrer: with that, browsers send "Origin: null" with our own forms (Fetch,
        # "append a request `Origin` header").
        "Referrer-Policy": "strict-origin",
        "Server": "tenant-router",  # else aiohttp says its version and Python's
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sends a request, as the edge has it.

    ``host`` is what was asked for; ``origins`` is what the browser may call this site in an Origin field
    (RFC 6454): by the port that people are meant to see, and by the one in the Host field, where those differ
    (a mapped port). ``address`` is the client's IP address.
    """

    host: Hostname
    origins: frozenset[str]
    address: str
    request_id: str
    user_agent: str
    cookies: str = field(repr=False)

    def cookie(self, name: str) -> str | None:
        """Read a cookie; none where there are two of the name."""
        return read_cookie(self.cookies, name)


def read_caller(request: web.Request, *, plane: str) -> Caller:
    """Read the edge's fields. Raises ``BadInput("no_edge")`` where they are missing; ``plane`` says so."""
    headers = request.headers
    authority = headers.get("X-Router-Host", "")
    host = parse_authority(authority.encode("utf-8", "replace")).host if authority else None
    if not isinstance(host, Hostname):
        raise BadInput("no_edge", f"The {plane} answers only requests that come through the edge.")
    return Caller(
        host=host,
        origins=own_origins(host, authority, headers.get("Host", "")),
        address=headers.get("X-Router-Client", ""),
        request_id=headers.get("X-Router-Request-Id", ""),
        user_agent=headers.get("User-Agent", "")[:_MAX_USER_AGENT],
        cookies=";".join(headers.getall("Cookie", [])),
    )


class SeeOther(Exception):  # noqa: N818 - it is what we decided
    """The browser has to go somewhere else first; ``target`` is a path of ours."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target


def see_other(target: str) -> web.Response:
    """Send the browser on to ``target`` by GET (RFC 9110 section 15.4.4), byte for byte as it stands."""
    return web.Response(status=303, headers={"Location": target})


def protect(response: web.StreamResponse, policy: str) -> None:
    """Add the fields that every page and file carries, unless it has its own; ``policy`` is the plane's."""
    response.headers.setdefault("Content-Security-Policy", policy)
    for name, value in _PAGE_FIELDS.items():
        response.headers.setdefault(name, value)
