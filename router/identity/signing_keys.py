"""The keys that assertions are signed with: one in use, the next one published, the former still published.

A backend that keeps the JWKS document for up to a day always knows the key of what it gets, because a key is
published at least a day before it is used and for a day after. Only the very first key has no such notice.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from base64 import urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from sqlalchemy import delete, insert, select, update

from router.errors import Unavailable
from router.storage.changes import record
from router.storage.schema import signing_keys
from router.storage.sealed import SIGNING_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.changes import Bell, ChangeFeed
    from router.storage.database import Database
    from router.storage.sealing import Sealer

ROTATED_EVERY: Final = 30 * 86_400
"""Seconds for which a key is used."""

NOTICE: Final = 86_400
"""Seconds for which a key is published before it is used, and still published after it was."""

_LOOKED_AT_EVERY = 3600
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key in memory; ``header`` is the first part of every token it signs, ready to send."""

    id: str
    public_jwk: dict[str, str]
    private: EllipticCurvePrivateKey = field(repr=False)
    header: bytes
    used_from: int
    used_until: int


class SigningKeys:
    """The signing keys of the platform, shared by every worker of every node through the database.

    ``run`` must be running (or ``ensure`` be called daily) for keys to be rotated; what is in memory signs
    on when the database is away, the next key included.
    """

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        bell: Bell,
        feed: ChangeFeed,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._bell = bell
        self._clock = clock
        self._keys: tuple[SigningKey, ...] = ()
        self._changed = asyncio.Event()
        feed.subscribe("signing-keys", lambda _key, _sequence: self._changed.set())
        feed.subscribe_reset(self._changed.set)

    def __repr__(self) -> str:
        return f"SigningKeys({[key.id for key in self._keys]})"

    def current(self, now: float) -> SigningKey:
        """Answer the key to sign with: the newest one whose time has come.

        The very first key serves at once, also where the clock is a little behind that of its maker. Raises
        ``Unavailable("no_signing_key")`` before ``ensure`` has been called.
        """
        if not self._keys:
            raise Unavailable("no_signing_key", "There is no key to sign assertions with yet.")
        return next((key for key in reversed(self._keys) if key.used_from <= now), self._keys[0])

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Answer the public keys as a JWK Set (RFC 7517 section 5): retired, current and next."""
        now = self._clock()
        return {"keys": [key.public_jwk for key in self._keys if now < key.used_until + NOTICE]}

    async def ensure(self, now: float) -> None:
        """Load the keys, having made those that are missing: the current one and the next.

        Workers that do this at once make one pair between them. Raises ``Unavailable`` (database) and what
        ``Sealer.open`` raises for a key that was sealed with an encryption key we do not have.
        """
        async with self._database.read() as connection:
            rows = await _rows(connection)
        if not _complete([row.used_from for row in rows], now):
            rows = await self._complete(int(now))
            await self._bell.ring()
        self._keys = tuple(self._opened(row) for row in rows)

    async def run(self) -> None:
        """Keep the keys in memory up to date and rotate them in time; for ever."""
        while True:
            self._changed.clear()
            try:
                await self.ensure(self._clock())
            except Unavailable as fault:
                _log.warning("signing_keys_not_read", code=fault.code, cause=repr(fault.__cause__))
            # Not wait_for, which in Python 3.11 loses a cancellation that arrives together with the change.
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOKED_AT_EVERY):
                    await self._changed.wait()

    async def _complete(self, now: int) -> Sequence[Row[tuple[object, ...]]]:
        async with self._database.write() as connection:
            # Recorded first, although the rule is last: so the workers that find a key missing stand in line,
            # and the second one sees the keys of the first. Nothing else writes this table.
            await record(connection, "signing-keys", "")
            starts = [row.used_from for row in await _rows(connection)]
            if not starts:
                starts = [now]
                await self._make(connection, now, now)
            if not _complete(starts, now):
                # The last one serves until its successor has had its notice, however long nobody was here.
                start = max(starts[-1] + ROTATED_EVERY, now + NOTICE)
                await _serves_until(connection, starts[-1], start)
                await self._make(connection, start, now)
            await connection.execute(delete(signing_keys).where(signing_keys.c.used_until < now - NOTICE))
            return await _rows(connection)

    async def _make(self, connection: AsyncConnection, used_from: int, now: int) -> None:
        key_id = secrets.token_hex(8)
        private = generate_private_key(SECP256R1())
        plain = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        await connection.execute(
            insert(signing_keys).values(
                id=key_id,
                public_jwk=_public_jwk(private, key_id),
                sealed_key=self._sealer.seal(plain, identity=SIGNING_KEYS.identity(key_id)),
                created_at=now,
                used_from=used_from,
                used_until=used_from + ROTATED_EVERY,
            )
        )

    def _opened(self, row: Row[tuple[object, ...]]) -> SigningKey:
        private = load_der_private_key(
            self._sealer.open(row.sealed_key, identity=SIGNING_KEYS.identity(row.id)), None
        )
        if not isinstance(private, EllipticCurvePrivateKey):
            raise Unavailable("bad_signing_key", f"The signing key {row.id} is not an elliptic curve key.")
        header = json.dumps({"alg": "ES256", "kid": row.id, "typ": "JWT"}, separators=(",", ":"))
        return SigningKey(
            id=row.id,
            public_jwk=row.public_jwk,
            private=private,
            header=base64url(header.encode("ascii")),
            used_from=row.used_from,
            used_until=row.used_until,
        )


async def _rows(connection: AsyncConnection) -> Sequence[Row[tuple[object, ...]]]:
    return (await connection.execute(select(signing_keys).order_by(signing_keys.c.used_from))).all()


async def _serves_until(connection: AsyncConnection, used_from: int, used_until: int) -> None:
    this = signing_keys.c.used_from == used_from
    await connection.execute(update(signing_keys).where(this).values(used_until=used_until))


def _complete(starts: Sequence[int], now: float) -> bool:
    """Whether there is a key in use and one to follow it."""
    return len(starts) > 1 and starts[-1] > now


def _public_jwk(private: EllipticCurvePrivateKey, key_id: str) -> dict[str, str]:
    numbers = private.public_key().public_numbers()
    x, y = (base64url(number.to_bytes(32, "big")).decode() for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256", "kid": key_id}


def base64url(data: bytes) -> bytes:
    """Encode as JOSE does: URL-safe, without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=")
