from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from router.storage.engines import driver_url
from tests.storage.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.conftest import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
async def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Say where a database without a single table is: each test runs on both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'router.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"empty_{secrets.token_hex(4)}"
    engine = create_async_engine(driver_url(server.url()), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return server.url(name)


@pytest.fixture
async def postgres_wire(postgres: PostgresServer) -> AsyncIterator[Wire]:
    """Make a way to PostgreSQL over TCP that can be cut, blocked and mended."""
    async with Wire(str(postgres.folder / ".s.PGSQL.5432")) as wire:
        yield wire
