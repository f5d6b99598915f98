"""nginx as a reverse proxy that asks nobody: the least that this work can cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nginx import nginx_version, start_nginx_proxy
from processes import free_port

from peers.peer import Peer, Recipe

if TYPE_CHECKING:
    from stage import Stage


def _start(stage: Stage) -> Peer:
    port = free_port()
    inside = "location / { proxy_pass http://application; }"
    process = start_nginx_proxy(stage, "nginx", port, before="", inside=inside)
    return Peer(process, port, stage.token, nginx_version())


RECIPE = Recipe("nginx", "nginx, plain", checks_session=False, start=_start)
