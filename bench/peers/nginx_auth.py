"""nginx with auth_request: the usual way to have what this router does; its auth service is not counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nginx import nginx_version, start_nginx_proxy
from processes import free_port

from peers.peer import Peer, Recipe

if TYPE_CHECKING:
    from stage import Stage

_BEFORE = """\
    upstream auth {{
        server 127.0.0.1:{auth_port};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
"""

# Directives of one kind are inherited only where a block has none of its own, so the server's are repeated
# for the visit itself; the question to the auth service goes with the client's own headers, Cookie included.
_INSIDE = """\
        location / {
            auth_request /auth;
            auth_request_set $portal_tenant $upstream_http_x_portal_tenant;
            auth_request_set $portal_user $upstream_http_x_portal_user;
            auth_request_set $portal_email $upstream_http_x_portal_email;
            auth_request_set $portal_customer $upstream_http_x_portal_customer;
            auth_request_set $portal_assertion $upstream_http_x_portal_jwt_assertion;
            proxy_set_header Connection $connection_upgrade;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto https;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_set_header X-Request-Id $request_id;
            proxy_set_header X-Portal-Tenant $portal_tenant;
            proxy_set_header X-Portal-User $portal_user;
            proxy_set_header X-Portal-Email $portal_email;
            proxy_set_header X-Portal-Customer $portal_customer;
            proxy_set_header X-Portal-Jwt-Assertion $portal_assertion;
            proxy_pass http://application;
        }
        location = /auth {
            internal;
            proxy_pass http://auth;
            proxy_pass_request_body off;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header Content-Length "";
        }
"""


def _start(stage: Stage) -> Peer:
    port = free_port()
    before = _BEFORE.format(auth_port=stage.auth_port)
    process = start_nginx_proxy(stage, "nginx-auth", port, before=before, inside=_INSIDE)
    return Peer(process, port, stage.token, nginx_version())


RECIPE = Recipe("nginx-auth", "nginx + auth_request", checks_session=True, start=_start)
