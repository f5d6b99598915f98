"""HAProxy as a reverse proxy that asks nobody."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from processes import find_program, free_port
from stage import IDLE_SECONDS

from peers.peer import Peer, Recipe

if TYPE_CHECKING:
    from stage import Stage

# Its log goes to a file through standard output; it has no buffered way, so a line costs it a write.
_CONFIGURATION = """\
global
    nbthread 1
    maxconn 12000
    no strict-limits
    log stdout format raw local0
    ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
    mode http
    log global
    option httplog
    timeout connect 3s
    timeout client {idle}s
    timeout server 60s
    timeout tunnel 60s
    http-reuse always
frontend tenants
    bind 127.0.0.1:{port} ssl crt {pem} alpn http/1.1
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port {port}
    http-request set-header X-Request-Id %[uuid]
    default_backend application
backend application
    server application 127.0.0.1:{upstream_port}
"""


def _start(stage: Stage) -> Peer:
    program, port = find_program("haproxy"), free_port()
    pem, path = stage.folder / "haproxy.pem", stage.folder / "haproxy.cfg"
    pem.write_text(stage.certificate.read_text() + stage.key.read_text())
    path.write_text(
        _CONFIGURATION.format(idle=IDLE_SECONDS, port=port, pem=pem, upstream_port=stage.upstream_port)
    )
    process = stage.start("haproxy", [program, "-db", "-f", str(path)], core=stage.cores.proxy)
    process.wait_for_port(port)
    return Peer(process, port, stage.token, _version(program))


def _version(program: str) -> str:
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True, timeout=10)
    return re.sub(r".*version (\d+(?:\.\d+)*).*", r"\1", said.stdout, flags=re.DOTALL)


RECIPE = Recipe("haproxy", "HAProxy, plain", checks_session=False, start=_start)
