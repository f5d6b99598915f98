"""How a backend makes sure who is asking: it verifies the assertion against the published keys.

This is a backend's own code, as docs/backend.md tells its author to write it: it knows nothing of the
router's insides, fetches the JWKS document over HTTPS, and trusts no header beside the assertion.
"""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

if TYPE_CHECKING:
    import ssl

KEPT_SECONDS: Final = 600.0
"""How long the published keys are kept; the next key is published a day before it is used."""

_TRIED_EVERY: Final = 5.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking, as a verified assertion says."""

    user: str
    email: str
    tenant: str
    customer: str
    claims: dict[str, Any]


class NotVerified(Exception):  # noqa: N818 - named after what happened
    """There is no assertion, or it does not hold; the text says why."""


class _Pinned(AbstractResolver):
    """Resolves every name as if it were ``address``: a demo's hostnames are in nobody's DNS."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(self._address, port, family)
        return [{**result, "hostname": host} for result in found]

    async def close(self) -> None:
        await self._resolver.close()


class Verifier:
    """Verifies assertions made by ``issuer`` for ``audience``, with the keys published at ``jwks_url``.

    ``trust`` is who may have signed the portal's certificate (none: whom the system trusts); ``address`` is
    the host to connect to, whatever DNS says of the URL's.
    """

    def __init__(
        self,
        jwks_url: str,
        *,
        issuer: str,
        audience: str,
        trust: ssl.SSLContext | None = None,
        address: str | None = None,
    ) -> None:
        self._jwks_url = jwks_url
        self._trust = trust
        self._address = address
        self._claims = jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        self._keys: KeySet | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def verify(self, assertion: str | None) -> Identity:
        """Answer who is asking. Raises :class:`NotVerified`."""
        if not assertion:
            raise NotVerified("There is no assertion: this visit did not come through the router.")
        keys = await self._published()
        try:
            token = jwt.decode(assertion, keys, algorithms=["ES256"])
            self._claims.validate(token.claims)
        except (JoseError, ValueError) as fault:
            raise NotVerified(f"The assertion does not hold: {fault}") from fault
        claims = token.claims
        return Identity(claims["sub"], claims["email"], claims["tenant"], claims["customer"], claims)

    async def _published(self) -> KeySet:
        async with self._reading:
            age = time.monotonic() - self._read_at
            if age > KEPT_SECONDS or (self._keys is None and age > _TRIED_EVERY):
                self._read_at = time.monotonic()
                self._keys = await self._fetch() or self._keys
        if self._keys is None:
            raise NotVerified(f"The router's keys could not be fetched from {self._jwks_url}.")
        return self._keys

    async def _fetch(self) -> KeySet | None:
        resolver = _Pinned(self._address) if self._address else None
        connector = aiohttp.TCPConnector(resolver=resolver, ssl=self._trust or True)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as client,
                client.get(self._jwks_url, allow_redirects=False) as answer,
            ):
                answer.raise_for_status()
                return KeySet.import_key_set(await answer.json(content_type=None))
        except (aiohttp.ClientError, TimeoutError, ValueError, JoseError):
            return None
