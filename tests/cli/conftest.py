"""A place of its own for each test of the command line: settings, folder, an empty database."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
import structlog
import trustme

from router.cli.app import main
from tests.edge.name_server import NameServer

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> Any:  # noqa: ANN401 - JSON is anything
        """The JSON document on standard output."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The code of the error on standard error, which is one JSON document and nothing else."""
        return str(json.loads(self.err)["error"]["code"])


class Shell:
    """Runs commands in one folder, in this process or, for real, in one of their own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: str, stdin: bytes | None = None) -> Ran:
        """Run a command in this process."""
        with patch("sys.stdin", sys.stdin if stdin is None else TextIOWrapper(BytesIO(stdin))):
            code = main(arguments)
        said = self._capsys.readouterr()
        return Ran(code, said.out, said.err)

    def process(self, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run a command as a process of its own."""
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
        ran = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "router", *arguments],
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=environment,
            timeout=60,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())


@pytest.fixture
def bare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    """A shell in an empty folder, with nothing but the platform's domain set."""
    for name in [name for name in os.environ if name.upper().startswith("ROUTER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ROUTER_PLATFORM_DOMAIN", "portal.example")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    handlers = list(logging.getLogger().handlers)
    yield Shell(tmp_path, capsys)
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()


@pytest.fixture
def shell(bare: Shell, _sqlite_template: Path) -> Shell:
    """A shell with a migrated database beside it."""
    (bare.folder / "data").mkdir()
    shutil.copy(_sqlite_template, bare.folder / "data" / "router.db")
    return bare


@pytest.fixture
def name_servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """Run a name server beside the command, and have the settings name it."""
    server, loop = NameServer(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    monkeypatch.setenv("ROUTER_RESOLVERS", server.address)
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


ACME = (
    "tenant",
    "add",
    "acme",
    "--name",
    "Acme Tools",
    "--theme-colour",
    "#0B6E4F",
    "--upstream",
    "http://1.1.1.1:8080",
)


@pytest.fixture
def acme(shell: Shell) -> Shell:
    """A shell with a tenant in the database."""
    assert shell(*ACME).code == 0
    return shell


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority of our own."""
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


def issue(
    authority: trustme.CA,
    folder: Path,
    name: str,
    *hostnames: str,
    kind: trustme.KeyType = trustme.KeyType.ECDSA,
) -> tuple[str, str]:
    """Issue a certificate into NAME.pem and NAME.key, and give both paths."""
    issued = authority.issue_cert(*hostnames, key_type=kind)
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return str(chain), str(key)
