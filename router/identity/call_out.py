"""The call-out: a tenant's backend is asked whether an e-mail address belongs to a customer.

``POST`` of ``{"tenant", "customer", "email"}`` to the tenant's registration check, with a JWT (RFC 7519,
ES256) as its bearer token, which names the URL and the body's digest; docs/registration-check.md tells a
backend author. Only a 200 with ``{"belongs": true}`` says yes: whatever else comes, or does not, is a no.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import socket
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from router.identity.assertion import sign_jwt

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.identity.signing_keys import SigningKeys
    from router.identity.tenant_facts import TenantFacts

_log = structlog.get_logger(__name__)

LIFE: Final = 60
"""Seconds for which the bearer token is valid."""

LIMIT: Final = 4096
"""Octets of an answer that are read: more is not one."""

PAUSES: Final = (1.0, 3.0)
"""Seconds before a question without an answer is asked again."""


class _NoAnswer(Exception):  # noqa: N818 - named after what happened
    """The backend said neither yes nor no; ``again`` is whether asking again makes sense."""

    def __init__(self, cause: str, *, again: bool) -> None:
        super().__init__(cause)
        self.again = again


class CallOut:
    """Asks tenants' backends, which it does not trust: five seconds, no redirect, a bounded answer.

    ``issuer`` is the platform's URL; ``forbidden`` judges each address that is connected to, as of upstreams.
    """

    def __init__(
        self,
        keys: SigningKeys,
        issuer: str,
        *,
        forbidden: Callable[[str], bool] | None,
        timeout: float = 5.0,
        pauses: tuple[float, ...] = PAUSES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._forbidden = forbidden
        self._timeout = timeout
        self._pauses = pauses
        self._clock = clock

    def __repr__(self) -> str:
        return f"CallOut(issuer={self._issuer!r})"

    async def confirm(self, tenant: TenantFacts, customer: str, email: str) -> bool:
        """Whether the tenant's backend says that the address is the customer's; of no backend, it is not.

        Never raises for what a backend does: that is logged. Raises ``Unavailable("no_signing_key")``.
        """
        if tenant.registration_check is None:
            return False
        question = {"tenant": tenant.slug, "customer": customer, "email": email}
        body = json.dumps(question, separators=(",", ":")).encode()
        for pause in (*self._pauses, None):
            try:
                return await self._ask(tenant.registration_check, body)
            except _NoAnswer as fault:
                host = URL(tenant.registration_check).host
                _log.warning("registration check failed", tenant=tenant.slug, host=host, cause=str(fault))
                if pause is None or not fault.again:
                    return False
                await asyncio.sleep(pause)
        return False

    async def _ask(self, url: str, body: bytes) -> bool:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Authorization": f"Bearer {self._token(url, body)}",
            "Content-Type": "application/json",
            "User-Agent": "tenant-router",
        }
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(resolver=_Resolver(self._forbidden)),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                    timeout=timeout,
                ) as client,
                client.post(self._allowed(url), data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return _verdict(answer.status, await _bounded(answer))
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise _NoAnswer(type(fault).__name__, again=True) from fault

    def _allowed(self, url: str) -> URL:
        """Refuse an address that stands in the URL itself: nobody resolves it."""
        parsed = URL(url, encoded=True)
        try:
            address = str(ip_address(parsed.host or ""))
        except ValueError:
            return parsed
        if self._forbidden is not None and self._forbidden(address):
            raise _NoAnswer("its address is not allowed", again=False)
        return parsed

    def _token(self, url: str, body: bytes) -> str:
        now = self._clock()
        claims: dict[str, object] = {
            "iss": self._issuer,
            "aud": url,
            "iat": int(now),
            "exp": int(now) + LIFE,
            "jti": secrets.token_urlsafe(16),
            "body_sha256": hashlib.sha256(body).hexdigest(),
        }
        return sign_jwt(self._keys.current(now), claims)


class _Resolver(AbstractResolver):
    """Resolves a host now, and to allowed addresses alone: what a name leads to may have changed."""

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
            raise _NoAnswer("its addresses are not allowed", again=False)
        return allowed

    async def close(self) -> None:
        await self._inner.close()


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    read = b""
    async for chunk in answer.content.iter_chunked(LIMIT):
        read += chunk
        if len(read) > LIMIT:
            raise _NoAnswer("its answer is too long", again=False)
    return read


def _verdict(status: int, body: bytes) -> bool:
    if status != 200:  # noqa: PLR2004 - OK (RFC 9110 section 15.3.1)
        raise _NoAnswer(f"it answered {status}", again=status in (408, 429) or status >= 500)  # noqa: PLR2004
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    belongs = said.get("belongs") if isinstance(said, dict) else None
    if not isinstance(belongs, bool):
        raise _NoAnswer("its answer is not {“belongs”: true or false}", again=False)
    return belongs
