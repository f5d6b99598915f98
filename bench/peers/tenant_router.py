"""This router, set up as an operator would: settings, one tenant, a certificate, a user, a real sign-in."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from processes import BenchError, Process, free_port
from sign_in import sign_in
from stage import EMAIL, IDLE_SECONDS, PLATFORM_DOMAIN, SLUG

from peers.peer import Peer, Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from stage import Stage

_PROGRAM = (sys.executable, "-m", "router")
_PASSWORD = "a long benchmark password"  # noqa: S105 - a sample, for a database that lives a minute
_READY_SECONDS = 30.0
_OK = 200
_CONNECTIONS = 20_000


def start(stage: Stage, enlarge: Callable[[Path], tuple[tuple[str, str], ...]] | None = None) -> Peer:
    """Start the router; ``enlarge`` may add to its data folder before, and tells which visitors it added."""
    port, health_port = free_port(), free_port()
    environment = _environment(stage, port, health_port)
    _set_up(stage, environment)
    visitors = enlarge(Path(environment["ROUTER_DATA_DIR"])) if enlarge else ()
    process = stage.start(
        "tenant-router", [*_PROGRAM, "serve"], core=stage.cores.proxy, environment=environment
    )
    _wait_until_ready(process, health_port)
    token = sign_in(port, stage, EMAIL, _PASSWORD)
    return Peer(process, port, token, version("tenant-router"), visitors)


def _environment(stage: Stage, port: int, health_port: int) -> dict[str, str]:
    # Settings of whoever runs the benchmark must not get in.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ROUTER_")}
    return inherited | {
        "ROUTER_PLATFORM_DOMAIN": PLATFORM_DOMAIN,
        "ROUTER_DATA_DIR": str(stage.folder / "router-data"),
        "ROUTER_CERTS_DIR": str(stage.folder / "router-certs"),
        "ROUTER_BIND": "127.0.0.1",
        "ROUTER_HTTPS_PORT": str(port),
        "ROUTER_PUBLIC_PORT": str(port),
        "ROUTER_HTTP_PORT": str(free_port()),
        "ROUTER_HEALTH_PORT": str(health_port),
        "ROUTER_WORKERS": "1",
        "ROUTER_ALLOW_PRIVATE_UPSTREAMS": "true",
        "ROUTER_DRAIN_GRACE": "0",
        "ROUTER_IDLE_TIMEOUT": str(IDLE_SECONDS),
        "ROUTER_MAX_CONNECTIONS": str(_CONNECTIONS),
        "ROUTER_MAX_CONNECTIONS_PER_ADDRESS": str(_CONNECTIONS),  # they all come from this machine
    }


def _set_up(stage: Stage, environment: dict[str, str]) -> None:
    (stage.folder / "router-certs").mkdir()
    upstream = f"http://127.0.0.1:{stage.upstream_port}"
    colour = ("--theme-colour", "#0B6E4F")
    _run(stage, environment, "migrate")
    _run(stage, environment, "tenant", "add", SLUG, "--name", "Acme", *colour, "--upstream", upstream)
    _run(stage, environment, "certificate", "upload", str(stage.certificate), str(stage.key), "--platform")
    customer = ("--customer", "C-1001", "--password-stdin")
    _run(stage, environment, "user", "add", SLUG, EMAIL, *customer, entered=_PASSWORD)


def _run(stage: Stage, environment: dict[str, str], *arguments: str, entered: str = "") -> None:
    ran = subprocess.run(
        [*_PROGRAM, *arguments],
        cwd=stage.folder,
        env=environment,
        input=entered,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if ran.returncode != 0:
        raise BenchError(f"“tenant-router {' '.join(arguments[:2])}” failed: {ran.stdout}{ran.stderr}")


def _wait_until_ready(process: Process, health_port: int) -> None:
    process.wait_for_port(health_port)
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", health_port, timeout=5)
        connection.request("GET", "/readyz")
        if connection.getresponse().status == _OK:
            return
        time.sleep(0.05)
    raise BenchError(f"The router does not become ready. It said:\n{process.last_words()}")


RECIPE = Recipe("tenant-router", "tenant-router", checks_session=True, start=start)
