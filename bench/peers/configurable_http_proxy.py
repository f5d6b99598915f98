"""configurable-http-proxy, JupyterHub's front door in Node: a plain proxy with TLS."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from processes import find_program, free_port
from stage import IDLE_SECONDS

from peers.peer import Peer, Recipe

if TYPE_CHECKING:
    from stage import Stage

_KEEP_ALIVE_MILLISECONDS = IDLE_SECONDS * 1000


def _start(stage: Stage) -> Peer:
    program, port = (find_program("node"), find_program("configurable-http-proxy")), free_port()
    command = [*program, "--ip", "127.0.0.1", "--port", str(port)]
    command += ["--ssl-cert", str(stage.certificate), "--ssl-key", str(stage.key)]
    command += ["--default-target", f"http://127.0.0.1:{stage.upstream_port}"]
    command += ["--api-ip", "127.0.0.1", "--api-port", str(free_port())]
    # It has no access log; at the level “info” it would not write of requests either.
    command += ["--log-level", "error", "--keep-alive-timeout", str(_KEEP_ALIVE_MILLISECONDS)]
    process = stage.start("configurable-http-proxy", command, core=stage.cores.proxy)
    process.wait_for_port(port)
    said = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True, timeout=10)
    return Peer(process, port, stage.token, said.stdout.strip())


RECIPE = Recipe("configurable-http-proxy", "configurable-http-proxy", checks_session=False, start=_start)
