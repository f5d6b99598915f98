"""What every peer talks to and nobody is charged for: the upstream and the auth service."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nginx import start_nginx
from stage import BODY_BYTES, EMAIL, SESSION_COOKIE, WHO_AM_I

if TYPE_CHECKING:
    from stage import Stage

_UPSTREAM = """\
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "{body}"; }}
        location = {whoami} {{ return 200 "$http_x_portal_email $http_x_portal_jwt_assertion"; }}
    }}
"""

# As an auth service would answer: yes or no by the cookie, and who it is in headers. The assertion has the
# length of a signed one.
_AUTH = """\
    access_log off;
    map $http_cookie $allowed {{
        default 0;
        "~{cookie}={token}(;|$)" 1;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            if ($allowed = 0) {{ return 401; }}
            add_header X-Portal-Tenant tnt_0123456789abcdef;
            add_header X-Portal-User usr_0123456789abcdef;
            add_header X-Portal-Email {email};
            add_header X-Portal-Customer C-1001;
            add_header X-Portal-Jwt-Assertion {assertion};
            return 200;
        }}
    }}
"""


def start_upstream(stage: Stage) -> None:
    """Start the upstream: 1 KiB for every GET, connections kept."""
    port = stage.upstream_port
    http = _UPSTREAM.format(port=port, whoami=WHO_AM_I, body="x" * BODY_BYTES)
    start_nginx(stage, "upstream", http, core=stage.cores.backstage).wait_for_port(port)


def start_streams(stage: Stage) -> None:
    """Start the upstream for large bodies and WebSockets."""
    program, port = Path(__file__).with_name("streams.py"), stage.streams_port
    command = [sys.executable, str(program), str(port)]
    stage.start("streams", command, core=stage.cores.backstage).wait_for_port(port)


def start_auth(stage: Stage) -> None:
    """Start the auth service that peers without sessions of their own ask."""
    port = stage.auth_port
    http = _AUTH.format(port=port, email=EMAIL, cookie=SESSION_COOKIE, token=stage.token, assertion="e" * 600)
    start_nginx(stage, "auth-service", http, core=stage.cores.backstage).wait_for_port(port)
