from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from router.errors import BadSettings
from router.storage.database import Database
from router.storage.engines import driver_url
from router.storage.schema import idempotency_keys

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("raw", "driven"),
    [
        ("sqlite:////var/lib/router.db", "sqlite+aiosqlite:////var/lib/router.db"),
        ("sqlite+aiosqlite:///data/router.db", "sqlite+aiosqlite:///data/router.db"),
        ("postgresql://u:p@db.test:5433/router", "postgresql+asyncpg://u:p@db.test:5433/router"),
        ("postgres://u:p@db.test/router", "postgresql+asyncpg://u:p@db.test/router"),
        ("postgresql://u@db.test/r?sslmode=require", "postgresql+asyncpg://u@db.test/r?ssl=require"),
        ("postgresql://u@/r?host=/run/pg", "postgresql+asyncpg://u@/r?host=%2Frun%2Fpg"),
        ("postgresql+asyncpg://u@db.test/r", "postgresql+asyncpg://u@db.test/r"),
    ],
)
def test_urls_are_read_as_operators_write_them(raw: str, driven: str) -> None:
    """Whatever is pasted from a provider's page becomes the one driver of that database."""
    assert driver_url(raw).render_as_string(hide_password=False) == driven


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "nonsense",
        "mysql://u:hunter2@db.test/r",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://u:hunter2@h:port/r",
    ],
)
def test_other_urls_are_refused_without_their_password(raw: str) -> None:
    """What cannot be a database is BadSettings, and the sentence does not repeat a password."""
    with pytest.raises(BadSettings) as refused:
        driver_url(raw)
    assert refused.value.code == "bad_database_url"
    assert "hunter2" not in refused.value.sentence


async def test_sqlite_is_private_and_set_up(tmp_path: Path) -> None:
    """The file and its companions are its owner's alone; log, keys and patience are as the code counts on."""
    path = tmp_path / "new" / "router.db"
    database = Database(f"sqlite:///{path}")
    await database.open()
    async with database.write() as connection:
        settings = {
            name: await connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        }
        await connection.execute(text("CREATE TABLE something (x)"))
        files = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    await database.close()
    assert settings == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000, "synchronous": 2}
    assert files == {"router.db": 0o600, "router.db-wal": 0o600, "router.db-shm": 0o600}


async def test_a_repr_tells_state_and_no_password() -> None:
    """In a log or a debugger, a database says where it is and how, and nothing secret."""
    assert repr(Database("postgresql://u:hunter2@db.test/r")) == (
        "<Database postgresql+asyncpg://u:***@db.test/r up>"
    )


async def test_a_fault_says_nothing_of_what_was_written(database: Database) -> None:
    """It is logged whole, and what a statement was given may be a digest, an address or a sealed key."""
    row = {"principal": "tok_1", "key": "k", "request": "hunter2", "created_at": 1}
    async with database.write() as connection:
        await connection.execute(insert(idempotency_keys).values(row))
        with pytest.raises(IntegrityError) as caught:
            await connection.execute(insert(idempotency_keys).values(row))
        await connection.rollback()
    assert "hunter2" not in str(caught.value)
