"""The signed statement of who is asking: ``X-Portal-Jwt-Assertion``.

A JWT (RFC 7519) signed with ES256 (RFC 7518 section 3.4), about a minute's life, made for one upstream.
docs/backend.md tells a backend author what is in it and how to verify it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from router.identity.signing_keys import base64url

if TYPE_CHECKING:
    from router.identity.session import Session
    from router.identity.signing_keys import SigningKey, SigningKeys

LIFE: Final = 60
"""Seconds for which an assertion is valid from the moment it was signed."""

REUSED_FOR: Final = 20
"""Seconds for which the same assertion is sent again: a backend always has 40 seconds left to read it."""

_ES256 = ECDSA(SHA256())

_Place = tuple[str, str, str, str, str]


class Assertions:
    """Signs assertions, and remembers each for 20 seconds.

    Signing costs about 25 µs (with joserfc 33) and a remembered one 0.1, so both are done on the loop.
    """

    def __init__(self, keys: SigningKeys, issuer: str, *, capacity: int = 8192) -> None:
        self._keys = keys
        self._issuer = issuer
        self._capacity = capacity
        self._recent: dict[_Place, tuple[float, str]] = {}

    def __repr__(self) -> str:
        return f"Assertions(issuer={self._issuer!r}, remembered={len(self._recent)})"

    def find(self, session: Session, tenant: str, audience: str, host: str, now: float) -> str:
        """Answer a valid assertion for this session, upstream and host; raises as :meth:`sign` does.

        ``tenant`` is what ``X-Portal-Tenant`` says, ``audience`` the upstream's URL and ``host`` the name
        the customer used; ``now`` is in unix seconds.
        """
        place = (session.key, session.customer, session.email, audience, host)
        remembered = self._recent.get(place)
        if remembered is not None and now < remembered[0]:
            return remembered[1]
        token = self.sign(session, tenant, audience=audience, host=host, now=now)
        self._remember(place, now + REUSED_FOR, token)
        return token

    def sign(self, session: Session, tenant: str, *, audience: str, host: str, now: float) -> str:
        """Sign a new assertion. Raises ``Unavailable("no_signing_key")`` before the keys are loaded."""
        issued = int(now)
        claims: dict[str, object] = {
            "iss": self._issuer,
            "aud": audience,
            "sub": session.user_id,
            "email": session.email,
            "tenant": tenant,
            "customer": session.customer,
            "host": host,
            "sid": session.id,
            "iat": issued,
            "nbf": issued,
            "exp": issued + LIFE,
            "auth_time": session.signed_in_at,
        }
        return sign_jwt(self._keys.current(now), claims)

    def _remember(self, place: _Place, until: float, token: str) -> None:
        # Every entry lives equally long, so the one written first is also the first to be of no more use.
        self._recent.pop(place, None)
        while len(self._recent) >= self._capacity:
            del self._recent[next(iter(self._recent))]
        self._recent[place] = (until, token)


def sign_jwt(key: SigningKey, claims: dict[str, object]) -> str:
    """Sign claims as a JWT in its compact form (RFC 7519, RFC 7515 section 7.1)."""
    payload = json.dumps(claims, separators=(",", ":")).encode("ascii")
    signed = key.header + b"." + base64url(payload)
    r, s = decode_dss_signature(key.private.sign(signed, _ES256))
    # RFC 7518 section 3.4: R and S side by side, 32 octets each, not the DER that X.509 uses.
    signature = base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return (signed + b"." + signature).decode("ascii")
