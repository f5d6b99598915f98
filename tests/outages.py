"""Outages: a real database that goes away for everybody, and comes back with all that was in it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from sqlalchemy import event, select, text
from sqlalchemy.exc import DisconnectionError

from router.errors import Unavailable
from router.storage.database import Database

Outage = Callable[[], AbstractAsyncContextManager[None]]
"""What takes the database away for as long as a block lasts."""


def outage_of(database: Database, url: str, *, elsewhere: str) -> Outage:
    """Make the outage of a database at ``url``; ``elsewhere`` is another one on the same PostgreSQL."""
    if database.backend == "postgresql":
        away = _postgres_away(elsewhere)
    else:
        away = _sqlite_away(url.removeprefix("sqlite:///"), database)

    @asynccontextmanager
    async def outage() -> AsyncIterator[None]:
        async with away:
            yield
        async with asyncio.timeout(20):
            while not await _answers(database):  # noqa: ASYNC110 - a database has no event to wait for
                await asyncio.sleep(0.05)

    return outage


@asynccontextmanager
async def _sqlite_away(path: str, database: Database) -> AsyncIterator[None]:
    engine = database._engine  # noqa: SLF001 - what it is connected to is what goes away
    while engine.pool.checkedout():  # type: ignore[attr-defined]  # noqa: ASYNC110 - no event
        await asyncio.sleep(0)
    event.listen(engine.sync_engine, "checkout", _forget)
    aside = f"{path}.aside"
    await asyncio.to_thread(_put_aside, path, aside)
    yield
    event.remove(engine.sync_engine, "checkout", _forget)
    await asyncio.to_thread(os.rmdir, path)
    await asyncio.to_thread(os.rename, aside, path)


def _forget(*_connection: object) -> None:
    """Have the pool close a connection that still knows the file where it was, and make another."""
    raise DisconnectionError


def _put_aside(path: str, aside: str) -> None:
    """Put the file aside, and something in its place that is no database, before SQLite makes a new one."""
    Path(path).rename(aside)
    while True:
        try:
            Path(path).mkdir()
        except FileExistsError:  # somebody connected between the two
            Path(path).unlink()
        else:
            return


@asynccontextmanager
async def _postgres_away(elsewhere: str) -> AsyncIterator[None]:
    other = Database(elsewhere)
    connected = "FROM pg_stat_activity WHERE datname = 'postgres'"
    async with other.write() as connection:
        await connection.execute(text("ALTER DATABASE postgres ALLOW_CONNECTIONS false"))
    async with other.write() as connection:
        await connection.execute(text(f"SELECT pg_terminate_backend(pid) {connected}"))
    try:
        yield
    finally:
        async with other.write() as connection:
            await connection.execute(text("ALTER DATABASE postgres ALLOW_CONNECTIONS true"))
        await other.close()


async def _answers(database: Database) -> bool:
    try:
        async with database.read() as connection:
            return bool(await connection.scalar(select(1)))
    except Unavailable:
        return False
