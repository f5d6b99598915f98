"""How a tenant's portal looks and speaks: read field by field as operators type it, and as it is stored."""

from __future__ import annotations

import asyncio
import re
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from router.errors import BadInput, Faults
from router.hostname import Hostname, parse_authority
from router.languages.choice import parse_language
from router.tenants.pictures import judge_picture
from router.tenants.tenant import Branding, parse_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import RowMapping

    from router.tenants.pictures import Picture, PictureKind

MAX_GREETING: Final = 200
MAX_URL: Final = 500
MAX_EMAIL: Final = 254

_COLUMNS: Final = ("name", "theme_colour", "theme")
"""What has a column of its own; the rest is one column."""
_PICTURES: Final[tuple[PictureKind, ...]] = ("logo", "favicon")

_BRANDING: Final = TypeAdapter(Branding)
_THEME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_EMAIL: Final = re.compile(r"([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64})@([^\s@]+)")
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ()/.-]{2,38}")
_URL: Final = re.compile(r"(https?)://([^/?#@\\\s]+)((?:[/?#][!-~]*)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrandingForm:
    """What an operator fills in, as typed; None leaves a field as it is, empty takes it away.

    ``logo`` and ``favicon`` are the octets of a file. An empty ``theme`` or ``language`` is the usual one.
    """

    theme: str | None = None
    portal_name: str | None = None
    greeting: str | None = None
    language: str | None = None
    support_email: str | None = None
    support_phone: str | None = None
    support_url: str | None = None
    imprint_url: str | None = None
    privacy_url: str | None = None
    reply_to: str | None = None
    logo: bytes | None = None
    favicon: bytes | None = None


async def judge_branding(form: BrandingForm) -> tuple[dict[str, Any], dict[PictureKind, Picture]]:
    """Read what is filled in, into values for fields of ``Branding``, and the pictures among them.

    Raises ``BadInput`` for the first field at fault, which knows of the others.
    """
    faults = Faults()
    given = {field.name: getattr(form, field.name) for field in fields(form)}
    values: dict[str, Any] = {}
    for name, read in _READERS.items():
        if given[name] is not None:
            with faults.at(name):
                values[name] = read(given[name]) if given[name] else _EMPTY.get(name, "")
    pictures: dict[PictureKind, Picture] = {}
    for kind in _PICTURES:
        if given[kind]:
            with faults.at(kind):
                pictures[kind] = await asyncio.to_thread(judge_picture, given[kind], kind)
                values[kind] = pictures[kind].image
        elif given[kind] is not None:
            values[kind] = None
    faults.check()
    return values, pictures


def read_branding(row: RowMapping) -> Branding:
    """Read the columns: what is missing is as by default, what a newer version wrote besides is left out."""
    return _BRANDING.validate_python({**row["branding"], **{name: row[name] for name in _COLUMNS}})


def stored_branding(branding: Branding) -> dict[str, Any]:
    """Spell the columns: a name, a colour, a theme, and of the rest only what is there."""
    every = asdict(branding)
    columns = {name: every.pop(name) for name in _COLUMNS}
    return columns | {"branding": {name: value for name, value in every.items() if value}}


def parse_theme(raw: str) -> str:
    """Read a theme's name; whether there is such a theme is another question.

    Raises ``BadInput("bad_theme")``.
    """
    name = raw.strip()
    if _THEME.fullmatch(name) is None:
        raise BadInput("bad_theme", f"“{raw[:60]}” cannot be a theme's name: tenant-router theme list")
    return name


def parse_portal_name(raw: str) -> str:
    """Read what the portal is called. Raises ``BadInput("bad_portal_name")``."""
    try:
        return parse_name(raw)
    except BadInput as fault:
        raise BadInput("bad_portal_name", "A portal's name has 1 to 80 printable characters.") from fault


def parse_greeting(raw: str) -> str:
    """Read a greeting: one paragraph of text. Raises ``BadInput("bad_greeting")``."""
    text = " ".join(raw.split())
    if len(text) > MAX_GREETING or not text.isprintable():
        raise BadInput("bad_greeting", f"A greeting has {MAX_GREETING} printable characters at most.")
    return text


def parse_phone(raw: str) -> str:
    """Read a telephone number as people write it. Raises ``BadInput("bad_phone")``."""
    text = " ".join(raw.split())
    if _PHONE.fullmatch(text) is None:
        raise BadInput("bad_phone", "A telephone number is digits, as in +49 30 123456.")
    return text


def parse_email(raw: str) -> str:
    """Read an e-mail address that is printed and written to. Raises ``BadInput("bad_email")``."""
    match = _EMAIL.fullmatch(raw.strip())
    try:
        domain = Hostname.parse(match[2]) if match else None
    except BadInput:
        domain = None
    if match is None or domain is None or len(match[1]) + len(domain) >= MAX_EMAIL:
        raise BadInput("bad_email", f"“{raw[:80]}” is not an e-mail address such as help@example.com.")
    return f"{match[1]}@{domain}"


def parse_url(raw: str, *, allow_http: bool = False) -> str:
    """Read a web address: https, no user information, nothing that is not visible ASCII.

    Raises ``BadInput("bad_url")``.
    """
    match = _URL.fullmatch(raw.strip())
    try:
        authority = parse_authority(match[2].encode("ascii")) if match else None
    except (BadInput, UnicodeError):
        authority = None
    allowed = ("https", "http") if allow_http else ("https",)
    if match is None or authority is None or match[1].lower() not in allowed or len(raw) > MAX_URL:
        raise BadInput("bad_url", f"“{raw[:80]}” is not a web address such as https://example.com/imprint.")
    return f"{match[1].lower()}://{match[2].lower()}{match[3] or '/'}"


_READERS: Final[Mapping[str, Callable[[str], str]]] = {
    "theme": parse_theme,
    "portal_name": parse_portal_name,
    "greeting": parse_greeting,
    "language": parse_language,
    "support_email": parse_email,
    "support_phone": parse_phone,
    "support_url": parse_url,
    "imprint_url": parse_url,
    "privacy_url": parse_url,
    "reply_to": parse_email,
}
_EMPTY: Final = {"theme": "default"}

TEXTS: Final = tuple(_READERS)
"""The fields that are typed, in the form's order; the others are pictures."""
