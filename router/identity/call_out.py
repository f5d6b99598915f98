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
import time
from typing import TYPE_CHECKING, Final

import structlog
from yarl import URL

from router.identity.assertion import sign_jwt
from router.outgoing import NoAnswer, Outgoing

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


class CallOut:
    """Asks tenants' backends, which it does not trust: five seconds, no redirect, a bounded answer.

    One question takes ``whole`` seconds at most, repeats and all: what waits for a silent backend is few at a
    time (errands.py), and not for long.
    ``issuer`` is the platform's URL; ``forbidden`` judges each address that is connected to, as of upstreams.
    """

    def __init__(
        self,
        keys: SigningKeys,
        issuer: str,
        *,
        forbidden: Callable[[str], bool] | None,
        timeout: float = 5.0,
        whole: float = 12.0,
        pauses: tuple[float, ...] = PAUSES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._outgoing = Outgoing(forbidden, timeout=timeout)
        self._whole = whole
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
        host = URL(tenant.registration_check).host
        try:
            async with asyncio.timeout(self._whole):
                return await self._insistently(tenant, tenant.registration_check, body)
        except NoAnswer as fault:
            _log.warning("registration check failed", tenant=tenant.slug, host=host, cause=str(fault))
        except TimeoutError:
            cause = f"no answer within {self._whole:g} seconds in all"
            _log.warning("registration check failed", tenant=tenant.slug, host=host, cause=cause)
        return False

    async def _insistently(self, tenant: TenantFacts, url: str, body: bytes) -> bool:
        """Ask again where that may help; raises what the last one came to."""
        for pause in self._pauses:
            try:
                return await self._ask(url, body)
            except NoAnswer as fault:
                if not fault.again:
                    raise
                cause = str(fault)
                _log.warning("registration check failed", tenant=tenant.slug, host=URL(url).host, cause=cause)
            await asyncio.sleep(pause)
        return await self._ask(url, body)

    async def _ask(self, url: str, body: bytes) -> bool:
        headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {self._token(url, body)}",
            "Content-Type": "application/json",
        }
        answer = await self._outgoing.post(url, body, headers, most=LIMIT)
        return _verdict(answer.status, answer.body)

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


def _verdict(status: int, body: bytes) -> bool:
    if status != 200:  # noqa: PLR2004 - OK (RFC 9110 section 15.3.1)
        raise NoAnswer(f"it answered {status}", again=status in (408, 429) or status >= 500)  # noqa: PLR2004
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    belongs = said.get("belongs") if isinstance(said, dict) else None
    if not isinstance(belongs, bool):
        raise NoAnswer("its answer is not {“belongs”: true or false}", again=False)
    return belongs
