"""Tenants as every room sees them: frozen values.

PURE. What the directory answers and what Redis holds; how it is stored is storage/schema.py's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from router.errors import BadInput
from router.hostname import Hostname  # noqa: TC001 - pydantic reads the annotations when it runs

TenantStatus = Literal["active", "suspended"]

_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}|#[0-9A-Fa-f]{3}")
_SLUG = re.compile(r"(?!-)[a-z0-9-]{1,40}(?<!-)")
_PUBLIC_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@-]+)+/?|/")
_MAX_NAME = 80
_MAX_PUBLIC_PATH = 200


Balance = Literal["round_robin", "least_connections", "session_affinity"]


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a tenant's authenticated traffic goes.

    ``url`` is ``http://host:port``, ``https://host:port`` or ``unix:/path/of.sock``. A path after the host
    (``http://host:port/app``) goes before each visit's own. ``weight`` is its share beside the tenant's
    others.
    """

    url: str
    weight: int = 1

    @property
    def spelled(self) -> str:
        """As an operator types it."""
        return self.url if self.weight == 1 else f"{self.url} weight={self.weight}"


@dataclass(frozen=True, slots=True)
class Forwarding:
    """How a tenant's traffic goes to its upstreams and back; zero or empty means the platform's way.

    ``health_path`` is asked every ``health_interval`` seconds and must answer ``health_status``; without it
    an upstream is judged by the visits alone. ``max_body`` is in octets, ``requests_per_second`` is for all
    visits of the tenant together. ``websocket_origins`` are allowed besides the portal's own.
    ``answer_fields`` are added to each answer. ``upstream_ca`` is a PEM bundle to verify https upstreams by.
    """

    balance: Balance = "round_robin"
    health_path: str = ""
    health_interval: int = 30
    health_status: int = 200
    keep_host: bool = True
    rewrite_location: bool = False
    maintenance: bool = False
    max_body: int = 0
    requests_per_second: int = 0
    answer_timeout: int = 0
    websocket_origins: tuple[str, ...] = ()
    answer_fields: tuple[tuple[str, str], ...] = ()
    upstream_ca: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """A picture that a tenant uploaded, as it is served: ``fingerprint`` names it, its size is in pixels.

    A ``light`` one is made for dark grounds.
    """

    fingerprint: str
    content_type: str
    width: int
    height: int
    light: bool = False


@dataclass(frozen=True, slots=True)
class Branding:
    """How the tenant's portal looks and speaks. What is empty is not shown, or is as the platform has it.

    ``name`` is the company's, ``theme_colour`` is ``#rrggbb``, ``portal_name`` is what the portal is called
    where that is not the company's name. ``language`` is for visitors whose browser asks for none that there
    is. ``reply_to`` is who gets the answers to the portal's mails. The ``…_url`` are https addresses.
    """

    name: str
    theme_colour: str
    theme: str = "default"
    portal_name: str = ""
    greeting: str = ""
    language: str = ""
    support_email: str = ""
    support_phone: str = ""
    support_url: str = ""
    imprint_url: str = ""
    privacy_url: str = ""
    reply_to: str = ""
    logo: Image | None = None
    favicon: Image | None = None

    @property
    def shown_name(self) -> str:
        """The portal's name, or else the company's: what pages and mails are headed with."""
        return self.portal_name or self.name

    @property
    def reachable(self) -> bool:
        """Whether customers are told a way to ask for help."""
        return bool(self.support_email or self.support_phone or self.support_url)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A company whose customers use the portal.

    ``hostname`` is the portal address that customers are given: the tenant's own hostname once it is
    active, else the platform sub-domain. ``version`` grows by one with every change. ``registration_check``
    is the URL that is asked whether an e-mail address belongs to a customer; empty where nobody can be asked.
    """

    id: str
    slug: str
    hostname: Hostname
    branding: Branding
    upstreams: tuple[Upstream, ...]
    status: TenantStatus = "active"
    allow_registration: bool = False
    public_paths: tuple[str, ...] = ()
    forwarding: Forwarding = Forwarding()
    version: int = 1
    registration_check: str = ""


def parse_colour(raw: str) -> str:
    """Read an HTML hexadecimal colour into ``#rrggbb``.

    Raises ``BadInput("bad_colour")``.
    """
    text = raw.strip()
    if _COLOUR.fullmatch(text) is None:
        raise BadInput(
            "bad_colour", f"“{text[:20]}” is not a colour: write # and six hexadecimal digits, as in #0B6E4F."
        )
    digits = text[1:].lower()
    return f"#{digits}" if len(digits) == 6 else "#" + "".join(digit * 2 for digit in digits)  # noqa: PLR2004


def parse_slug(raw: str) -> str:
    """Read the short name that becomes the platform sub-domain.

    Raises ``BadInput("bad_slug")``.
    """
    if _SLUG.fullmatch(raw) is None:
        raise BadInput(
            "bad_slug",
            f"“{raw[:60]}” cannot be a tenant's short name: use 1 to 40 of a-z, 0-9 and inner hyphens.",
        )
    return raw


def parse_name(raw: str) -> str:
    """Read a tenant's display name: 1 to 80 printable characters.

    Raises ``BadInput("bad_name")``.
    """
    name = " ".join(raw.split())
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise BadInput("bad_name", f"A tenant's name has 1 to {_MAX_NAME} printable characters.")
    return name


def parse_public_path(raw: str) -> str:
    """Read a path below which no sign-in is needed.

    Only what reads the same to every server: unencoded, no empty or dot segments. The router's own paths
    cannot be named. Raises ``BadInput("bad_public_path")``.
    """
    segments = raw.split("/")
    plain = _PUBLIC_PATH.fullmatch(raw) and len(raw) <= _MAX_PUBLIC_PATH and not {".", ".."} & set(segments)
    if not plain:
        raise BadInput("bad_public_path", f"“{raw[:80]}” is not a plain path such as /help or /files/public.")
    if segments[1] == "-":
        raise BadInput("bad_public_path", "Paths below /-/ are the router's own.")
    return raw
