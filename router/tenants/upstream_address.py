"""Upstream addresses: judged when an operator saves one, and again by whoever connects to it.

A name says nothing about where it leads, and may lead elsewhere tomorrow (DNS rebinding). So saving refuses
what is already known to be private, and the edge asks :func:`forbidden` of the very address it dials.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections import defaultdict
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

from router.errors import BadInput, BadSettings
from router.hostname import Authority, Hostname, parse_authority
from router.tenants.tenant import Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_PATH: Final = 200
"""Characters of the path that goes before each visit's own."""
MAX_SOCKET: Final = 100
"""Octets of a Unix socket's path; the kernel takes 107 (unix(7))."""
MAX_WEIGHT: Final = 100

_URL: Final = re.compile(r"(https?)://([^/?#@\\\s]+)(/\S*)?", re.IGNORECASE)
_UNIX: Final = re.compile(r"unix:((?:/[A-Za-z0-9._~+,=@-]+)+)")
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?")
_WEIGHT: Final = re.compile(r"weight=([0-9]{1,3})")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_RESOLVE_SECONDS: Final = 2.0

# A cloud's own services to each of its machines, credentials among them; most others are link-local.
_METADATA: Final = (
    IPv4Network("168.63.129.16/32"),  # Azure
    IPv4Network("100.100.100.200/32"),  # Alibaba Cloud
    IPv4Network("192.0.0.192/32"),  # Oracle Cloud
    IPv6Network("fd00:ec2::/32"),  # AWS
    IPv6Network("fd20:ce::254/128"),  # Google Cloud
    IPv6Network("fd00:42::42/128"),  # Scaleway
)
_IETF: Final = IPv4Network("192.0.0.0/24")  # RFC 6890
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in an IPv6 one
_COMPATIBLE: Final = IPv6Network("::/96")  # RFC 4291 section 2.5.5.1, obsolete: the same
_PRIVATE_NAMES: Final = ("localhost", "local", "internal", "localdomain", "home.arpa")

_PRIVATE: Final = "{} is a private address: the platform's settings do not allow it as an upstream."
_NEVER: Final = (
    "{} is link-local, or a cloud's metadata service: never an upstream, whatever the settings say."
)


def parse_upstream(raw: str, *, allow_private: bool) -> Upstream:
    """Read ``http://HOST:PORT``, ``https://HOST:PORT/PATH`` or ``unix:/PATH``, and ``weight=N`` after it.

    What is private by its looks is refused unless allowed: a Unix socket is. Raises ``BadInput`` with
    ``bad_upstream``, ``bad_weight``, ``private_upstream`` or ``forbidden_upstream``.
    """
    url, _, rest = raw.strip().partition(" ")
    weight = _weight(rest.strip(" "))
    if url.startswith("unix:"):
        return Upstream(_unix_url(url, allow_private=allow_private), weight)
    match = _URL.fullmatch(url)
    if match is None:
        # The URL is not repeated: one with user information in it would put a password into a log.
        raise BadInput(
            "bad_upstream",
            "An upstream is http://HOST:PORT or https://HOST:PORT, perhaps with a path, or unix:/PATH.",
        )
    scheme, path = match.group(1).lower(), _path(match.group(3) or "")
    authority = _authority(match.group(2))
    if not isinstance(authority.host, Hostname):
        _judge(authority.host, str(authority.host), allow_private=allow_private)
    elif not allow_private and any(authority.host.is_under(name) for name in _PRIVATE_NAMES):
        raise BadInput("private_upstream", _PRIVATE.format(authority.host))
    host = f"[{authority.host}]" if isinstance(authority.host, IPv6Address) else str(authority.host)
    return Upstream(f"{scheme}://{host}:{authority.port or _DEFAULT_PORTS[scheme]}{path}", weight)


async def check_upstream(raw: str, *, allow_private: bool) -> Upstream:
    """As :func:`parse_upstream`, and refuse a name that leads to a forbidden address today.

    A name that does not resolve is accepted: an upstream may be set up after its tenant.
    """
    upstream = parse_upstream(raw, allow_private=allow_private)
    if socket_path(upstream.url) is None:
        host, port = split_upstream(upstream.url)
        for address in await _addresses(host, port):
            _judge(address, f"{host} ({address})", allow_private=allow_private)
    return upstream


def default_upstreams(given: Sequence[str], *, allow_private: bool) -> tuple[Upstream, ...]:
    """Read the platform's setting of that name: where the traffic of tenants without upstreams goes.

    Raises ``BadSettings("bad_default_upstream")``.
    """
    try:
        return check_distinct([parse_upstream(each, allow_private=allow_private) for each in given])
    except BadInput as fault:
        raise BadSettings("bad_default_upstream", f"ROUTER_DEFAULT_UPSTREAMS: {fault.sentence}") from fault


def check_distinct(found: Sequence[Upstream]) -> tuple[Upstream, ...]:
    """Drop what was said twice; raise ``BadInput("bad_weight")`` for one upstream with two weights."""
    distinct = tuple(dict.fromkeys(found))
    if len({upstream.url for upstream in distinct}) < len(distinct):
        raise BadInput("bad_weight", "An upstream is named twice, with different weights.")
    return distinct


def spelled(upstream: Upstream) -> str:
    """Write an upstream as an operator types it; :func:`parse_upstream` reads it."""
    return upstream.spelled


def split_upstream(url: str) -> tuple[str, int]:
    """Name the host and port of an upstream's URL, as :func:`parse_upstream` writes it; not of a socket's."""
    host, _, port = url.partition("://")[2].partition("/")[0].rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def socket_path(url: str) -> str | None:
    """Name the path of the Unix socket that an upstream's URL names, if it does."""
    return url.removeprefix("unix:") if url.startswith("unix:") else None


def forbidden(address: IPv4Address | IPv6Address, *, allow_private: bool = False) -> bool:
    """Whether an upstream may not be here: loopback, private, anything not public, unless that is allowed.

    Link-local addresses and those of metadata services are never allowed.
    """
    inner = _embedded(address) if isinstance(address, IPv6Address) else None
    if inner is not None:
        return forbidden(inner, allow_private=allow_private)
    if _never_allowed(address):
        return True
    if allow_private:
        return False
    if isinstance(address, IPv6Address):
        return not address.is_global or address.is_multicast or address.is_reserved or address.is_site_local
    return not address.is_global or address.is_multicast or address in _IETF


def refused(where: str, *, allow_private: bool) -> bool:
    """Whether nobody may connect to an IP address, or to ``unix:/PATH``, which is as private as can be."""
    if socket_path(where) is not None:
        return not allow_private
    return forbidden(ip_address(where), allow_private=allow_private)


def _never_allowed(address: IPv4Address | IPv6Address) -> bool:
    return address.is_link_local or any(
        address.version == network.version and address in network for network in _METADATA
    )


def _judge(address: IPv4Address | IPv6Address, named: str, *, allow_private: bool) -> None:
    if forbidden(address, allow_private=True):
        raise BadInput("forbidden_upstream", _NEVER.format(named))
    if forbidden(address, allow_private=allow_private):
        raise BadInput("private_upstream", _PRIVATE.format(named))


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Find the IPv4 address to which an IPv6 address is translated or tunnelled on the way."""
    if address in _COMPATIBLE and int(address) <= 1:  # :: and ::1 are themselves
        return None
    if address in _NAT64 or address in _COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _weight(text: str) -> int:
    if not text:
        return 1
    match = _WEIGHT.fullmatch(text)
    weight = int(match.group(1)) if match else 0
    if match is None and not text.startswith("weight="):
        raise BadInput("bad_upstream", "After an upstream comes nothing, or its weight, as in weight=3.")
    if not 1 <= weight <= MAX_WEIGHT:
        raise BadInput("bad_weight", f"The weight of an upstream is a whole number from 1 to {MAX_WEIGHT}.")
    return weight


def _unix_url(url: str, *, allow_private: bool) -> str:
    match = _UNIX.fullmatch(url)
    if match is None or len(match.group(1)) > MAX_SOCKET or not {".", ".."}.isdisjoint(url.split("/")):
        raise BadInput(
            "bad_upstream",
            f"A Unix socket is unix:/PATH, a plain and whole path of at most {MAX_SOCKET} characters.",
        )
    if not allow_private:
        sentence = "A Unix socket is private: the platform's settings do not allow it as an upstream."
        raise BadInput("private_upstream", sentence)
    return url


def _path(text: str) -> str:
    """Read the path that goes before each visit's own: only one that every server reads alike."""
    if len(text) > MAX_PATH or not _PATH.fullmatch(text) or not {".", ".."}.isdisjoint(text.split("/")):
        raise BadInput(
            "bad_upstream",
            "An upstream's path is a plain one, such as /app: no query, nothing encoded, no dot segments.",
        )
    return text.removesuffix("/")


def _authority(text: str) -> Authority:
    try:
        return parse_authority(text.encode("ascii"))
    except (BadInput, UnicodeError) as fault:
        sentence = f"“{text[:80]}” is not the host and port of an upstream, such as backend.example.com:8080."
        raise BadInput("bad_upstream", sentence) from fault


@contextmanager
def asking_once() -> Iterator[None]:
    """Have each host's addresses asked for once within the block, however many upstreams name it."""
    token = _ANSWERS.set(_Answers())
    try:
        yield
    finally:
        _ANSWERS.reset(token)


class _Answers:
    """What was heard of hosts; who asks for one that is being asked for waits for the same answer."""

    def __init__(self) -> None:
        self._heard: dict[str, list[IPv4Address | IPv6Address]] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def find(self, host: str, port: int) -> list[IPv4Address | IPv6Address]:
        if host not in self._heard:
            async with self._turns[host]:
                if host not in self._heard:
                    self._heard[host] = await _ask(host, port)
        return self._heard[host]


_ANSWERS: Final[ContextVar[_Answers | None]] = ContextVar("what was heard of hosts", default=None)


async def _addresses(host: str, port: int) -> list[IPv4Address | IPv6Address]:
    answers = _ANSWERS.get()
    return await _ask(host, port) if answers is None else await answers.find(host, port)


async def _ask(host: str, port: int) -> list[IPv4Address | IPv6Address]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return []  # not resolving is not a fault of what was typed; connecting judges again
    return [ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
