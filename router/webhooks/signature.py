"""Signatures of deliveries, by the Standard Webhooks specification (standardwebhooks.com).

PURE. ``webhook-signature`` is ``v1,`` and the base64 of HMAC-SHA256 over ``ID.TIMESTAMP.BODY``, by the
secret's octets; several signatures are separated by spaces. A receiver takes any that is right, so a secret
is changed without losing a delivery: for a day, both sign.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import json
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Final

PREFIX: Final = "whsec_"
OVERLAP: Final = 86_400
"""Seconds for which a former secret signs too."""

_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class Secret:
    """What a webhook's deliveries are signed by; the former one until ``former_until``, in unix seconds."""

    current: bytes = field(repr=False)
    former: bytes | None = field(default=None, repr=False)
    former_until: int = 0

    @property
    def told(self) -> str:
        """The secret as its receiver is told it, once."""
        return PREFIX + b64encode(self.current).decode()

    def rotated(self, now: float) -> Secret:
        """Give another secret, beside which this one goes on for a while."""
        return Secret(secrets.token_bytes(_SIZE), self.current, int(now) + OVERLAP)

    def sign(self, delivery_id: str, at: int, body: bytes) -> str:
        """Sign a delivery that is made ``at`` a time, in unix seconds: the field's value."""
        former = (self.former,) if self.former is not None and at < self.former_until else ()
        content = f"{delivery_id}.{at}.".encode() + body
        signed = (hmac.new(key, content, hashlib.sha256).digest() for key in (self.current, *former))
        return " ".join(f"v1,{b64encode(each).decode()}" for each in signed)

    def dump(self) -> bytes:
        """Write it, to be sealed."""
        former = None if self.former is None else b64encode(self.former).decode()
        current = b64encode(self.current).decode()
        return json.dumps({"current": current, "former": former, "until": self.former_until}).encode()

    @classmethod
    def load(cls, dumped: bytes) -> Secret:
        """Read what :meth:`dump` wrote. Raises ``ValueError``."""
        said = json.loads(dumped)
        former = said["former"]
        try:
            return cls(
                b64decode(said["current"]), None if former is None else b64decode(former), said["until"]
            )
        except binascii.Error as fault:
            raise ValueError("not base64") from fault


def new_secret() -> Secret:
    """Make a secret of 256 random bits."""
    return Secret(secrets.token_bytes(_SIZE))
