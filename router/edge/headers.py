"""Which header fields are dropped, kept and added, each way.

PURE. The one place that knows field names. Inbound, everything that could be taken for our own word is
dropped before anything else is decided (DESIGN: identity headers); hop-by-hop fields go (RFC 9110 section
7.6.1), and so do names with an underscore, which CGI-like backends confuse with hyphens. Ours are added
after that, so nothing a client sends, a Connection option included, can take one of them away.
"""

from __future__ import annotations

import re
from enum import IntEnum, auto
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from router.identity.session import COOKIE
from router.languages.choice import LANGUAGE_COOKIE

SESSION_COOKIE: Final = COOKIE.encode()
OWN_COOKIE_PREFIXES: Final = (b"__Host-portal-", b"__Host-console-")

Header = tuple[bytes, bytes]
"""A field as it was sent: name and value."""


class Kind(IntEnum):
    """What is done with a field.

    An IntEnum because its members are dictionary keys, and Enum hashes in Python: 5 µs a request.
    """

    KEEP = auto()
    DROP = auto()
    HOST = auto()
    CONTENT_LENGTH = auto()
    TRANSFER_ENCODING = auto()
    CONNECTION = auto()
    COOKIE = auto()
    SET_COOKIE = auto()
    UPGRADE = auto()
    EXPECT = auto()
    FORWARDED_FOR = auto()


_HOP_BY_HOP = (
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"te",
    b"trailer",
    b"http2-settings",
)

_CLAIMS_TO_BE_OURS = (
    b"forwarded",
    b"x-real-ip",
    b"x-request-id",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"x-forwarded",
    b"x-original-forwarded-for",
    b"x-original-host",
    b"x-original-uri",
    b"x-original-url",
    b"x-rewrite-url",
    b"x-host",
    b"true-client-ip",
    b"cf-connecting-ip",  # a CDN's word, and anybody's who reaches us without it
    b"cf-connecting-ipv6",
    b"fastly-client-ip",
    b"proxy",  # httpoxy, CVE-2016-5385
)

_OUR_PREFIXES = (b"x-portal-", b"x-router-", b"x-forwarded-")

_REQUEST_KINDS = {
    b"host": Kind.HOST,
    b"content-length": Kind.CONTENT_LENGTH,
    b"transfer-encoding": Kind.TRANSFER_ENCODING,
    b"connection": Kind.CONNECTION,
    b"cookie": Kind.COOKIE,
    b"upgrade": Kind.UPGRADE,
    b"expect": Kind.EXPECT,
    b"x-forwarded-for": Kind.FORWARDED_FOR,
} | dict.fromkeys(_HOP_BY_HOP + _CLAIMS_TO_BE_OURS, Kind.DROP)

_ANSWER_KINDS = {
    b"content-length": Kind.CONTENT_LENGTH,
    b"transfer-encoding": Kind.TRANSFER_ENCODING,
    b"connection": Kind.CONNECTION,
    b"set-cookie": Kind.SET_COOKIE,
    b"upgrade": Kind.UPGRADE,
} | dict.fromkeys(_HOP_BY_HOP, Kind.DROP)

_FORBIDDEN_TRAILERS = frozenset(
    {
        *_REQUEST_KINDS,
        *_ANSWER_KINDS,
        b"age",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-range",
        b"content-type",
        b"date",
        b"expires",
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
        b"if-range",
        b"location",
        b"max-forwards",
        b"origin",
        b"pragma",
        b"range",
        b"referer",
        b"retry-after",
        b"sec-fetch-site",
        b"vary",
        b"www-authenticate",
    }
)


class _Verdicts(dict[bytes, Kind]):
    """Remembers the verdict on each spelling of a name: a lookup is 40 ns, a judgement 400.

    Bounded, because the spellings are the sender's choice: when full it starts anew, and a name that is
    longer than any in use is judged each time.
    """

    _CAPACITY = 4096
    _MAX_NAME = 64

    def __init__(self, kinds: dict[bytes, Kind], *, reserved: tuple[bytes, ...]) -> None:
        super().__init__()
        self._kinds = kinds
        self._reserved = reserved

    def __missing__(self, name: bytes) -> Kind:
        lower = name.lower()
        verdict = self._kinds.get(lower)
        if verdict is None:
            ours = lower.startswith(self._reserved) or b"_" in lower
            verdict = Kind.DROP if ours else Kind.KEEP
        if len(name) <= self._MAX_NAME:
            if len(self) >= self._CAPACITY:
                self.clear()
            self[name] = verdict
        return verdict


REQUEST_VERDICTS: Final = _Verdicts(_REQUEST_KINDS, reserved=_OUR_PREFIXES)
"""What is done with a request's field of that name, as sent."""

ANSWER_VERDICTS: Final = _Verdicts(_ANSWER_KINDS, reserved=(b"x-router-",))
"""What is done with an answer's field of that name, as sent."""


def connection_options(value: bytes) -> frozenset[bytes]:
    """The options of a Connection field, in lower case (RFC 9110 section 7.6.1).

    Remembered where they are as short as usual; a thousand of the longest would fill a gigabyte.
    """
    return _known_options(value) if len(value) <= _MAX_KNOWN_OPTIONS else _options(value)


_MAX_KNOWN_OPTIONS = 128


def _options(value: bytes) -> frozenset[bytes]:
    return frozenset(option.strip(b" \t").lower() for option in value.split(b",")) - {b""}


_known_options = lru_cache(maxsize=1024)(_options)


def without_named(fields: list[Header], options: frozenset[bytes]) -> list[Header]:
    """Drop the fields that the Connection options name; they were meant for us alone."""
    named = options - {b"close", b"keep-alive", b"upgrade"}
    return [field for field in fields if field[0].lower() not in named] if named else fields


def allowed_trailers(trailers: list[Header], verdicts: _Verdicts) -> list[Header]:
    """Drop the trailers that would change how a message is framed, routed or believed (RFC 9110 6.5.1)."""
    return [
        trailer
        for trailer in trailers
        if verdicts[trailer[0]] is Kind.KEEP and trailer[0].lower() not in _FORBIDDEN_TRAILERS
    ]


_SESSION_TOKEN = re.compile(rb"(?:^|;)[ \t]*" + SESSION_COOKIE + rb"[ \t]*=([^;]*)")
_LANGUAGE = re.compile(rb"(?:^|;)[ \t]*" + LANGUAGE_COOKIE.encode() + rb"=([A-Za-z-]{2,12})(?=[ \t]*(?:;|$))")
_OWN_COOKIE = re.compile(rb"(?:^|;)[ \t]*(?:" + rb"|".join(OWN_COOKIE_PREFIXES) + rb")[^;]*")
_OWN_COOKIES_IN_ANY_CASE = tuple(prefix.lower() for prefix in OWN_COOKIE_PREFIXES)


def session_token(cookies: bytes) -> str | None:
    """The session cookie's value, from the whole Cookie line.

    None when there is no session cookie, or more than one: whoever can add a second one (a sibling
    sub-domain) must not choose which is believed.
    """
    tokens = _SESSION_TOKEN.findall(cookies)
    return tokens[0].decode("latin-1") if len(tokens) == 1 else None


def language_cookie(cookies: bytes) -> str | None:
    """The language that was chosen in this browser, from the whole Cookie line; none where two were."""
    chosen = _LANGUAGE.findall(cookies)
    return chosen[0].decode("ascii") if len(chosen) == 1 else None


def without_own_cookies(cookies: bytes) -> bytes:
    """The Cookie line that a tenant's upstream may see; empty when nothing is left."""
    return _OWN_COOKIE.sub(b"", cookies).lstrip(b"; \t")


@lru_cache(maxsize=4096)
def forwarded_lines(client: str, host: bytes, port: bytes) -> bytes:
    """The header lines that say whom a request is forwarded for; a connection's visits share them."""
    return (
        b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: %b\r\nX-Forwarded-Port: %b\r\n"
        % (client.encode(), host, port)
    )


def may_set_cookie(value: bytes, platform_domain: bytes) -> bool:
    """Whether an upstream may set this cookie: not one of ours, and not for the platform's domain or above.

    A cookie for the whole platform would reach every tenant's portal (DESIGN: upstreams).
    """
    pair, *attributes = value.split(b";")
    name = pair.partition(b"=")[0].strip(b" \t").lower()
    if name.startswith(_OWN_COOKIES_IN_ANY_CASE) or not name:
        return False
    for attribute in attributes:
        key, _, domain = attribute.partition(b"=")
        if key.strip(b" \t").lower() == b"domain":
            domain = domain.strip(b' \t".').lower()
            if not domain.isascii() or b"%" in domain:  # browsers may decode it to a name we did not judge
                return False
            if domain and (domain == platform_domain or platform_domain.endswith(b"." + domain)):
                return False
    return True


def encode_value(text: str) -> bytes:
    """Make any text safe as a field value: what is not visible ASCII is percent-encoded UTF-8."""
    return quote(text, safe="!\"#$&'()*+,/:;<=>?@[\\]^`{|}~ ").encode("ascii")


def identity_lines(*, tenant: str, user: str, email: str, customer: str, assertion: str) -> bytes:
    """The header lines that say who is asking; the assertion is the one that a backend can verify."""
    return b"".join(
        b"%b: %b\r\n" % (name, encode_value(value))
        for name, value in (
            (b"X-Portal-Tenant", tenant),
            (b"X-Portal-User", user),
            (b"X-Portal-Email", email),
            (b"X-Portal-Customer", customer),
            (b"X-Portal-Jwt-Assertion", assertion),
        )
    )


def rewritten(fields: list[Header], *, upstream: bytes, prefix: bytes, portal: bytes) -> list[Header]:
    """Make an answer speak of the portal where it speaks of its upstream.

    ``upstream`` and ``portal`` are authorities, ``host[:port]``; ``prefix`` is the path below which the
    upstream is the portal. A Location there becomes one on the portal's origin; one elsewhere stays. The
    Domain of a cookie for the upstream's host is dropped, so that the cookie is for the portal's.
    """
    host = _PORT.sub(b"", upstream).lower()
    return [
        (name, _rewritten_value(name.lower(), value, upstream, prefix, portal, host))
        for name, value in fields
    ]


_PORT = re.compile(rb":[0-9]+$")


def _rewritten_value(
    name: bytes, value: bytes, upstream: bytes, prefix: bytes, portal: bytes, host: bytes
) -> bytes:
    if name in (b"location", b"content-location"):
        return _rewritten_location(value, upstream, prefix, portal)
    if name == b"set-cookie":
        pair, *attributes = value.split(b";")
        kept = [each for each in attributes if each.strip(b" \t").lower() not in _domains(host)]
        return b";".join([pair, *kept])
    return value


def _rewritten_location(value: bytes, upstream: bytes, prefix: bytes, portal: bytes) -> bytes:
    """Say the same place as a visitor of the portal asks for it, if it is to be had there.

    With our origin before it even where the upstream left its own out: of ``/app//name`` only ``//name``
    would be left, which leads to another host (RFC 3986 section 4.2).
    """
    for origin in (b"http://" + upstream, b"https://" + upstream, b""):
        path = value[len(origin) :]
        rest = path[len(prefix) :]
        if not origin and not prefix:
            break
        if value[: len(origin)].lower() == origin.lower() and path.startswith(prefix) and rest[:1] in b"/?#":
            return b"https://" + portal + (rest if rest.startswith(b"/") or not prefix else b"/" + rest)
    return value


def _domains(host: bytes) -> tuple[bytes, bytes]:
    return b"domain=" + host, b"domain=." + host


_OF_THE_WHOLE_HOST = frozenset({"strict-transport-security", "permissions-policy", "x-robots-tag"})


@lru_cache(maxsize=4096)
def fields_of_the_host(added: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Of a tenant's own answer fields those that are good for our pages, too.

    They speak of the host, not of what the backend answers; our pages have a policy of content of their own.
    """
    return tuple((name, value) for name, value in added if name.lower() in _OF_THE_WHOLE_HOST)


def with_fields(fields: list[Header], added: tuple[tuple[str, str], ...]) -> list[Header]:
    """Add a tenant's own answer fields, in the place of the upstream's of the same name."""
    names = {name.lower().encode() for name, _ in added}
    kept = [field for field in fields if field[0].lower() not in names]
    return kept + [(name.encode(), value.encode()) for name, value in added]
