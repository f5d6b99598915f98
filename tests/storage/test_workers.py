from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from router.storage.workers import ALIVE, HEARTBEAT, Worker, Workers

if TYPE_CHECKING:
    from router.storage.database import Database

NOW = 1_800_000_000
ONE = Worker("wrk_1", "node-a", 11, NOW, NOW, 7, key_ids=("5f0c4e2b", "0badcafe"))


async def test_a_worker_is_alive_as_long_as_it_reports(database: Database) -> None:
    """It may miss two reports; then it is not counted, and when it reports again it is."""
    workers = Workers(database)
    two = replace(ONE, id="wrk_2", started_at=NOW + 1, seen_at=NOW + 10, fault="it cannot")
    await workers.report(ONE)
    await workers.report(two)
    assert ALIVE > 3 * HEARTBEAT
    assert await workers.alive(NOW + 11) == (ONE, two)
    assert await workers.alive(NOW + ALIVE) == (two,)
    again = replace(ONE, seen_at=NOW + 20, position=9)
    await workers.report(again)
    assert await workers.alive(NOW + 21) == (again, two)


async def test_a_worker_that_ends_is_taken_off_the_list(database: Database) -> None:
    """At once when it says so, and an hour after its last word when it could not."""
    workers = Workers(database)
    await workers.report(ONE)
    await workers.report(replace(ONE, id="wrk_2"))
    await workers.forget("wrk_2")
    assert await workers.alive(NOW) == (ONE,)
    await workers.report(replace(ONE, id="wrk_3", seen_at=NOW + 3601))
    assert [worker.id for worker in await workers.alive(NOW)] == ["wrk_3"]
