"""Forms: where they may lead afterwards, and proof that they are ours and were sent on purpose.

For the portal's pages and the console's. Two things must hold for every POST (THREATS 47 and 48). The browser
says that the page it comes from is ours (Origin, Sec-Fetch-Site), and the form brings a token that belongs to
a ``__Host-`` cookie (signed double submit): an HMAC over the cookie and the place it was made for, so that
knowing or planting one of the two makes no form. The cookie stays the same while a browser has it, so several
tabs work at once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from router.errors import BadInput
from router.hostname import parse_authority, port_suffix

if TYPE_CHECKING:
    from collections.abc import Collection

    from router.hostname import Hostname

CSRF_FIELD: Final = "csrf"
MAX_FORM: Final = 16 * 1024
"""Octets of a posted form, unless its page takes more; refused before anything is hashed or stored."""

MAX_FIELDS: Final = 20

_MAX_TARGET = 2048
_TARGET = re.compile(r"/[\x21-\x5b\x5d-\x7e]*")  # printable ASCII without space and backslash
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{22}")
_WHITE = " \t"


class BadForm(BadInput):
    """A form that is not acted upon; ``status`` is what to answer."""

    def __init__(self, code: str, sentence: str, *, status: int = 403) -> None:
        super().__init__(code, sentence)
        self.status = status


class StaleForm(BadForm):
    """A form from our own page whose token has gone (the browser lost its cookie): show it afresh.

    ``fields`` is what was typed.
    """

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("stale_form", "The form was out of date. Send it again.")
        self.fields = fields


@dataclass(frozen=True, slots=True)
class CsrfPair:
    """What one browser needs to post: the cookie's value and the token that belongs to it."""

    cookie: str
    token: str


class Csrf:
    """Makes and checks pairs of cookie and token. ``key`` (32 octets) is the same on every worker."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def pair(self, place: str, cookie: str | None) -> CsrfPair:
        """Keep the browser's cookie if it is one of ours, else make a new one."""
        if cookie is None or _COOKIE_VALUE.fullmatch(cookie) is None:
            cookie = secrets.token_urlsafe(16)
        return CsrfPair(cookie, self._token(place, cookie))

    def matches(self, place: str, cookie: str | None, token: str) -> bool:
        """Whether ``token`` was made for this cookie at this place."""
        if cookie is None or _COOKIE_VALUE.fullmatch(cookie) is None:
            return False
        return hmac.compare_digest(self._token(place, cookie).encode(), token.encode())

    def _token(self, place: str, cookie: str) -> str:
        message = f"form\0{place}\0{cookie}".encode()
        return urlsafe_b64encode(hmac.digest(self._key, message, hashlib.sha256)).decode().rstrip("=")


async def read_fields(
    request: web.Request, *, octets: int = MAX_FORM, fields: int = MAX_FIELDS
) -> dict[str, str]:
    """Read a posted form of so many octets and fields at most, each field once.

    Raises ``BadForm``: ``foreign_form`` (not a form at all), ``form_too_large``, ``form_broke_off``,
    ``bad_form`` (not UTF-8, a field twice).
    """
    if request.content_type != "application/x-www-form-urlencoded":
        raise BadForm("foreign_form", "Only an HTML form is accepted here.")
    return _fields(await read_octets(request, octets), fields)


def read_cookie(line: str, name: str) -> str | None:
    """Read a cookie of a request; none where there are two of the name, for then one of them was planted.

    Only what RFC 6265 (section 5.2) takes for white space is taken off a name: a browser lets a sibling
    sub-domain set a name that begins with a no-break space, and it must not become one with ``__Host-``.
    """
    values = [
        value.strip(_WHITE)
        for key, _, value in (pair.partition("=") for pair in line.split(";"))
        if key.strip(_WHITE) == name
    ]
    return values[0] if len(values) == 1 else None


def own_origins(host: Hostname, *authorities: str) -> frozenset[str]:
    """Say what a browser may call this site in an Origin field (RFC 6454), by any of these authorities."""
    found = set()
    for authority in authorities:
        with suppress(BadInput):
            named = parse_authority(authority.encode("utf-8", "replace"))
            if named.host == host:
                found.add(f"https://{host}{port_suffix(named.port)}")
    return frozenset(found)


def check_origin(request: web.Request, origins: Collection[str]) -> None:
    """Refuse what a browser says comes from another origin than one of ``origins`` (``https://host[:port]``).

    Programs that say nothing pass: they have no user's cookies to abuse. Raises ``BadForm("foreign_form")``.
    """
    said = request.headers.getall("Origin", [])
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if len(said) > 1 or not set(said) <= set(origins) or site not in ("same-origin", "none"):
        raise BadForm("foreign_form", "The form was sent from another site.")


def local_target(raw: str, circular: tuple[str, ...]) -> str:
    """Where to go after signing in: ``raw`` if it is a path on this very host, else ``/``.

    As :func:`local_path`; and what begins like one of ``circular`` (our own sign-in and sign-out
    pages) is no target, for the way would lead in a circle.
    """
    path = local_path(raw)
    return "/" if any(_resolve(reading).lower().startswith(circular) for reading in _readings(path)) else path


def local_path(raw: str) -> str:
    """Where to go next: ``raw`` if it is a path on this very host, else ``/``.

    As sent: one slash first, printable ASCII, no backslash, at most 2,048 characters. And whatever the
    path becomes when something behind us decodes it or resolves its dots, it must not become ``//host``
    (a network-path reference, RFC 3986 section 4.2) or hold a control character.
    """
    if len(raw) > _MAX_TARGET or _TARGET.fullmatch(raw) is None:
        return "/"
    return raw if all(_stays(reading) for reading in _readings(raw)) else "/"


def _readings(target: str) -> list[str]:
    """Collect the path as it is and as up to three rounds of percent-decoding make it."""
    readings = [target.partition("?")[0].partition("#")[0]]
    while len(readings) <= 3 and (decoded := unquote(readings[-1])) != readings[-1]:  # noqa: PLR2004 - rounds
        readings.append(decoded)
    return readings


def _stays(path: str) -> bool:
    if "\\" in path or path.startswith("//") or not path.isprintable():
        return False
    return not _resolve(path).startswith("//")


def _resolve(path: str) -> str:
    """Remove dot segments as browsers do (RFC 3986 section 5.2.4)."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return "/" + "/".join(kept)


async def read_octets(request: web.Request, octets: int) -> bytes:
    """Read a posted body of so many octets at most, whatever length was announced.

    Raises ``BadForm`` with ``form_too_large`` or ``form_broke_off``.
    """
    body = bytearray()
    try:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > octets:
                raise BadForm("form_too_large", "The form is too long.", status=413)
    except (ConnectionError, web.RequestPayloadError) as fault:
        raise BadForm("form_broke_off", "The form broke off on its way.", status=400) from fault
    return bytes(body)


def _fields(body: bytes, most: int) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=most,
        )
    except ValueError as fault:  # UnicodeDecodeError and too many fields alike
        raise BadForm("bad_form", "The form cannot be read.", status=400) from fault
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BadForm("bad_form", "The form has a field twice.", status=400)
    return fields
