from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from structlog.testing import capture_logs

from router.errors import Unavailable
from router.storage import database as database_module
from router.storage import engines
from router.storage.database import Database
from router.storage.migrate import migrate
from router.storage.schema import audit
from tests.clock import Clock
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.storage.wire import Wire


@pytest.fixture
def clock() -> Clock:
    """Make the clock by which the database leaves a dead server alone."""
    return Clock(1000.0)


@pytest.fixture
async def distant(postgres_wire: Wire, postgres_url: str, clock: Clock) -> AsyncIterator[Database]:
    """Open PostgreSQL over a wire that can fail, with a connection that is warm."""
    await migrate(postgres_url)
    database = Database(f"postgresql://postgres@127.0.0.1:{postgres_wire.port}/postgres", clock=clock)
    assert await _answers(database)
    yield database
    await database.close()


async def _answers(database: Database) -> bool:
    async with database.read() as connection:
        return await connection.scalar(select(1)) == 1


async def _count(database: Database) -> int:
    async with database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(audit)) or 0


async def _code(database: Database) -> str:
    with pytest.raises(Unavailable) as refused:
        await _answers(database)
    return refused.value.code


async def test_away_is_said_at_once_and_once_in_the_log(
    distant: Database, postgres_wire: Wire, clock: Clock
) -> None:
    """A refused connection is Unavailable and unhealthy; it comes back by itself; both are logged once."""
    with capture_logs() as logs:
        await postgres_wire.cut()
        for _ in range(3):
            assert await _code(distant) == "database_unavailable"
            clock.now += 1.01
        assert repr(distant).endswith("down>")
        await postgres_wire.mend()
        assert await _answers(distant)
    assert repr(distant).endswith("up>")
    assert [entry["event"] for entry in logs] == ["database away", "database back"]


async def test_while_away_nobody_waits_for_it(distant: Database, postgres_wire: Wire, clock: Clock) -> None:
    """A server that swallows everything costs one asker a second two seconds, and the others nothing."""
    postgres_wire.block()
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await _code(distant) == "database_unavailable"
    assert loop.time() - began < 5
    began = loop.time()
    for _ in range(100):
        await _code(distant)
    assert loop.time() - began < 0.2
    await postgres_wire.snap()
    await postgres_wire.mend()
    clock.now += 1.01
    assert await _answers(distant)


async def test_a_restarted_server_costs_nobody_an_error(distant: Database, postgres_wire: Wire) -> None:
    """Connections that died while idle are replaced before they are used."""
    await postgres_wire.snap()
    assert await _answers(distant)
    assert distant.healthy


async def test_a_connection_lost_in_a_transaction(distant: Database, postgres_wire: Wire) -> None:
    """A connection cut between two statements is Unavailable, commits nothing, and is replaced."""

    async def write() -> None:
        async with distant.write() as connection:
            row = {"at": 1, "actor": "lost", "action": "", "subject": "", "detail": {}}
            await connection.execute(insert(audit).values(row))
            await postgres_wire.snap()
            await connection.execute(insert(audit).values(row))

    with pytest.raises(Unavailable) as refused:
        await write()
    assert refused.value.code == "database_unavailable"
    assert not distant.healthy
    assert all(await asyncio.gather(*(_answers(distant) for _ in range(8))))  # one loss holds up nobody else
    async with distant.read() as connection:
        lost = select(func.count()).select_from(audit).where(audit.c.actor == "lost")
        assert await connection.scalar(lost) == 0
    assert distant.healthy


async def test_a_server_that_falls_silent_in_a_transaction(
    distant: Database, postgres_wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction has a time limit of its own; its connection is given up, not waited for."""
    monkeypatch.setattr(database_module, "_LIMIT", 0.3)

    async def read() -> None:
        async with distant.read() as connection:
            await connection.scalar(select(1))
            postgres_wire.block()
            await connection.scalar(select(1))

    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(Unavailable) as refused:
        await read()
    assert loop.time() - began < 4
    assert refused.value.code == "database_unavailable"
    await postgres_wire.snap()
    await postgres_wire.mend()
    assert await _answers(distant)


async def test_a_statement_has_a_time_limit_in_the_server(postgres_url: str) -> None:
    """PostgreSQL itself ends a statement that takes too long: Unavailable, and the connection is good."""
    database = Database(postgres_url)

    async def dawdle() -> None:
        async with database.write() as connection:
            assert await connection.scalar(text("SHOW statement_timeout")) == "5s"
            await connection.execute(text("SET LOCAL statement_timeout = 50"))
            await connection.execute(text("SELECT pg_sleep(30)"))

    with pytest.raises(Unavailable):
        await dawdle()
    assert await _answers(database)
    await database.close()


async def test_a_deadlock_ends(postgres_url: str) -> None:
    """Two transactions that wait for one another: one goes on, the other is told to try again."""
    database = Database(postgres_url)
    both = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> str:
        try:
            async with database.write() as connection:
                await connection.execute(select(func.pg_advisory_xact_lock(first)))
                await both.wait()
                await connection.execute(select(func.pg_advisory_xact_lock(second)))
        except Unavailable as refused:
            return refused.code
        return "done"

    assert sorted(await asyncio.gather(lock(1, 2), lock(2, 1))) == ["database_unavailable", "done"]
    assert await _answers(database)
    await database.close()


async def test_faults_of_the_asker_are_not_outages(postgres_url: str) -> None:
    """A wrong statement or a value too long comes through as it is and says nothing about the database."""
    await migrate(postgres_url)
    database = Database(postgres_url)

    async def run(statement: str) -> None:
        async with database.write() as connection:
            await connection.execute(text(statement))

    with pytest.raises(ProgrammingError):
        await run("SELECT nonsense FROM nowhere")
    with pytest.raises(DBAPIError):
        await run("INSERT INTO changes (kind, key, at) VALUES ('much longer than sixteen', 'x', 1)")
    assert database.healthy
    await database.close()


async def test_a_refused_login_is_unavailable_without_secrets(postgres: object, postgres_url: str) -> None:
    """A database that does not let us in is Unavailable; neither log nor repr holds the password."""
    url = postgres_url.replace("postgres@/postgres", "postgres:hunter2@/no_such_database")
    database = Database(url)
    with capture_logs() as logs:
        assert await _code(database) == "database_unavailable"
    assert "no_such_database" in logs[0]["cause"]
    assert "hunter2" not in repr(logs) + repr(database)
    await database.close()


async def test_parameters_are_not_logged(distant: Database, postgres_wire: Wire) -> None:
    """What a failing statement carried (a password hash, a sealed key) stays out of the log."""

    async def write() -> None:
        async with distant.write() as connection:
            await postgres_wire.snap()
            await connection.execute(select(text(":secret")), {"secret": "hunter2"})

    with capture_logs() as logs, pytest.raises(Unavailable):
        await write()
    assert logs
    assert "hunter2" not in repr(logs)


async def test_a_locked_sqlite_is_unavailable_and_recovers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that holds the write lock too long: writing says so, reading goes on, both recover."""
    monkeypatch.setattr(engines, "_BUSY_TIMEOUT_MS", 50)
    path = tmp_path / "router.db"
    await migrate(f"sqlite:///{path}")
    database = Database(f"sqlite:///{path}")
    await database.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with database.write() as connection:
            await connection.scalar(select(1))

    with pytest.raises(Unavailable):
        await write()
    assert await _answers(database)
    other.execute("ROLLBACK")
    other.close()
    await write()
    assert database.healthy
    await database.close()


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """Something else in the database's place is Unavailable at once, and is left as it is."""
    path = tmp_path / "router.db"
    path.write_bytes(b"not a database, and somebody's only copy of it" * 100)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(Unavailable):
        await database.open()
    with pytest.raises(Unavailable):
        await migrate(f"sqlite:///{path}")
    with pytest.raises(Unavailable):
        await _count(database)
    assert path.read_bytes().startswith(b"not a database")
    await database.close()


async def test_a_place_where_no_file_can_be(tmp_path: Path) -> None:
    """A data folder that cannot be made is Unavailable, not a traceback."""
    (tmp_path / "file").write_text("in the way")
    database = Database(f"sqlite:///{tmp_path / 'file' / 'router.db'}")
    with pytest.raises(Unavailable):
        await database.open()
    await database.close()


async def test_sqlite_survives_being_killed_in_a_write(tmp_path: Path) -> None:
    """A process killed between two statements leaves the database as it was before the transaction."""
    path = tmp_path / "router.db"
    url = f"sqlite:///{path}"
    await migrate(url)
    writer = str(Path(__file__).with_name("killed_writer.py"))
    process = await asyncio.create_subprocess_exec(sys.executable, writer, url)
    assert await process.wait() == -9
    database = Database(url)
    await database.open()
    async with database.write() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM changes")) == 0
        assert await connection.scalar(text("PRAGMA integrity_check")) == "ok"
    await database.close()


async def test_connections_are_bounded(distant: Database, postgres_wire: Wire) -> None:
    """Forty readers at once use no more connections than the pool has, and all are served."""
    await asyncio.gather(*(_answers(distant) for _ in range(40)))
    await until(lambda: postgres_wire.accepted <= 8)
