"""Rows with something sealed in each of them, as the rooms above write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from router.storage.outbox import Mail, Outbox
from router.storage.schema import certificate_names, certificates, signing_keys, webhooks
from router.storage.sealed import CERTIFICATES, SIGNING_KEYS, WEBHOOK_SECRETS
from router.storage.sealing import Sealer
from tests.storage.tenant_row import add_tenants, tenant_row

if TYPE_CHECKING:
    from router.storage.database import Database
    from router.storage.sealed import SealedColumn

NOW = 1_795_300_000
OLD, NEW = bytes(range(32)), bytes(range(32, 64))
BEFORE, BOTH, AFTER = Sealer([OLD]), Sealer([NEW, OLD]), Sealer([NEW])
SECRET = b"what is sealed in each of them"


async def add_tenant(database: Database) -> None:
    """Add the tenant that mails are of."""
    await add_tenants(database, tenant_row("tnt_1", "acme", "Acme", at=NOW))


async def add_certificate(database: Database, sealer: Sealer, number: int) -> None:
    """Add a certificate of the platform, ``crt_NUMBER`` for ``NUMBER.example``."""
    certificate_id, name = f"crt_{number:04}", f"{number}.example"
    row = {"id": certificate_id, "state": "active", "source": "upload", "fingerprint": "f" * 64}
    row |= {"key_type": "ecdsa", "names": [name], "not_before": NOW, "not_after": NOW, "chain": "PEM"}  # type: ignore[dict-item]
    sealed = sealer.seal(SECRET, identity=CERTIFICATES.identity(certificate_id))
    async with database.write() as connection:
        await connection.execute(insert(certificates).values(**row, sealed_key=sealed, created_at=NOW))
        await connection.execute(insert(certificate_names).values(certificate_id=certificate_id, name=name))


async def add_signing_key(database: Database, sealer: Sealer, number: int) -> None:
    """Add a signing key, ``key_NUMBER``."""
    key_id = f"key_{number}"
    sealed = sealer.seal(SECRET, identity=SIGNING_KEYS.identity(key_id))
    times = {"created_at": NOW, "used_from": NOW + number, "used_until": NOW + number + 1}
    async with database.write() as connection:
        await connection.execute(
            insert(signing_keys).values(id=key_id, public_jwk={}, sealed_key=sealed, **times)
        )


async def add_mail(database: Database, sealer: Sealer) -> None:
    """Post a mail of the tenant's."""
    async with database.write() as connection:
        mail = Mail("tnt_1", "reset", "ada@acme.test", "en", {"link": "https://acme.example/"})
        assert await Outbox(sealer).post(connection, mail, NOW)


async def add_webhook(database: Database, sealer: Sealer) -> None:
    """Set up a webhook of the tenant's."""
    row = {"id": "whk_1", "tenant_id": "tnt_1", "url": "https://hook.test/", "events": ["*"]}
    sealed = sealer.seal(SECRET, identity=WEBHOOK_SECRETS.identity("whk_1"))
    more = {"disabled": False, "created_by": "test", "created_at": NOW}
    async with database.write() as connection:
        await connection.execute(insert(webhooks).values(**row, **more, sealed_secret=sealed))


async def fill(database: Database, sealer: Sealer = BEFORE, count: int = 5) -> None:
    """Seal a few values of each kind."""
    await add_tenant(database)
    for number in range(count):
        await add_certificate(database, sealer, number)
    for number in range(2):
        await add_signing_key(database, sealer, number)
    await add_mail(database, sealer)
    await add_webhook(database, sealer)


async def values(database: Database, sealed: SealedColumn) -> dict[str, bytes]:
    """Every sealed value of a kind, by the id of its record."""
    statement = select(sealed.table.c.id, sealed.column).where(sealed.column.is_not(None))
    async with database.read() as connection:
        return {row[0]: row[1] for row in (await connection.execute(statement)).all()}
