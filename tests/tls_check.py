"""``python -m tests.tls_check SSLYZE_PYTHON``: have sslyze judge a running router, in both TLS profiles.

sslyze lives in an environment of its own, because it wants an older ``cryptography`` than the router. What is
judged is the demo, which makes its certificates itself, and then a router with the demo's things that speaks
the modern profile. The exit code is not zero unless sslyze finds both compliant.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from router.demo.seed import TENANTS
from tests.free_ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUTER: Final = (sys.executable, "-m", "router")
_ASKED: Final = ("--resum", "--reneg", "--compression", "--early_data", "--fallback", "--certinfo")
_START: Final = 60.0


def main(sslyze: str) -> int:
    """Judge both; answer the exit code."""
    ports = free_ports()
    with tempfile.TemporaryDirectory(prefix="router-tls-") as folder:
        data = Path(folder)
        flags = [
            f"--{name}-port={port}" for name, port in zip(("https", "http", "health"), ports, strict=True)
        ]
        with _running(ports[2], "demo", f"--data-dir={data}", *flags):
            intermediate = _judged(sslyze, "intermediate", data, ports[0])
        more = {"ROUTER_CONFIG": str(data / "tenant-router.toml"), "ROUTER_TLS_PROFILE": "modern"}
        with _running(ports[2], "serve", **more):
            modern = _judged(sslyze, "modern", data, ports[0])
    return intermediate or modern


@contextmanager
def _running(health_port: int, *arguments: str, **more: str) -> Iterator[None]:
    """Run a router until the block ends; it is ready when the block begins."""
    environment = os.environ | {"ROUTER_LOG_LEVEL": "error"} | more
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*_ROUTER, *arguments], env=environment, stdout=quiet) as process:  # noqa: S603 - ours
        try:
            _wait(f"http://127.0.0.1:{health_port}/readyz", process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1):  # noqa: S310 - our own, by HTTP
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _judged(sslyze: str, profile: str, data: Path, port: int) -> int:
    """Print what sslyze finds, its verdict last; answer its exit code."""
    target = f"{TENANTS[0].hostname}:{port}{{127.0.0.1}}"
    trust = f"--certinfo_ca_file={data / 'authority' / 'ca.pem'}"
    print(f"\n{profile}:", flush=True)  # noqa: T201 - it says what it does
    command = [sslyze, "-m", "sslyze", f"--mozilla_config={profile}", *_ASKED, trust, target]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - what the Makefile installed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
