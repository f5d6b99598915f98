from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from router.errors import BadSettings
from router.storage.encryption_keys import encryption_keys
from router.storage.key_file import read_keys
from router.storage.sealing import Sealer, key_id
from tests.storage.sealed_rows import (
    NEW,
    OLD,
    fill,
)

if TYPE_CHECKING:
    from pathlib import Path

    from router.storage.database import Database


async def test_keys_that_open_everything_are_in_force(database: Database, tmp_path: Path) -> None:
    """The settings' keys, else those of the file; a file is made for a database with nothing sealed."""
    file = tmp_path / "keys" / "encryption.key"
    assert await encryption_keys(database, (OLD,), file) == (OLD,)
    assert not file.exists()
    made = await encryption_keys(database, (), file)
    assert made == read_keys(file)
    await fill(database, Sealer(made))
    assert await encryption_keys(database, (), file) == made


async def test_a_lost_key_file_is_not_made_anew(database: Database, tmp_path: Path) -> None:
    """Where something is sealed, a missing file is one sentence with the next step, and stays missing."""
    await fill(database)
    with pytest.raises(BadSettings) as refused:
        await encryption_keys(database, (), tmp_path / "encryption.key")
    assert refused.value.code == "encryption_key_missing"
    assert "5 certificates, 2 signing keys, 1 mail, 1 webhook secret with key" in refused.value.sentence
    assert f"keys forget {key_id(OLD)}" in refused.value.sentence
    assert read_keys(tmp_path / "encryption.key") == ()


async def test_a_wrong_key_is_told_before_anything_is_served(database: Database, tmp_path: Path) -> None:
    """Another key than the database was sealed with is refused, with its id and how much needs it."""
    await fill(database)
    with pytest.raises(BadSettings, match="not among the encryption keys") as refused:
        await encryption_keys(database, (NEW,), tmp_path / "encryption.key")
    assert key_id(OLD) in refused.value.sentence
    assert await encryption_keys(database, (NEW, OLD), tmp_path / "encryption.key") == (NEW, OLD)
