from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from router.errors import Unavailable
from router.storage.database import Database
from router.storage.schema import audit, certificate_names, changes, signing_keys

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


async def _note(connection: AsyncConnection, action: str) -> None:
    row = {"at": 1, "actor": "test", "action": action, "subject": "", "detail": {"list": [1, "é"]}}
    await connection.execute(insert(audit).values(row))


async def _actions(database: Database) -> list[str]:
    async with database.read() as connection:
        return list(await connection.scalars(select(audit.c.action).order_by(audit.c.sequence)))


async def test_a_write_is_committed_at_the_end_of_its_block(database: Database) -> None:
    """What a block wrote is there for everybody once the block has ended."""
    async with database.write() as connection:
        await _note(connection, "written")
        assert await _actions(database) == []
    assert await _actions(database) == ["written"]


async def test_an_exception_rolls_back(database: Database) -> None:
    """A block that fails changes nothing, and its exception comes through as it is."""

    async def fail() -> None:
        async with database.write() as connection:
            await _note(connection, "undone")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await _actions(database) == []
    assert database.healthy


async def test_a_cancelled_write_rolls_back(database: Database) -> None:
    """A block that is cancelled changes nothing, and the next one finds neither lock nor leftovers."""
    inside = asyncio.Event()

    async def linger() -> None:
        async with database.write() as connection:
            await _note(connection, "undone")
            inside.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(linger())
        await inside.wait()
        task.cancel()
    async with database.write() as connection:
        await _note(connection, "next")
    assert await _actions(database) == ["next"]


async def test_a_read_sees_one_state(database: Database) -> None:
    """Two statements of one read agree, whatever is committed in between."""
    async with database.read() as connection:
        before = await connection.scalar(select(func.count()).select_from(audit))
        async with database.write() as other:
            await _note(other, "in between")
        assert await connection.scalar(select(func.count()).select_from(audit)) == before == 0
    assert await _actions(database) == ["in between"]


async def test_writers_take_turns(database: Database) -> None:
    """Many read-then-write blocks at once all succeed, and none loses another's update."""
    async with database.write() as connection:
        await connection.execute(insert(changes).values(kind="number", key="0", at=1))

    async def add_one() -> None:
        async with database.write() as connection:
            row = select(changes.c.key).where(changes.c.sequence == 1).with_for_update()
            number = int(str(await connection.scalar(row)))
            await connection.execute(update(changes).values(key=str(number + 1)))

    async with asyncio.TaskGroup() as group:
        for _ in range(25):
            group.create_task(add_one())
    async with database.read() as connection:
        assert list(await connection.scalars(select(changes.c.key))) == ["25"]


async def test_writers_of_two_processes_take_turns(database: Database, database_url: str) -> None:
    """Two who share nothing but the database wait for one another instead of failing."""
    other = Database(database_url)

    async def write_ten(through: Database, name: str) -> None:
        for _ in range(10):
            async with through.write() as connection:
                await connection.scalar(select(func.max(audit.c.sequence)))
                await _note(connection, name)

    async with asyncio.TaskGroup() as group:
        group.create_task(write_ten(database, "one"))
        group.create_task(write_ten(other, "two"))
    await other.close()
    assert sorted(await _actions(database)) == ["one"] * 10 + ["two"] * 10


async def test_json_and_bytes_come_back_as_they_went(database: Database) -> None:
    """Both databases return the same Python values for JSON and binary columns."""
    key = bytes(range(256))
    row = {"id": "k", "public_jwk": {"a": [1, None, "ü"]}, "sealed_key": key}
    async with database.write() as connection:
        await connection.execute(
            insert(signing_keys).values(row | {"created_at": 1, "used_from": 2, "used_until": 2**40})
        )
    async with database.read() as connection:
        found = (await connection.execute(select(signing_keys))).one()
    assert found._asdict() == row | {"created_at": 1, "used_from": 2, "used_until": 2**40}


async def test_conflicts_come_through(database: Database) -> None:
    """A row that breaks a constraint is the asker's affair: IntegrityError, and the database is healthy."""

    async def break_reference() -> None:
        async with database.write() as connection:
            await connection.execute(insert(certificate_names).values(certificate_id="none", name="a.test"))

    with pytest.raises(IntegrityError):
        await break_reference()
    assert database.healthy


async def test_the_pool_is_bounded_and_so_is_waiting(database_url: str) -> None:
    """Who finds every connection in use is told so in the end, and the database is not called dead."""
    small = Database(database_url, pool_size=1)
    async with small.read():
        with pytest.raises(Unavailable) as refused:
            async with small.read():
                pass
    assert refused.value.code == "database_busy"
    assert small.healthy
    assert await _actions(small) == []
    await small.close()


async def test_many_cancelled_reads_leave_the_pool_whole(database: Database) -> None:
    """After 200 reads cancelled at every stage, as many connections as ever can be used at once."""
    for turn in range(200):
        task = asyncio.get_running_loop().create_task(_actions(database))
        for _ in range(turn % 12):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    everybody = asyncio.Barrier(8)

    async def hold() -> None:
        async with database.read() as connection:
            await connection.scalar(select(func.count()).select_from(changes))
            await everybody.wait()

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(hold())
