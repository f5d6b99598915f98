"""Caddy with forward_auth, its way of asking an auth service at each request."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from processes import find_program, free_port
from stage import HOSTNAME

from peers.peer import Peer, Recipe

if TYPE_CHECKING:
    from stage import Stage

_CADDYFILE = """\
{{
	admin off
	auto_https off
	persist_config off
	grace_period 1s
	servers {{
		protocols h1
	}}
}}
https://{hostname}:{port} {{
	bind 127.0.0.1
	tls {certificate} {key}
	log {{
		output file {log} {{
			roll_disabled
		}}
	}}
	forward_auth 127.0.0.1:{auth_port} {{
		uri /auth
		copy_headers X-Portal-Tenant X-Portal-User X-Portal-Email X-Portal-Customer X-Portal-Jwt-Assertion
	}}
	reverse_proxy 127.0.0.1:{upstream_port} {{
		header_up X-Forwarded-Port {port}
		header_up X-Request-Id {{http.request.uuid}}
	}}
}}
"""


def _start(stage: Stage) -> Peer:
    program, port = find_program("caddy"), free_port()
    path = stage.folder / "Caddyfile"
    path.write_text(
        _CADDYFILE.format(
            hostname=HOSTNAME,
            port=port,
            certificate=stage.certificate,
            key=stage.key,
            log=stage.folder / "caddy.access.log",
            auth_port=stage.auth_port,
            upstream_port=stage.upstream_port,
        )
    )
    # One worker, as for the others: Go would otherwise count the machine's cores, not those it is given.
    environment = {
        **os.environ,
        "GOMAXPROCS": "1",
        "XDG_DATA_HOME": str(stage.folder),
        "HOME": str(stage.folder),
    }
    command = [program, "run", "--adapter", "caddyfile", "--config", str(path)]
    process = stage.start("caddy", command, core=stage.cores.proxy, environment=environment)
    process.wait_for_port(port)
    return Peer(process, port, stage.token, _version(program))


def _version(program: str) -> str:
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=True, timeout=10)
    return said.stdout.split()[0].removeprefix("v")


RECIPE = Recipe("caddy", "Caddy + forward_auth", checks_session=True, start=_start)
