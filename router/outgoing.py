"""Calls that the router makes itself, to URLs that tenants chose: registration checks, webhooks.

Nobody there is trusted: a limited time, no redirect, no cookie, and only as much of an answer as is wanted.
Where a name leads is judged now, whatever it led to when the URL was saved (DNS rebinding).
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class NoAnswer(Exception):  # noqa: N818 - named after what happened
    """None came, or none that can be used; ``again`` is whether asking again makes sense."""

    def __init__(self, cause: str, *, again: bool) -> None:
        super().__init__(cause)
        self.again = again


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and as much of the body as was asked for."""

    status: int
    body: bytes = b""


class Outgoing:
    """Posts to URLs. ``forbidden`` judges each address that is connected to, as of upstreams.

    ``timeout`` is in seconds, for all of a call.
    """

    def __init__(self, forbidden: Callable[[str], bool] | None, *, timeout: float) -> None:
        self._forbidden = forbidden
        self._timeout = timeout

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, most: int = 0) -> Answer:
        """Post a body, and read an answer of at most ``most`` octets; of 0, the status alone.

        Raises ``NoAnswer``, also for a longer one.
        """
        sent = {"Accept-Encoding": "identity", "User-Agent": "tenant-router", **headers}
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(resolver=_Resolver(self._forbidden)),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                    timeout=aiohttp.ClientTimeout(total=self._timeout),
                ) as client,
                client.post(self._allowed(url), data=body, headers=sent, allow_redirects=False) as answer,
            ):
                return Answer(answer.status, await _bounded(answer, most) if most else b"")
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise NoAnswer(type(fault).__name__, again=True) from fault

    def _allowed(self, url: str) -> URL:
        """Refuse an address that stands in the URL itself: nobody resolves it."""
        parsed = URL(url, encoded=True)
        try:
            address = str(ip_address(parsed.host or ""))
        except ValueError:
            return parsed
        if self._forbidden is not None and self._forbidden(address):
            raise NoAnswer("its address is not allowed", again=False)
        return parsed


class _Resolver(AbstractResolver):
    """Resolves a host now, and to allowed addresses alone."""

    def __init__(self, forbidden: Callable[[str], bool] | None) -> None:
        self._inner = ThreadedResolver()
        self._forbidden = forbidden

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        allowed = [
            each
            for each in found
            if self._forbidden is None or not self._forbidden(each["host"].partition("%")[0])
        ]
        if not allowed:
            raise NoAnswer("its addresses are not allowed", again=False)
        return allowed

    async def close(self) -> None:
        await self._inner.close()


async def _bounded(answer: aiohttp.ClientResponse, most: int) -> bytes:
    read = b""
    async for chunk in answer.content.iter_chunked(most):
        read += chunk
        if len(read) > most:
            raise NoAnswer("its answer is too long", again=False)
    return read
