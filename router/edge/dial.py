"""Dial an upstream: what its URL says, which of its addresses are allowed, which of them takes it first."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import FIRST_COMPLETED
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from router.errors import Unavailable

if TYPE_CHECKING:
    from router.edge.resolver import Resolver

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HEAD_START: Final = 0.25
"""Seconds after which the next address is tried beside the one before (RFC 8305 section 5)."""

NAME_SHARE: Final = 2 / 3
"""Of the time to connect, what the name may take; the rest is for the connection."""

Forbidden = Callable[[str], bool]
"""Judges an IP address that a tenant's upstream resolves to, or the ``unix:/PATH`` that it is."""


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


async def dial(
    target: Target,
    protocol: asyncio.Protocol,
    resolver: Resolver,
    forbidden: Forbidden | None,
    *,
    within: float,
) -> str:
    """Connect ``protocol`` to ``target``; answer the address that took it, empty for a socket's path.

    Of several addresses each gets its share of ``within`` seconds, and a head start of a quarter of a second
    at most: one that swallows packets costs no more than that. Nobody met at any of them, the name is looked
    up again: it may lead elsewhere by now. Raises ``OSError`` (the last address's) and ``Unavailable``:
    ``upstream_unreachable`` for a name without addresses, ``upstream_forbidden``. Of TLS, the certificate
    must be one for the host.
    """
    if target.path:
        if forbidden is not None and forbidden(target.url):
            raise Unavailable("upstream_forbidden", f"{target} is a socket, which is not allowed.")
        await asyncio.get_running_loop().create_unix_connection(lambda: protocol, target.path)
        return ""
    until = asyncio.get_running_loop().time() + within
    addresses = await _addresses(target, resolver, forbidden)
    try:
        return await _dial_any(target, addresses, protocol, until)
    except OSError:
        if not resolver.doubt(target.host):
            raise
        others = await _addresses(target, resolver, forbidden)
        if set(others) <= set(addresses):
            raise
        return await _dial_any(target, others, protocol, until)
    except asyncio.CancelledError:  # out of time
        resolver.doubt(target.host)
        raise


async def _addresses(target: Target, resolver: Resolver, forbidden: Forbidden | None) -> list[str]:
    """The addresses of a host, judged now: what a name leads to may have changed since it was saved."""
    try:
        found = await resolver.find(target.host)
    except Unavailable as fault:
        raise Unavailable("upstream_unreachable", f"{target} cannot be reached: {fault.sentence}") from fault
    allowed = [address for address in found if forbidden is None or not forbidden(address)]
    if not allowed:
        raise Unavailable("upstream_forbidden", f"{target} resolves to an address that is not allowed.")
    return allowed


async def _dial_any(target: Target, addresses: list[str], protocol: asyncio.Protocol, until: float) -> str:
    """Connect to whoever takes it; one that then fails in TLS, or stalls there, is passed over as well."""
    if len(addresses) == 1:
        await _dial_one(target, addresses[0], protocol)
        return addresses[0]
    left = list(addresses)
    share = max(until - asyncio.get_running_loop().time(), 0.0) / len(addresses)
    met: OSError | None = None
    while True:
        try:
            sock, address = await _first_to_take(left, target.port, min(_HEAD_START, share / 2))
        except OSError as fault:
            # What was met at one address says more than that the others took nothing.
            raise met or fault from None
        left.remove(address)
        try:
            async with asyncio.timeout(share if left else None):
                await _begin(target, sock, protocol)
        except OSError as fault:  # ssl.SSLError and TimeoutError are OSErrors too
            met = fault
            if not left:
                raise
        else:
            return address


async def _dial_one(target: Target, address: str, protocol: asyncio.Protocol) -> None:
    """Connect to the only address there is: the loop's own way takes 50 µs less than a socket of ours."""
    transport, _ = await asyncio.get_running_loop().create_connection(
        lambda: protocol,
        address,
        target.port,
        ssl=client_context(target.ca) if target.tls else None,
        server_hostname=target.host if target.tls else None,
    )
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


async def _begin(target: Target, sock: socket.socket, protocol: asyncio.Protocol) -> None:
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: protocol,
            sock=sock,
            ssl=client_context(target.ca) if target.tls else None,
            server_hostname=target.host if target.tls else None,
        )
    except BaseException:
        sock.close()
        raise


async def _first_to_take(addresses: list[str], port: int, head_start: float) -> tuple[socket.socket, str]:
    """Connect to the first address that takes it: the next is tried when one has failed, or had its start.

    RFC 8305 section 5. Raises the last one's ``OSError``.
    """
    race = _Race(port)
    try:
        async with asyncio.TaskGroup() as attempts:
            running: set[asyncio.Task[None]] = set()
            for address in addresses:
                running.add(attempts.create_task(race.run(address)))
                _, running = await asyncio.wait(running, timeout=head_start, return_when=FIRST_COMPLETED)
                if race.won.done():
                    break
            while running and not race.won.done():
                _, running = await asyncio.wait(running, return_when=FIRST_COMPLETED)
            for attempt in running:
                attempt.cancel()
    except BaseException:
        race.abandon()
        raise
    if race.fault is not None and not race.won.done():
        raise race.fault
    return race.won.result()


class _Race:
    """Several attempts to connect, of which one wins."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.won: asyncio.Future[tuple[socket.socket, str]] = asyncio.get_running_loop().create_future()
        self.fault: OSError | None = None

    async def run(self, address: str) -> None:
        """Try one address."""
        try:
            sock = await _connect(address, self._port)
        except OSError as fault:
            self.fault = fault
            return
        if self.won.done():
            sock.close()
        else:
            self.won.set_result((sock, address))

    def abandon(self) -> None:
        """Nobody wants the winner any more."""
        if self.won.done():
            self.won.result()[0].close()


async def _connect(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


@lru_cache(maxsize=256)
def client_context(ca: str) -> ssl.SSLContext:
    """A context that verifies the upstream's certificate; loading the system's authorities costs 20 ms."""
    context = ssl.create_default_context(cadata=ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
