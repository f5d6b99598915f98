"""Dial an upstream: what its URL says, which addresses it has, which of them are allowed."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from router.errors import Unavailable

_DEFAULT_PORTS = {"http": 80, "https": 443}

Forbidden = Callable[[str], bool]
"""Judges an IP address that a tenant's upstream resolves to."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a pool's connections go: a Unix socket's path, or a host and a port.

    ``prefix`` goes before each visit's path, ``authority`` is what a rewritten Host says, ``ca`` a PEM bundle
    to trust instead of the system's authorities.
    """

    url: str
    path: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False
    prefix: bytes = b""
    authority: bytes = b"localhost"
    ca: str = ""

    @classmethod
    def parse(cls, url: str, ca: str = "") -> Target:
        """Read an upstream's URL, which tenants/upstream_address.py has judged when it was saved."""
        parts = urlsplit(url)
        if parts.scheme == "unix":
            return cls(url, path=parts.path)
        return cls(
            url,
            host=parts.hostname or "",
            port=parts.port or _DEFAULT_PORTS[parts.scheme],
            tls=parts.scheme == "https",
            prefix=parts.path.rstrip("/").encode(),
            # The scheme's own port goes without saying, and servers do not say it (RFC 9110 section 4.2.3).
            authority=parts.netloc.removesuffix(f":{_DEFAULT_PORTS[parts.scheme]}").encode(),
            ca=ca,
        )

    def __str__(self) -> str:
        return self.url


async def dial(target: Target, protocol: asyncio.Protocol, forbidden: Forbidden | None) -> None:
    """Connect ``protocol`` to ``target``, trying the addresses of a host in the resolver's order.

    Raises ``OSError`` (the last address's) and ``Unavailable("upstream_forbidden")``. Of TLS, the
    certificate must be one for the host.
    """
    loop = asyncio.get_running_loop()
    if target.path:
        await loop.create_unix_connection(lambda: protocol, target.path)
        return
    *others, last = await _addresses(target, forbidden)
    for address in others:
        with suppress(OSError):  # an address without a route is no ConnectionError
            await _dial_address(target, address, protocol)
            return
    await _dial_address(target, last, protocol)


async def _dial_address(target: Target, address: str, protocol: asyncio.Protocol) -> None:
    transport, _ = await asyncio.get_running_loop().create_connection(
        lambda: protocol,
        address,
        target.port,
        ssl=_client_context(target.ca) if target.tls else None,
        server_hostname=target.host if target.tls else None,
    )
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


async def _addresses(target: Target, forbidden: Forbidden | None) -> list[str]:
    """The addresses of a host, judged now: what a name resolves to may have changed since it was saved."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = [str(ip_address(str(info[4][0]).partition("%")[0])) for info in found]
    allowed = [address for address in addresses if forbidden is None or not forbidden(address)]
    if not allowed:
        raise Unavailable("upstream_forbidden", f"{target} resolves to an address that is not allowed.")
    return allowed


@lru_cache(maxsize=256)
def _client_context(ca: str) -> ssl.SSLContext:
    """A context that verifies the upstream's certificate; loading the system's authorities costs 20 ms."""
    context = ssl.create_default_context(cadata=ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
