"""Engines for the two databases: the only module that knows how their drivers differ."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine

from router.errors import BadSettings

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import ConnectionPoolEntry

WRITING: Final = "router_writing"
"""The execution option that marks a connection whose transaction will write."""

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_BUSY_TIMEOUT_MS = 5000
_STATEMENT_TIMEOUT_MS = 5000
_CONNECT_TIMEOUT = 2.0
_RECYCLE = 1800  # seconds: no connection grows older, so a failover behind a name is followed in the end
_WAL_PATIENCE = 5.0


def driver_url(raw: str) -> URL:
    """Read a database address as an operator writes it: ``sqlite:///file`` or ``postgresql://…``.

    libpq's ``sslmode`` is understood. Raises ``BadSettings("bad_database_url")``, never naming the password.
    """
    try:
        url = make_url(raw)
    except (ArgumentError, ValueError) as fault:
        raise BadSettings("bad_database_url", "The database URL cannot be read.") from fault
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise BadSettings(
            "bad_database_url", f"Databases are sqlite:// or postgresql://, not {url.drivername}://."
        )
    if driver.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise BadSettings(
            "bad_database_url", "The SQLite URL names no file: write sqlite:///path/to/router.db."
        )
    sslmode = url.query.get("sslmode")
    if sslmode is not None:
        url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": sslmode})
    return url.set(drivername=driver)


def make_engine(url: URL, *, pool_size: int, pool_wait: float) -> AsyncEngine:
    """Make an engine of ``pool_size`` connections at most; nobody waits over ``pool_wait`` s for one."""
    options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": pool_wait}
    options["hide_parameters"] = True  # a fault is logged, and what it was about may be a digest or a key
    if url.get_backend_name() == "sqlite":
        engine = create_async_engine(url, **options)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        event.listen(engine.sync_engine, "invalidate", _release_sqlite)
        return engine
    return create_async_engine(
        url,
        **options,
        # One more round trip at check-out (cold paths only), and a restarted server costs nobody an error.
        pool_pre_ping=True,
        pool_recycle=_RECYCLE,
        pool_use_lifo=True,
        connect_args={
            "timeout": _CONNECT_TIMEOUT,
            "server_settings": {
                "application_name": "tenant-router",
                "jit": "off",  # it costs small statements more than it gives them
                "statement_timeout": str(_STATEMENT_TIMEOUT_MS),
                "lock_timeout": str(_STATEMENT_TIMEOUT_MS),
                "idle_in_transaction_session_timeout": str(4 * _STATEMENT_TIMEOUT_MS),
            },
        },
    )


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - the driver's own type
    # Python's sqlite3 would begin transactions when it sees fit; _begin_sqlite says when and how.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA recursive_triggers = ON")  # else a REPLACE deletes a line of the audit unseen
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that begins by reading and then writes fails at once (SQLITE_BUSY_SNAPSHOT) when another
    # wrote in between, whatever the busy timeout: writers take the lock first.
    writing = connection.get_execution_options().get(WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _release_sqlite(connection: Any, _entry: ConnectionPoolEntry, _fault: BaseException | None) -> None:  # noqa: ANN401 - the driver's own type
    # After a cancelled statement, SQLAlchemy closes the connection. But a statement that was not read to its
    # end keeps a closed connection half open (sqlite3_close_v2), and the write lock with it, until Python
    # collects the garbage. A rollback lets go of the lock at once.
    with suppress(sqlite3.Error, ValueError):
        connection.run_async(lambda driver: asyncio.shield(driver.rollback()))


async def prepare_file(url: URL) -> None:
    """Make SQLite's file (readable by its owner alone) and set its write-ahead log; on PostgreSQL, nothing.

    Safe when several processes do it at once. Raises ``OSError``.
    """
    if url.get_backend_name() == "sqlite":
        await asyncio.to_thread(_prepare_file, Path(str(url.database)))


def _prepare_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    deadline = time.monotonic() + _WAL_PATIENCE
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            # SQLite does not call its busy handler for this switch, so it is tried again here.
            while not _set_wal(connection) and time.monotonic() < deadline:
                time.sleep(0.02)
    except sqlite3.Error as fault:
        raise OSError(f"{path} cannot be used as a database: {fault}") from fault


def _set_wal(connection: sqlite3.Connection) -> bool:
    try:
        return bool(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal")
    except sqlite3.OperationalError as fault:
        if fault.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return False
        raise
