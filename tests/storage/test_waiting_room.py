"""The waiting room: strangers are served a few at a time, nobody else waits for them, and it has an end."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs

from router.errors import Unavailable
from router.storage.waiting_room import WaitingRoom


class Crowd:
    """Those who are being served, or wait, each with a task of its own."""

    def __init__(self, room: WaitingRoom, group: asyncio.TaskGroup) -> None:
        self.room = room
        self.group = group
        self.served = 0
        self.over = asyncio.Event()

    async def come(self, count: int, *, known: bool = False, asker: str = "") -> None:
        """Let some more come, as far as they get without anybody leaving."""
        for _ in range(count):
            self.group.create_task(self._stay(known=known, asker=asker))
        await asyncio.sleep(0)

    async def _stay(self, *, known: bool, asker: str) -> None:
        async with self.room.turn(known=known, asker=asker):
            self.served += 1
            await self.over.wait()


async def _refused(room: WaitingRoom, asker: str = "") -> bool:
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(0):
                await stack.enter_async_context(room.turn(known=False, asker=asker))
        except Unavailable as fault:
            return fault.code == "busy"
        except TimeoutError:
            return False
    return False


async def test_strangers_are_served_a_few_at_a_time() -> None:
    """However many come, and everybody in the end."""
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(WaitingRoom("test", at_once=2), group)
        await crowd.come(50)
        assert crowd.served == 2
        crowd.over.set()
    assert crowd.served == 50


async def test_acquaintances_do_not_stand_in_line_with_strangers() -> None:
    """They have a line of their own, which is never full."""
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(WaitingRoom("test", at_once=2, places=10), group)
        await crowd.come(10)
        assert await _refused(crowd.room)
        before = crowd.served
        await crowd.come(20, known=True)
        assert crowd.served == before + 2
        crowd.over.set()
    assert crowd.served == 30


async def test_one_asker_does_not_take_all_the_places() -> None:
    """Who brings too many is refused while others still find a place, up to the last one."""
    async with asyncio.TaskGroup() as group:
        crowd = Crowd(WaitingRoom("test", at_once=1, places=10, places_each=4), group)
        await crowd.come(4, asker="192.0.2.1")
        assert await _refused(crowd.room, "192.0.2.1")
        assert not await _refused(crowd.room, "192.0.2.2")
        await crowd.come(4, asker="192.0.2.2")
        await crowd.come(2)
        assert await _refused(crowd.room, "192.0.2.3")
        assert crowd.room.turned_away == 2
        crowd.over.set()
    assert not await _refused(crowd.room, "192.0.2.1")
    assert "0 waiting" in repr(crowd.room)


async def test_who_gives_up_leaves_the_room() -> None:
    """A place is free again when nobody waits in it any more, whatever the reason."""
    room = WaitingRoom("test", at_once=1, places=2)
    async with room.turn(known=False):
        for _ in range(10):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0), room.turn(known=False):
                    pass
    assert "0 waiting" in repr(room)
    assert room.turned_away == 0


async def test_a_full_room_says_so_once() -> None:
    """A flood is one line in the log, not a flood of lines; the next one is another."""
    room = WaitingRoom("test", at_once=1, places=1)
    with capture_logs() as told:
        for _ in range(2):
            async with room.turn(known=False):
                for _ in range(10):
                    assert await _refused(room)
    assert [line["room"] for line in told] == ["test", "test"]
