"""``tenant-router demo``: the real router, with everything around it made on the spot in one folder.

The folder holds what an operator would have: a settings file, certificates to drop in, the database, the
encryption key. So the commands of ``tenant-router`` work beside the demo as they do beside the real thing.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import ssl
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from aiohttp import web

import router
from router import supervisor
from router.demo import authority
from router.demo.backend import build_backend
from router.demo.mailbox import mailbox
from router.demo.seed import PLATFORM_DOMAIN, TENANTS, seed
from router.demo.valkey import valkey
from router.demo.verifier import Verifier
from router.demo.welcome import welcome
from router.errors import Unavailable
from router.observe import logs
from router.ports import check_ports
from router.settings import CONFIG_VARIABLE, PREFIX, Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SETTINGS_FILE: Final = "tenant-router.toml"

_LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demo keeps its things, and on which ports it answers (on this machine alone)."""

    data_dir: Path
    certs_dir: Path
    https_port: int = 8443
    http_port: int = 8080
    health_port: int = 8081
    workers: int = 1

    @property
    def ports(self) -> dict[str, int]:
        """The ports, by the names of their settings."""
        return {"https": self.https_port, "http": self.http_port, "health": self.health_port}

    @property
    def settings_file(self) -> Path:
        """The settings, for the commands beside the demo: ``ROUTER_CONFIG=…``."""
        return self.data_dir / SETTINGS_FILE

    @property
    def mails_dir(self) -> Path:
        """Where the router writes its mails."""
        return self.data_dir / "mails"


def run(demo: Demo) -> int:
    """Run the demo until it is told to stop; answer the exit code.

    Raises ``BadSettings`` for a port that is taken, ``Unavailable`` for a data folder that cannot be used or
    is in use.
    """
    logs.configure("warning", json=False)
    return asyncio.run(_run(demo))


async def _run(demo: Demo) -> int:
    check_ports(_LOOPBACK, demo.ports)
    async with AsyncExitStack() as stack:
        ca_file = _prepare(demo)
        stack.enter_context(_alone(demo))
        redis_url = await _redis(stack, demo)
        _write_settings(demo, redis_url)
        settings = load_settings({CONFIG_VARIABLE: str(demo.settings_file)}, folder=demo.data_dir)
        upstream = await stack.enter_async_context(_backend(demo, ca_file))
        mails_url = await stack.enter_async_context(mailbox(demo.mails_dir))
        await seed(settings, upstream)
        return await _supervise(demo, settings, ca_file, mails_url)


def _prepare(demo: Demo) -> Path:
    """Make the folder and the certificates; answer the file with the authority to trust."""
    try:
        demo.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return authority.prepare(demo.data_dir, demo.certs_dir, [tenant.hostname for tenant in TENANTS])
    except OSError as fault:
        sentence = f"The data folder {demo.data_dir} cannot be used: {fault.strerror}."
        raise Unavailable("data_dir_unusable", sentence) from fault


@contextmanager
def _alone(demo: Demo) -> Iterator[None]:
    """Hold the folder, so that a second demo in it does not end the first one's Valkey as a left-over."""
    with (demo.data_dir / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            sentence = (
                f"A demo runs in {demo.data_dir} already: stop it, or give this one another --data-dir."
            )
            raise Unavailable("demo_running", sentence) from fault
        yield


async def _redis(stack: AsyncExitStack, demo: Demo) -> str | None:
    try:
        return await stack.enter_async_context(valkey(demo.data_dir / "run"))
    except Unavailable:
        return None  # each worker caches in its own memory then, as without Redis anywhere


def _write_settings(demo: Demo, redis_url: str | None) -> None:
    values: dict[str, str | int | bool] = {
        "platform_domain": PLATFORM_DOMAIN,
        "data_dir": str(demo.data_dir),
        "certs_dir": str(demo.certs_dir),
        "bind": _LOOPBACK,
        "https_port": demo.https_port,
        "http_port": demo.http_port,
        "health_port": demo.health_port,
        "public_port": demo.https_port,
        "workers": demo.workers,
        "allow_private_upstreams": True,
        "smtp_url": f"file:{quote(str(demo.mails_dir))}",
        "drain_grace": 1,
        "drain_timeout": 2,  # whoever pressed Ctrl-C waits, and an event stream would not end by itself
        "log_level": "warning",
        "access_log": False,
    }
    if redis_url:
        values["redis_url"] = redis_url
    lines = [f"{name} = {_toml(value)}" for name, value in values.items()]
    head = "# Written by `tenant-router demo` at each start."
    demo.settings_file.write_text("\n".join([head, *lines, ""]), encoding="utf-8")


def _toml(value: str | float | bool) -> str:  # noqa: FBT001 - a value to write, not a switch
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value).lower()


@asynccontextmanager
async def _backend(demo: Demo, ca_file: Path) -> AsyncIterator[str]:
    """Serve the demo backend on a free port of this machine; answer its URL."""
    with socket.create_server((_LOOPBACK, 0)) as listening:
        url = f"http://{_LOOPBACK}:{listening.getsockname()[1]}"
        verifier = Verifier(
            f"https://{TENANTS[0].hostname}:{demo.https_port}/.well-known/portal-jwks.json",
            issuer=f"https://{PLATFORM_DOMAIN}",
            audience=url,
            trust=ssl.create_default_context(cafile=ca_file),
            address=_LOOPBACK,
        )
        runner = web.AppRunner(build_backend(verifier), access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()
            yield url
        finally:
            await runner.cleanup()


async def _supervise(demo: Demo, settings: Settings, ca_file: Path, mails_url: str) -> int:
    supervising = supervisor.of_settings(settings, _environment(demo), folder=demo.data_dir)

    async def greet() -> None:
        await supervising.ready.wait()
        # A terminal that is closed ends the demo; only a real router takes that signal for a reload.
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, supervising.stop)
        with_redis = settings.redis_url is not None
        https_port = demo.https_port
        welcome(demo.settings_file, ca_file, demo.certs_dir, https_port, mails_url, with_redis=with_redis)

    async with asyncio.TaskGroup() as group:
        greeting = group.create_task(greet())
        code = await supervising.run()
        greeting.cancel()
    return code


def _environment(demo: Demo) -> dict[str, str]:
    """Say what the workers read: the demo's settings, whatever the environment says for a real router."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
    # They run in the data folder, so that no .env of the current one has a say; the package is found anyway.
    package = str(Path(router.__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, [package, kept.get("PYTHONPATH")]))
    return kept | {CONFIG_VARIABLE: str(demo.settings_file), "PYTHONPATH": path}
