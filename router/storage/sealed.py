"""What is sealed in the database, and with which keys."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import LargeBinary, func, select, text

from router.storage.schema import certificates, outbox, signing_keys, webhooks
from router.storage.sealing import HEAD_SIZE, VERSION, key_id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Column, ColumnElement, Table

    from router.storage.database import Database

Uses = dict[str, Counter[str]]
"""Key id → how many values of each kind are sealed with it."""


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """One column of sealed values, the kind of its records, and how a record's identity is written."""

    kind: str
    column: Column[Any]
    pattern: str

    @property
    def table(self) -> Table:
        """The table that it is a column of; its primary key is ``id``."""
        return self.column.table

    @property
    def head(self) -> ColumnElement[bytes]:
        """The first octets of each value, which say the key that it was sealed with."""
        # Numbers, not parameters: PostgreSQL would take two of them for two different expressions.
        return func.substr(self.column, text("1"), text(str(HEAD_SIZE)), type_=LargeBinary)

    def sealed_with(self, key: str) -> ColumnElement[bool]:
        """Whether a value was sealed with the key of this id."""
        return self.head == VERSION + bytes.fromhex(key)

    def identity(self, record_id: str) -> str:
        """Name the record that a value is sealed for (``Sealer.seal``)."""
        return self.pattern.format(record_id)


CERTIFICATES: Final = SealedColumn("certificates", certificates.c.sealed_key, "certificate:{}:key")
SIGNING_KEYS: Final = SealedColumn("signing keys", signing_keys.c.sealed_key, "signing-key:{}")
MAILS: Final = SealedColumn("mails", outbox.c.sealed_facts, "mail:{}")
WEBHOOK_SECRETS: Final = SealedColumn("webhook secrets", webhooks.c.sealed_secret, "webhook:{}")
SEALED: Final = (CERTIFICATES, SIGNING_KEYS, MAILS, WEBHOOK_SECRETS)
"""Everything that is sealed: what is not among these is not rotated, and its key not missed."""


async def uses(database: Database) -> Uses:
    """Count what is sealed with each key. Raises ``Unavailable``."""
    found: Uses = defaultdict(Counter)
    async with database.read() as connection:
        for sealed in SEALED:
            counting = (
                select(sealed.head, func.count()).where(sealed.column.is_not(None)).group_by(sealed.head)
            )
            for head, count in (await connection.execute(counting)).all():
                found[key_id_of(head)][sealed.kind] += count
    return dict(found)


def told(counts: Mapping[str, int]) -> str:
    """Say counts of kinds as a sentence does: “3 certificates, 1 signing key”."""
    said = (f"{count} {kind if count != 1 else kind.removesuffix('s')}" for kind, count in counts.items())
    return ", ".join(said) or "nothing"
