"""Giving up what was sealed with an encryption key that is lost for good: the rest can be served again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from router.errors import Conflict, NotFound
from router.storage.auditing import note
from router.storage.changes import record, record_all
from router.storage.schema import certificate_names, certificates, outbox, signing_keys, webhooks
from router.storage.sealed import CERTIFICATES, MAILS, SIGNING_KEYS, WEBHOOK_SECRETS, uses
from router.storage.sealing import key_id

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.storage.database import Database


async def forget(
    database: Database, lost: str, keys: Sequence[bytes], *, actor: str, now: float
) -> Counter[str]:
    """Give up what was sealed with the key of the id ``lost``; answer what that was, by kind.

    Its certificates, signing keys and webhooks are deleted, its mails have failed. Ring the bell afterwards.
    Raises ``Conflict("encryption_key_present")`` for one of ``keys``, which open, and
    ``NotFound("encryption_key_unused")`` when nothing is sealed with it.
    """
    if lost in map(key_id, keys):
        raise Conflict("encryption_key_present", f"The key {lost} is there: nothing sealed with it is lost.")
    counts = (await uses(database)).get(lost)
    if counts is None:
        raise NotFound("encryption_key_unused", f"Nothing in the database is encrypted with a key {lost}.")
    async with database.write() as connection:
        await note(connection, actor, "keys.forget", lost, counts, now, tenant_id=None)
        failed = {"state": "failed", MAILS.column.name: None, "error": "Its encryption key is lost."}
        await connection.execute(update(outbox).where(MAILS.sealed_with(lost)).values(failed))
        await connection.execute(delete(signing_keys).where(SIGNING_KEYS.sealed_with(lost)))
        await connection.execute(delete(webhooks).where(WEBHOOK_SECRETS.sealed_with(lost)))
        names = await _drop_certificates(connection, lost)
        await record_all(connection, "certificate", names)
        await record(connection, "signing-keys", "")
    return counts


async def _drop_certificates(connection: AsyncConnection, lost: str) -> Sequence[str]:
    """Delete them; answer the names that they carried."""
    gone = select(certificates.c.id).where(CERTIFICATES.sealed_with(lost))
    carried = select(certificate_names.c.name).where(certificate_names.c.certificate_id.in_(gone)).distinct()
    names = list(await connection.scalars(carried))
    await connection.execute(delete(certificates).where(CERTIFICATES.sealed_with(lost)))
    return names
