"""The real processes: a supervisor and its workers, as ``tenant-router serve`` starts them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.free_ports import free_port
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).resolve().parents[2]
WITHIN = 60.0


@dataclass(frozen=True)
class Served:
    """A running ``tenant-router serve``."""

    process: asyncio.subprocess.Process
    settings: dict[str, str]
    folder: Path

    @property
    def health_port(self) -> int:
        """Where it says how it is."""
        return int(self.settings["ROUTER_HEALTH_PORT"])

    @property
    def https_port(self) -> int:
        """Where it serves."""
        return int(self.settings["ROUTER_HTTPS_PORT"])

    async def command(self, *arguments: str) -> tuple[int, Any]:
        """Run a command beside it, as an operator would: its exit code and its answer, or its error."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "router", *arguments, "--json"),
            env=self.settings,
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        answer, error = await asyncio.wait_for(process.communicate(), timeout=WITHIN)
        return process.returncode or 0, json.loads(answer or error)

    async def ready(self) -> str:
        """Ask for readiness on a connection of its own; empty when that fails."""
        try:
            async with self.connection() as (reader, writer):
                return await ask(reader, writer)
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

    def reload(self) -> None:
        """Have every worker replaced."""
        self.process.send_signal(signal.SIGHUP)

    async def workers(self) -> set[int]:
        """List the process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(map(int, (await asyncio.to_thread(children.read_text)).split()))


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Ask whether it is ready; the status line."""
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    return (await reader.read()).partition(b"\r\n")[0].decode()


def settings_of(folder: Path, **more: str) -> dict[str, str]:
    """Make the environment of a node whose data are in ``folder``; ``more`` are settings by their names."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROUTER_")}
    ports = {f"ROUTER_{name}_PORT": str(free_port()) for name in ("HTTPS", "HTTP", "HEALTH")}
    given = {
        "PYTHONPATH": str(ROOT),
        "ROUTER_PLATFORM_DOMAIN": "portal.example",
        "ROUTER_DATA_DIR": str(folder / "data"),
        "ROUTER_CERTS_DIR": str(folder / "certs"),
        "ROUTER_BIND": "127.0.0.1",
        "ROUTER_WORKERS": "2",
        "ROUTER_DRAIN_GRACE": "0",
    }
    return kept | given | ports | {f"ROUTER_{name.upper()}": value for name, value in more.items()}


async def launch(settings: dict[str, str], folder: Path) -> asyncio.subprocess.Process:
    """Start the supervisor; what it tells goes into a file."""
    with (folder / "err.txt").open("wb") as told:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "router", "serve"),
            env=settings,
            cwd=folder,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=told,
        )


@asynccontextmanager
async def serving(folder: Path, **more: str) -> AsyncIterator[Served]:
    """Serve until the block ends, and in good order then."""
    settings = settings_of(folder, **more)
    served = Served(await launch(settings, folder), settings, folder)
    try:
        await until(lambda: '"event": "serving"' in told_by(folder) or has_ended(served), within=WITHIN)
        assert not has_ended(served), told_by(folder)
        yield served
    finally:
        if not has_ended(served):
            served.process.terminate()
        code = await asyncio.wait_for(served.process.wait(), timeout=WITHIN)
    assert code == 0


def has_ended(served: Served) -> bool:
    """Whether the supervisor is gone."""
    return served.process.returncode is not None


def told_by(folder: Path) -> str:
    """Read what was told on standard error."""
    return (folder / "err.txt").read_text(encoding="utf-8")
