from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from router.errors import Conflict, NotFound
from router.storage.encryption_keys import encryption_keys
from router.storage.lost_keys import forget
from router.storage.schema import audit, changes, outbox, signing_keys, webhooks
from router.storage.sealed import CERTIFICATES, uses
from router.storage.sealing import key_id
from tests.storage.sealed_rows import (
    AFTER,
    NEW,
    NOW,
    OLD,
    add_certificate,
    fill,
    values,
)

if TYPE_CHECKING:
    from pathlib import Path

    from router.storage.database import Database


async def test_what_a_lost_key_sealed_can_be_given_up(database: Database, tmp_path: Path) -> None:
    """Its certificates, signing keys and webhooks go, its mails fail, and the rest can be served."""
    await fill(database)
    await add_certificate(database, AFTER, 7)
    gone = await forget(database, key_id(OLD), [NEW], actor="cli:test", now=NOW)
    assert gone == {"certificates": 5, "signing keys": 2, "mails": 1, "webhook secrets": 1}
    assert await encryption_keys(database, (NEW,), tmp_path / "encryption.key") == (NEW,)
    assert (await values(database, CERTIFICATES)).keys() == {"crt_0007"}
    async with database.read() as connection:
        assert (await connection.execute(select(signing_keys))).all() == []
        assert (await connection.execute(select(webhooks))).all() == []
        (mail,) = (await connection.execute(select(outbox))).all()
        told_to = {(row.kind, row.key) for row in (await connection.execute(select(changes))).all()}
        (line,) = (await connection.execute(select(audit))).all()
    assert (mail.state, mail.sealed_facts, mail.error) == ("failed", None, "Its encryption key is lost.")
    assert {("certificate", f"{number}.example") for number in range(5)} <= told_to
    assert ("signing-keys", "") in told_to
    assert ("certificate", "7.example") not in told_to
    assert (line.action, line.subject, line.detail) == ("keys.forget", key_id(OLD), dict(gone))


async def test_a_key_that_is_there_is_not_given_up(database: Database) -> None:
    """Neither is one that nothing is sealed with: an id that was mistyped deletes nothing."""
    await fill(database)
    with pytest.raises(Conflict, match="nothing sealed with it is lost"):
        await forget(database, key_id(OLD), [NEW, OLD], actor="cli:test", now=NOW)
    for mistyped in (key_id(NEW), "rubbish!", ""):
        with pytest.raises(NotFound):
            await forget(database, mistyped, [], actor="cli:test", now=NOW)
    assert (await uses(database))[key_id(OLD)].total() == 9
