from __future__ import annotations

import asyncio
import json
import logging
import os
import select
from typing import TYPE_CHECKING

import pytest
import structlog

from router.observe import logs
from router.observe.logs import AccessLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Make a pipe's two ends."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


@pytest.fixture
def _own_logging() -> Iterator[None]:
    """Put the process's logging back as it was."""
    root = logging.getLogger()
    before, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    root.handlers[:] = []
    yield
    root.handlers[:], logging.raiseExceptions = before, raising
    root.setLevel(level)
    structlog.reset_defaults()


async def test_lines_arrive_soon_without_a_flush(pipe: tuple[int, int]) -> None:
    """A single line is written a tenth of a second after it came, without anyone asking."""
    log = AccessLog(pipe[1])
    log.write(b"one\n")
    read = await asyncio.wait_for(asyncio.to_thread(os.read, pipe[0], 100), timeout=20)
    assert read == b"one\n"
    await log.close()


async def test_a_full_batch_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """64 KiB do not wait for the clock."""
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 3600)
    path = tmp_path / "access.log"
    with path.open("wb") as file:
        log = AccessLog(file.fileno())
        line = b"x" * 1023 + b"\n"
        for _ in range(64):
            log.write(line)
        await log.close()
    assert path.read_bytes() == line * 64
    assert log.lost == 0


async def test_closing_writes_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that wait for their batch are written when the log is closed."""
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 3600)
    path = tmp_path / "access.log"
    with path.open("wb") as file:
        log = AccessLog(file.fileno())
        log.write(b"one\n")
        log.write(b"two\n")
        assert path.read_bytes() == b""
        await log.close()
    assert path.read_bytes() == b"one\ntwo\n"


async def test_a_broken_pipe_is_counted_not_raised(pipe: tuple[int, int]) -> None:
    """When nobody reads any more, lines are lost and counted, and visits go on."""
    os.close(pipe[0])
    log = AccessLog(pipe[1])
    log.write(b"one\n")
    log.write(b"two\n")
    await log.close()
    assert log.lost == 2


async def test_a_stalled_reader_costs_bounded_memory_and_no_time(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that stalls neither blocks the loop nor fills the memory, nor holds up the end for long."""
    monkeypatch.setattr(logs, "MAX_WAITING_BYTES", 1 << 20)
    monkeypatch.setattr(logs, "_CLOSE_SECONDS", 0.05)
    log = AccessLog(pipe[1])
    line = b"x" * 1023 + b"\n"
    for _ in range(3 * 1024):
        log.write(line)
    assert 1024 < log.lost < 3 * 1024
    await asyncio.wait_for(log.close(), timeout=20)
    await asyncio.to_thread(_drain, pipe[0])  # lets the writing thread end


def _drain(end: int) -> None:
    while select.select([end], [], [], 0.5)[0]:
        os.read(end, 1 << 16)


async def test_lines_of_two_workers_never_mix(pipe: tuple[int, int]) -> None:
    """Two logs that share one pipe keep every line whole."""
    received = bytearray()

    def read() -> None:
        while chunk := os.read(pipe[0], 1 << 16):
            received.extend(chunk)

    reading = asyncio.get_running_loop().run_in_executor(None, read)
    ours, theirs = AccessLog(pipe[1]), AccessLog(pipe[1])
    for _ in range(2000):
        ours.write(b"a" * 200 + b"\n")
        theirs.write(b"b" * 300 + b"\n")
    await asyncio.gather(ours.close(), theirs.close())
    os.close(pipe[1])
    await asyncio.wait_for(reading, timeout=10)
    assert sorted(set(bytes(received).split(b"\n"))) == [b"", b"a" * 200, b"b" * 300]
    assert received.count(b"\n") == 4000


async def test_a_non_blocking_output_is_waited_for(pipe: tuple[int, int]) -> None:
    """An output that someone made non-blocking loses nothing while its reader is slow."""
    os.set_blocking(pipe[1], False)
    log = AccessLog(pipe[1])
    line = b"x" * 1023 + b"\n"
    for _ in range(256):
        log.write(line)
    closing = asyncio.get_running_loop().create_task(log.close())
    size = 0
    while size < 256 * 1024:
        size += len(await asyncio.to_thread(os.read, pipe[0], 1 << 16))
    await closing
    assert log.lost == 0


@pytest.mark.usefixtures("_own_logging")
def test_events_are_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """An event is one JSON object with a time, a level and its source; none is below the level."""
    logs.configure("info", json=True)
    structlog.get_logger("router.somewhere").info("certificate replaced", hostname="a.example")
    structlog.get_logger("router.somewhere").debug("not this one")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    event = json.loads(lines[0])
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "certificate replaced",
        "hostname": "a.example",
        "level": "info",
        "logger": "router.somewhere",
    }


@pytest.mark.usefixtures("_own_logging")
def test_a_worker_s_lines_say_which_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Its own events and those of libraries bear its slot; an event about another slot keeps that one's."""
    logs.configure("info", json=True, slot=3)
    structlog.get_logger("router").info("upstream failed")
    logging.getLogger("somelib").warning("disk is full")
    structlog.get_logger("router").info("worker died", slot=1)
    lines = map(json.loads, capsys.readouterr().err.splitlines())
    assert [line["slot"] for line in lines] == [3, 3, 1]


@pytest.mark.usefixtures("_own_logging")
def test_libraries_speak_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """What libraries log through the standard library comes out in the same form."""
    logs.configure("warning", json=True)
    logging.getLogger("somelib").warning("disk is %s", "full")
    logging.getLogger("somelib").info("chatter")
    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["level"], event["logger"]) == ("disk is full", "warning", "somelib")


@pytest.mark.usefixtures("_own_logging")
@pytest.mark.parametrize("as_json", [True, False])
def test_tracebacks_show_no_values(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    """A traceback never shows local variables, which may be secrets."""
    logs.configure("info", json=as_json)

    def fail(secret: str) -> None:
        raise ValueError(len(secret))

    try:
        fail("hunter" + "2hunter2")
    except ValueError as fault:
        structlog.get_logger("router").error("failed", exc_info=fault)
    written = capsys.readouterr().err
    assert "ValueError" in written
    assert "hunter2hunter2" not in written
