"""Upstream addresses: judged when an operator saves one, and again by whoever connects to it.

A name says nothing about where it leads, and may lead elsewhere tomorrow (DNS rebinding). So saving refuses
what is already known to be private, and the edge asks :func:`forbidden` of the very address it dials.
"""

from __future__ import annotations

import asyncio
import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from router.errors import BadInput
from router.hostname import Authority, Hostname, parse_authority
from router.tenants.tenant import Upstream

_URL: Final = re.compile(r"(https?)://([^/?#@\\\s]+)/?", re.IGNORECASE)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_RESOLVE_SECONDS: Final = 2.0

# Addresses that route in public, but are a cloud's own service to each of its machines.
_METADATA: Final = frozenset({IPv4Address("168.63.129.16")})
_IETF: Final = IPv4Network("192.0.0.0/24")  # RFC 6890; 192.0.0.192 is Oracle's metadata service
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in an IPv6 one
_COMPATIBLE: Final = IPv6Network("::/96")  # RFC 4291 section 2.5.5.1, obsolete: the same
_PRIVATE_NAMES: Final = ("localhost", "local", "internal", "localdomain", "home.arpa")

_PRIVATE: Final = "{} is a private address: the platform's settings do not allow it as an upstream."


def parse_upstream(raw: str, *, allow_private: bool) -> Upstream:
    """Read ``http://host:port`` or ``https://host:port`` and refuse what is private by its looks.

    Raises ``BadInput`` with ``bad_upstream`` or ``private_upstream``.
    """
    match = _URL.fullmatch(raw.strip())
    if match is None:
        # The URL is not repeated: one with user information in it would put a password into a log.
        raise BadInput(
            "bad_upstream", "An upstream is http://HOST:PORT or https://HOST:PORT and nothing more."
        )
    scheme = match.group(1).lower()
    authority = _authority(match.group(2))
    if not allow_private and _looks_private(authority.host):
        raise BadInput("private_upstream", _PRIVATE.format(authority.host))
    host = f"[{authority.host}]" if isinstance(authority.host, IPv6Address) else str(authority.host)
    return Upstream(f"{scheme}://{host}:{authority.port or _DEFAULT_PORTS[scheme]}")


async def check_upstream(raw: str, *, allow_private: bool) -> Upstream:
    """As :func:`parse_upstream`, and refuse a name that leads to a private address today.

    A name that does not resolve is accepted: an upstream may be set up after its tenant.
    """
    upstream = parse_upstream(raw, allow_private=allow_private)
    if not allow_private:
        host, port = split_upstream(upstream.url)
        for address in await _addresses(host, port):
            if forbidden(address):
                raise BadInput("private_upstream", _PRIVATE.format(f"{host} ({address})"))
    return upstream


def split_upstream(url: str) -> tuple[str, int]:
    """Name the host and port of an upstream's URL, as :func:`parse_upstream` writes it."""
    host, _, port = url.partition("://")[2].rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def forbidden(address: IPv4Address | IPv6Address) -> bool:
    """Whether an upstream may not be here: loopback, link-local, private, metadata, anything not public."""
    if isinstance(address, IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return forbidden(inner)
        return not address.is_global or address.is_multicast or address.is_reserved or address.is_site_local
    return not address.is_global or address.is_multicast or address in _METADATA or address in _IETF


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Find the IPv4 address to which an IPv6 address is translated or tunnelled on the way."""
    if address in _NAT64 or address in _COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _authority(text: str) -> Authority:
    try:
        return parse_authority(text.encode("ascii"))
    except (BadInput, UnicodeError) as fault:
        sentence = f"“{text[:80]}” is not the host and port of an upstream, such as backend.example.com:8080."
        raise BadInput("bad_upstream", sentence) from fault


def _looks_private(host: Hostname | IPv4Address | IPv6Address) -> bool:
    if isinstance(host, Hostname):
        return any(host.is_under(name) for name in _PRIVATE_NAMES)
    return forbidden(host)


async def _addresses(host: str, port: int) -> list[IPv4Address | IPv6Address]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_SECONDS):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, TimeoutError):
        return []  # not resolving is not a fault of what was typed; connecting judges again
    return [ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
