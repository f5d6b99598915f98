"""Starting an nginx from the part of its configuration that matters."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from processes import Process, find_program
from stage import HOSTNAME, IDLE_SECONDS

if TYPE_CHECKING:
    from stage import Stage

# Limits on the number of requests are lifted everywhere: reconnecting is another scenario.
_FRAME = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/{name}.pid;
error_log {folder}/{name}.error.log warn;
events {{ worker_connections 32768; }}
http {{
    default_type text/plain;
    keepalive_requests 1000000000;
    keepalive_timeout {idle}s;
    client_body_temp_path {folder}/{name}-body;
    proxy_temp_path {folder}/{name}-proxy;
    fastcgi_temp_path {folder}/{name}-fastcgi;
    uwsgi_temp_path {folder}/{name}-uwsgi;
    scgi_temp_path {folder}/{name}-scgi;
{http}
}}
"""

_ACCESS_LOG = "access_log {folder}/{name}.access.log combined buffer=64k flush=1s;"

# What follows the session cache is for large bodies and WebSockets: streamed both ways, as by everyone else
# here, and in pieces larger than by default, which are faster.
_TLS_SERVER = """\
    {access_log}
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        '' '';
    }}
    upstream application {{
        server 127.0.0.1:{upstream_port};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
{before}
    server {{
        listen 127.0.0.1:{port} ssl;
        server_name {hostname};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        ssl_session_cache shared:tls:1m;
        client_max_body_size 0;
        client_body_buffer_size 64k;
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        proxy_buffers 8 64k;
        proxy_http_version 1.1;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Forwarded-Port $server_port;
        proxy_set_header X-Request-Id $request_id;
{inside}
    }}
"""


def start_nginx(stage: Stage, name: str, http: str, *, core: int) -> Process:
    """Start an nginx of one worker with ``http`` inside its http block."""
    # Only a root nginx may, and then must, be told to keep its rights: the folder is private to its owner.
    user = "user root;" if os.geteuid() == 0 else ""
    path = stage.folder / f"{name}.conf"
    path.write_text(_FRAME.format(user=user, folder=stage.folder, name=name, http=http, idle=IDLE_SECONDS))
    command = [find_program("nginx"), "-p", str(stage.folder), "-c", str(path), "-e", "stderr"]
    return stage.start(name, command, core=core)


def start_nginx_proxy(stage: Stage, name: str, port: int, *, before: str, inside: str) -> Process:
    """Start an nginx that terminates TLS on ``port``, with ``inside`` as the rest of its server block."""
    http = _TLS_SERVER.format(
        access_log=_ACCESS_LOG.format(folder=stage.folder, name=name),
        upstream_port=stage.upstream_port,
        before=before,
        port=port,
        hostname=HOSTNAME,
        certificate=stage.certificate,
        key=stage.key,
        inside=inside,
    )
    process = start_nginx(stage, name, http, core=stage.cores.proxy)
    process.wait_for_port(port)
    return process


def nginx_version() -> str:
    """Return nginx's version number."""
    said = subprocess.run(
        [find_program("nginx"), "-v"], capture_output=True, text=True, check=True, timeout=10
    )
    return re.sub(r".*nginx/(\S+).*", r"\1", said.stderr.strip(), flags=re.DOTALL)
