"""Intermediates that were seen: certificates of authorities out of chains that were accepted.

A chain that is uploaded without its intermediate is completed from them. Nothing is fetched from anywhere,
and nothing is believed: an intermediate fits when its key signed what is below it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from router.storage.schema import intermediates

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.certificates.bundle import Bundle
    from router.storage.database import Database

_HEIGHT: Final = 4
"""Intermediates above one another; public authorities have one or two."""

_NAMESAKES: Final = 20
"""Certificates looked at for one authority's name, those seen last: anybody may call an authority so."""


class Intermediates:
    """What is known of authorities. All methods raise ``Unavailable`` (the database)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def complete(self, bundle: Bundle, now: float) -> Bundle:
        """Complete a chain that lacks its intermediate, where that is known."""
        if not bundle.lacks_intermediate:
            return bundle
        async with self._database.read() as connection:
            return bundle.completed(await _above(connection, bundle.leaf), now)

    async def remember(self, bundle: Bundle, now: float) -> None:
        """Keep the intermediates of an accepted chain, and forget those that have ended."""
        for each in bundle.chain[1:]:
            try:
                async with self._database.write() as connection:
                    await _keep(connection, each, int(now))
            except IntegrityError:  # another upload has just brought the same
                continue


async def _above(connection: AsyncConnection, leaf: x509.Certificate) -> list[x509.Certificate]:
    found: dict[str, x509.Certificate] = {}
    wanted = {_name_of(leaf.issuer)}
    for _ in range(_HEIGHT):
        statement = select(intermediates.c.fingerprint, intermediates.c.certificate)
        statement = statement.where(intermediates.c.subject.in_(wanted))
        rows = await connection.execute(
            statement.order_by(intermediates.c.seen_at.desc(), intermediates.c.fingerprint).limit(_NAMESAKES)
        )
        new = {row[0]: x509.load_der_x509_certificate(row[1]) for row in rows if row[0] not in found}
        if not new:
            break
        found |= new
        wanted = {_name_of(each.issuer) for each in new.values()}
    return list(found.values())


async def _keep(connection: AsyncConnection, certificate: x509.Certificate, now: int) -> None:
    fingerprint = certificate.fingerprint(SHA256()).hex()
    seen = update(intermediates).where(intermediates.c.fingerprint == fingerprint).values(seen_at=now)
    if (await connection.execute(seen)).rowcount:
        return
    await connection.execute(delete(intermediates).where(intermediates.c.not_after < now))
    row = {
        "fingerprint": fingerprint,
        "subject": _name_of(certificate.subject),
        "certificate": certificate.public_bytes(Encoding.DER),
        "not_after": int(certificate.not_valid_after_utc.timestamp()),
        "seen_at": now,
    }
    await connection.execute(insert(intermediates).values(row))


def _name_of(name: x509.Name) -> str:
    return hashlib.sha256(name.public_bytes()).hexdigest()
