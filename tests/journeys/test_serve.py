"""The real processes: a supervisor and its workers, as ``tenant-router serve`` starts them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from base64 import urlsafe_b64encode
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.free_ports import free_port
from tests.processes import is_gone
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ROOT = Path(__file__).resolve().parents[2]
_WITHIN = 60.0


@dataclass(frozen=True)
class Served:
    """A running ``tenant-router serve``."""

    process: asyncio.subprocess.Process
    health_port: int
    folder: Path

    async def ready(self) -> str:
        """Ask for readiness on a connection of its own; empty when that fails."""
        try:
            async with self.connection() as (reader, writer):
                return await _ask(reader, writer)
        except ConnectionError:
            return ""

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect to the health port."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.health_port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def workers(self) -> set[int]:
        """List the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(map(int, (await asyncio.to_thread(children.read_text)).split()))


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    return (await reader.read()).partition(b"\r\n")[0].decode()


def _key() -> str:
    return urlsafe_b64encode(os.urandom(32)).decode()


def _settings(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROUTER_")}
    ports = {f"ROUTER_{name}_PORT": str(free_port()) for name in ("HTTPS", "HTTP", "HEALTH")}
    given = {
        "PYTHONPATH": str(_ROOT),
        "ROUTER_PLATFORM_DOMAIN": "portal.example",
        "ROUTER_DATA_DIR": str(folder / "data"),
        "ROUTER_CERTS_DIR": str(folder / "certs"),
        "ROUTER_BIND": "127.0.0.1",
        "ROUTER_WORKERS": "2",
        "ROUTER_DRAIN_GRACE": "0",
    }
    return kept | given | ports | {f"ROUTER_{name.upper()}": value for name, value in more.items()}


async def _launch(settings: dict[str, str], folder: Path) -> asyncio.subprocess.Process:
    with (folder / "err.txt").open("wb") as told:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "router", "serve"),
            env=settings,
            cwd=folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=told,
        )


@asynccontextmanager
async def _served(folder: Path, **more: str) -> AsyncIterator[Served]:
    settings = _settings(folder, **more)
    served = Served(await _launch(settings, folder), int(settings["ROUTER_HEALTH_PORT"]), folder)
    try:
        await until(lambda: '"event": "serving"' in _told(folder) or _ended(served), within=_WITHIN)
        assert not _ended(served), _told(folder)
        yield served
    finally:
        if not _ended(served):
            served.process.terminate()
        code = await asyncio.wait_for(served.process.wait(), timeout=_WITHIN)
    assert code == 0


def _ended(served: Served) -> bool:
    return served.process.returncode is not None


def _told(folder: Path) -> str:
    return (folder / "err.txt").read_text(encoding="utf-8")


async def _fails(folder: Path, code: int, **more: str) -> str:
    """Start it with settings that cannot work; answer the one error it tells."""
    process = await _launch(_settings(folder, **more), folder)
    assert await asyncio.wait_for(process.wait(), timeout=_WITHIN) == code
    told = _told(folder)
    assert "Traceback" not in told
    (error,) = [line for line in told.splitlines() if line.startswith("Error:")]
    return error


async def test_bad_settings_are_told_once(tmp_path: Path) -> None:
    """A setting that cannot be right ends the start with its name and exit code 3."""
    assert "ROUTER_IDLE_TIMEOUT" in await _fails(tmp_path, 3, idle_timeout="never")


async def test_a_wrong_encryption_key_is_told_once(tmp_path: Path) -> None:
    """A database sealed with another key ends the start with one sentence, however many workers there are."""
    async with _served(tmp_path, encryption_keys=_key()) as served:
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
    async with _served(tmp_path, themes_dir=str(tmp_path / "themes")) as served:
        assert "200" in await served.ready()


async def test_a_reload_loses_no_connection(tmp_path: Path) -> None:
    """While every worker is replaced, each new connection is answered, and never with “not ready”."""
    async with _served(tmp_path) as served:
        before = await served.workers()
        served.process.send_signal(signal.SIGHUP)
        answers: set[str] = set()
        async with asyncio.timeout(_WITHIN):
            while before & await served.workers():
                answers.add(await served.ready())
        assert answers == {"HTTP/1.1 200 OK"}
        assert len(await served.workers()) == 2


async def test_a_connection_that_has_not_asked_yet_survives_a_reload(tmp_path: Path) -> None:
    """A client that connected before the reload and asks after it is answered by the worker that took it."""
    async with _served(tmp_path, workers="1") as served, served.connection() as (reader, writer):
        assert "200" in await served.ready()  # what was queued before has been accepted by now
        served.process.send_signal(signal.SIGHUP)
        await until(lambda: '"event": "draining"' in _told(tmp_path), within=_WITHIN)
        assert await _ask(reader, writer) == "HTTP/1.1 200 OK"


async def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    """A worker killed with SIGKILL is back, and connections made meanwhile are answered."""
    async with _served(tmp_path, workers="1") as served:
        (before,) = await served.workers()
        os.kill(before, signal.SIGKILL)
        await until(lambda: is_gone(before))
        async with asyncio.timeout(_WITHIN):
            assert await served.ready() == "HTTP/1.1 200 OK"
        assert before not in await served.workers()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_with_0(tmp_path: Path, sent: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end it in good order, and no worker is left."""
    async with _served(tmp_path) as served:
        workers = await served.workers()
        served.process.send_signal(sent)
        assert await asyncio.wait_for(served.process.wait(), timeout=_WITHIN) == 0
    assert workers
    assert all(map(is_gone, workers))
