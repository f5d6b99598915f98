from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from router.observe.tasks import Tasks


async def test_leaving_ends_every_task() -> None:
    """A task that would run for ever is cancelled, and its cleaning up awaited, when its owner is left."""
    cleaned = asyncio.Event()
    started = asyncio.Event()

    async def forever() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.set()

    async with Tasks() as tasks:
        task = tasks.start(forever(), name="forever")
        await started.wait()
        assert len(tasks) == 1
    assert task.cancelled()
    assert cleaned.is_set()
    assert len(tasks) == 0


async def test_a_failure_is_logged_under_the_tasks_name() -> None:
    """A failing task is logged by name, and its neighbours go on."""
    with capture_logs() as lines:
        async with Tasks() as tasks:

            async def fail() -> None:
                raise ValueError("broken")

            async def work() -> int:
                return 7

            failing = tasks.start(fail(), name="the failing one")
            await asyncio.wait([failing])
            assert await tasks.start(work(), name="the other") == 7
    assert [(line["event"], line["task"]) for line in lines] == [("task failed", "the failing one")]
    assert str(lines[0]["exc_info"]) == "broken"


async def test_nothing_starts_after_the_end() -> None:
    """Starting a task on a closed owner is a fault of the program, and the coroutine is closed."""
    tasks = Tasks()
    await tasks.close()
    with pytest.raises(RuntimeError, match="late"):
        tasks.start(asyncio.sleep(0), name="late")


async def test_a_task_may_close_its_owner() -> None:
    """A task that closes its own owner does not wait for itself."""
    tasks = Tasks()
    await asyncio.wait_for(tasks.start(tasks.close(), name="closer"), timeout=20)
    await asyncio.sleep(0)
    assert "closed: none" in repr(tasks)


async def test_a_lost_cancellation_is_made_up_for() -> None:
    """A task that loses its cancellation on the way through a library is cancelled again, and ends."""
    begun = asyncio.Event()

    async def lose_one() -> None:
        with suppress(asyncio.CancelledError):
            begun.set()
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async with asyncio.timeout(10), Tasks(cancelled_again=0.01) as tasks:
        task = tasks.start(lose_one(), name="loses one")
        await begun.wait()
    assert task.cancelled()
