"""Bring a database's tables to what this version of the router expects.

Alembic's revisions are part of the package. A whole migration is one transaction, on SQLite as on PostgreSQL:
it happens or it does not.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from router.errors import Conflict, Unavailable
from router.storage.engines import WRITING, driver_url, make_engine, prepare_file

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

_FOLDER = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x7465_6E61_6E74_6D  # an arbitrary constant: "tenantm"


async def migrate(database_url: str) -> list[str]:
    """Apply every revision that the database does not have yet, and say which those were, oldest first.

    Doing it again applies nothing. When several processes start it at once, one does it and the others wait.
    Raises ``Unavailable("migration_failed")``, and ``Conflict("database_too_new")`` when a newer version of
    the router has been here; nothing is changed then.
    """
    async with _connected(database_url) as connection:
        return await connection.run_sync(_upgrade)


async def pending(database_url: str) -> list[str]:
    """Say which revisions ``migrate`` would apply, oldest first."""
    async with _connected(database_url) as connection:
        return await connection.run_sync(_missing, _configured())


@asynccontextmanager
async def _connected(database_url: str) -> AsyncIterator[AsyncConnection]:
    url = driver_url(database_url)
    engine = make_engine(url, pool_size=1, pool_wait=1.0)
    try:
        await prepare_file(url)
        async with engine.connect() as connection:
            await connection.execution_options(**{WRITING: True})
            async with connection.begin():
                await _lock(connection)
                yield connection
    except (DBAPIError, OSError) as fault:
        raise Unavailable(
            "migration_failed", "The database could not be migrated; it is as it was."
        ) from fault
    finally:
        await engine.dispose()


async def _lock(connection: AsyncConnection) -> None:
    # SQLite's BEGIN IMMEDIATE is a lock already.
    if connection.dialect.name != "postgresql":
        return
    for limit in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        await connection.execute(text(f"SET LOCAL {limit} = 0"))
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def _upgrade(connection: Connection) -> list[str]:
    config = _configured()
    missing = _missing(connection, config)
    if missing:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return missing


def _missing(connection: Connection, config: Config) -> list[str]:
    heads = MigrationContext.configure(connection).get_current_heads()
    try:
        revisions = list(ScriptDirectory.from_config(config).iterate_revisions("head", heads or "base"))
    except RevisionError as fault:  # the only one here: a revision that this version does not know
        raise Conflict(
            "database_too_new",
            "The database belongs to a newer version of tenant-router: run that one, or restore a backup.",
        ) from fault
    return [revision.revision for revision in reversed(revisions)]


def _configured() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
