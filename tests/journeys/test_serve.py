"""A supervisor and its workers: how they start, end, are replaced, and what they cannot start with."""

from __future__ import annotations

import asyncio
import os
import signal
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

import pytest

from tests.free_ports import free_port
from tests.journeys.serving import WITHIN, ask, launch, serving, settings_of, told_by
from tests.processes import is_gone
from tests.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


def _key() -> str:
    return urlsafe_b64encode(os.urandom(32)).decode()


async def _fails(folder: Path, code: int, **more: str) -> str:
    """Start it with settings that cannot work; answer the one error it tells."""
    process = await launch(settings_of(folder, **more), folder)
    assert await asyncio.wait_for(process.wait(), timeout=WITHIN) == code
    told = told_by(folder)
    assert "Traceback" not in told
    (error,) = [line for line in told.splitlines() if line.startswith("Error:")]
    return error


async def test_bad_settings_are_told_once(tmp_path: Path) -> None:
    """A setting that cannot be right ends the start with its name and exit code 3."""
    assert "ROUTER_IDLE_TIMEOUT" in await _fails(tmp_path, 3, idle_timeout="never")


async def test_a_wrong_encryption_key_is_told_once(tmp_path: Path) -> None:
    """A database sealed with another key ends the start with one sentence, however many workers there are."""
    async with serving(tmp_path, encryption_keys=_key()) as served:
        assert "200" in await served.ready()
    assert "not among the encryption keys" in await _fails(tmp_path, 3, encryption_keys=_key())


async def test_a_database_that_is_away_is_told_once(tmp_path: Path) -> None:
    """A database that does not answer at the first start ends it with exit code 6; nothing loops."""
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/router"
    assert "database" in await _fails(tmp_path, 6, database_url=url)


async def test_a_folder_of_themes_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    """A mistyped folder of themes ends the start and is named."""
    assert "mistyped does not exist" in await _fails(tmp_path, 3, themes_dir=str(tmp_path / "mistyped"))


async def test_a_broken_theme_keeps_nobody_from_serving(tmp_path: Path) -> None:
    """One theme with a fault is left out, and the node gets ready all the same."""
    theme = tmp_path / "themes" / "own"
    theme.mkdir(parents=True)
    (theme / "theme.toml").write_text("title = ", encoding="utf-8")
    async with serving(tmp_path, themes_dir=str(tmp_path / "themes")) as served:
        assert "200" in await served.ready()


async def test_a_reload_loses_no_connection(tmp_path: Path) -> None:
    """While every worker is replaced, each new connection is answered, and never with “not ready”."""
    async with serving(tmp_path) as served:
        before = await served.workers()
        served.process.send_signal(signal.SIGHUP)
        answers: set[str] = set()
        async with asyncio.timeout(WITHIN):
            while before & await served.workers():
                answers.add(await served.ready())
        assert answers == {"HTTP/1.1 200 OK"}
        assert len(await served.workers()) == 2


async def test_a_connection_that_has_not_asked_yet_survives_a_reload(tmp_path: Path) -> None:
    """A client that connected before the reload and asks after it is answered by the worker that took it."""
    async with serving(tmp_path, workers="1") as served, served.connection() as (reader, writer):
        assert "200" in await served.ready()  # what was queued before has been accepted by now
        served.process.send_signal(signal.SIGHUP)
        await until(lambda: '"event": "draining"' in told_by(tmp_path), within=WITHIN)
        assert await ask(reader, writer) == "HTTP/1.1 200 OK"


async def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    """A worker killed with SIGKILL is back, and connections made meanwhile are answered."""
    async with serving(tmp_path, workers="1") as served:
        (before,) = await served.workers()
        os.kill(before, signal.SIGKILL)
        await until(lambda: is_gone(before))
        async with asyncio.timeout(WITHIN):
            assert await served.ready() == "HTTP/1.1 200 OK"
        assert before not in await served.workers()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_with_0(tmp_path: Path, sent: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end it in good order, and no worker is left."""
    async with serving(tmp_path) as served:
        workers = await served.workers()
        served.process.send_signal(sent)
        assert await asyncio.wait_for(served.process.wait(), timeout=WITHIN) == 0
    assert workers
    assert all(map(is_gone, workers))
