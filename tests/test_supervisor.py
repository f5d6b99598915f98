from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from router import supervisor as supervisor_module
from router.errors import BadSettings
from router.supervisor import Supervisor
from tests.free_ports import free_port
from tests.processes import is_gone
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SIMPLE_WORKER = Path(__file__).with_name("simple_worker.py")


def _supervisor(port: int, *, workers: int = 1, drain: float = 5, **environment: str) -> Supervisor:
    return Supervisor(
        bind="127.0.0.1",
        ports={"https": port},
        workers=workers,
        drain_seconds=drain,
        environment=environment,
        command=(sys.executable, str(_SIMPLE_WORKER)),
    )


@dataclass(frozen=True)
class _Node:
    """A running supervisor and the port its workers answer on."""

    port: int
    supervisor: Supervisor
    ending: asyncio.Task[int]

    async def ask(self, line: bytes = b"who\n") -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(line)
            return int(await reader.readline() or b"0")
        finally:
            writer.close()

    async def askuntil(self, *, other_than: set[int]) -> int:
        async with asyncio.timeout(20):
            while (pid := await self.ask()) in other_than:
                pass
            return pid

    async def ended(self) -> int:
        return await asyncio.wait_for(asyncio.shield(self.ending), timeout=20)


@asynccontextmanager
async def _node(*, workers: int = 1, drain: float = 5, **environment: str) -> AsyncIterator[_Node]:
    port = free_port()
    supervisor = _supervisor(port, workers=workers, drain=drain, **environment)
    async with asyncio.TaskGroup() as group:
        ending = group.create_task(supervisor.run())
        async with asyncio.timeout(20):
            await supervisor.ready.wait()
        try:
            yield _Node(port, supervisor, ending)
        finally:
            supervisor.stop()


def _signal_ourselves(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


async def test_terminated_it_drains_its_workers_and_exits_with_0() -> None:
    """SIGTERM ends the workers in good order, and the exit code is 0."""
    async with _node(workers=2) as node:
        pid = await node.ask()
        _signal_ourselves(signal.SIGTERM)
        assert await node.ended() == 0
    assert is_gone(pid)


async def test_its_ports_are_free_after_the_end() -> None:
    """Once it ended, nothing listens on its ports any more."""
    async with _node() as node:
        node.supervisor.stop()
        assert await node.ended() == 0
    with socket.create_server(("127.0.0.1", node.port)):
        pass


async def test_a_second_interrupt_kills() -> None:
    """Workers that do not end at the first Ctrl-C are killed at the second."""
    async with _node(stubborn="1") as node:
        pid = await node.ask()
        _signal_ourselves(signal.SIGINT)
        await asyncio.sleep(0)
        assert await node.ask() == pid
        _signal_ourselves(signal.SIGINT)
        assert await node.ended() == 130
    assert is_gone(pid)


async def test_workers_that_outstay_their_drain_are_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ignores SIGTERM is killed after its drain and a margin, and the exit code is 1."""
    monkeypatch.setattr(supervisor_module, "STOP_MARGIN", 0.1)
    async with _node(stubborn="1", drain=0.1) as node:
        pid = await node.ask()
        with capture_logs() as lines:
            node.supervisor.stop()
            assert await node.ended() == 1
    assert [line["pids"] for line in lines if line["log_level"] == "error"] == [[pid]]


async def test_a_dead_worker_is_replaced_and_no_queued_connection_is_lost() -> None:
    """A connection that arrives while the worker is dead waits in the socket for its successor."""
    async with _node() as node:
        first = await node.ask()
        with capture_logs() as lines:
            assert await node.ask(b"die\n") == 0
            second = await node.ask()
        assert second not in {first, 0}
    assert ("worker died", 7) in [(line["event"], line.get("exit_code")) for line in lines]


async def test_restarts_back_off(tmp_path: Path) -> None:
    """A worker that cannot come back is tried again, with growing pauses, until it can."""
    broken = tmp_path / "broken"
    async with _node(fail=str(broken), code="3") as node:
        first = await node.ask()
        broken.touch()
        await node.ask(b"die\n")
        slot = node.supervisor._slots[0]  # noqa: SLF001 - how often it tried shows nowhere else
        await until(lambda: slot.failures >= 3)
        assert slot.back_off() > 0
        broken.unlink()
        assert await node.askuntil(other_than={first, 0})


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_worker_that_cannot_start_at_first_is_not_tried_again(workers: int) -> None:
    """Its exit code is the supervisor's, at once, and only one worker ever said why."""
    async with asyncio.timeout(20):
        assert await _supervisor(free_port(), workers=workers, fail="78").run() == 78


async def test_a_reload_replaces_every_worker_one_by_one() -> None:
    """SIGHUP brings new workers without a moment in which nobody answers."""
    async with _node(workers=2) as node:
        before = {slot.worker.pid for slot in node.supervisor._slots if slot.worker}  # noqa: SLF001 - and so do they
        answered: set[int] = set()
        _signal_ourselves(signal.SIGHUP)
        async with asyncio.timeout(20):
            while not all(map(is_gone, before)):
                answered.add(await node.ask())
        assert 0 not in answered
        assert await node.ask() not in before


async def test_a_reload_that_fails_keeps_the_worker(tmp_path: Path) -> None:
    """When the successor cannot start, the worker that serves is kept and the log says so."""
    broken = tmp_path / "broken"
    async with _node(fail=str(broken), code="78") as node:
        first = await node.ask()
        broken.touch()
        with capture_logs() as lines:
            _signal_ourselves(signal.SIGHUP)
            await until(lambda: any(line["log_level"] == "error" for line in lines))
        assert await node.ask() == first


async def test_told_to_stop_while_it_starts() -> None:
    """SIGTERM before the workers are ready ends it with 0."""
    supervisor = _supervisor(free_port(), workers=2)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        ending = group.create_task(supervisor.run())
        await asyncio.sleep(0)
        _signal_ourselves(signal.SIGTERM)
        assert await ending == 0
    assert not supervisor.ready.is_set()


async def test_a_taken_port_starts_no_worker() -> None:
    """A taken port is an error before any worker is started."""
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(BadSettings) as told:
        await _supervisor(server.getsockname()[1]).run()
    assert told.value.code == "port_taken"


async def test_workers_end_with_a_supervisor_that_is_killed() -> None:
    """A supervisor that dies without a word takes its workers along: they notice that its pipe closed."""
    port = free_port()
    program = (
        "import asyncio, sys; from router.supervisor import Supervisor;"
        f"s = Supervisor(bind='127.0.0.1', ports={{'https': {port}}}, workers=1, drain_seconds=5,"
        f" environment={{}}, command=(sys.executable, {str(_SIMPLE_WORKER)!r}));"
        "asyncio.run(s.run())"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    pid = await _ask_patiently(port)
    process.kill()
    await process.wait()
    await until(lambda: is_gone(pid))


async def _ask_patiently(port: int) -> int:
    async with asyncio.timeout(20):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.01)
                continue
            writer.write(b"who\n")
            pid = int(await reader.readline())
            writer.close()
            return pid
