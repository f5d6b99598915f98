"""The proxy that one writes in Python in an afternoon: aiohttp's server in front of aiohttp's client."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from processes import free_port
from stage import IDLE_SECONDS

from peers.peer import Peer, Recipe

if TYPE_CHECKING:
    from stage import Stage

_SCRIPT = Path(__file__).with_name("aiohttp_proxy.py")


def _start(stage: Stage) -> Peer:
    port = free_port()
    command = [sys.executable, str(_SCRIPT), str(port), str(stage.upstream_port)]
    command += [
        str(stage.certificate),
        str(stage.key),
        str(stage.folder / "aiohttp.access.log"),
        str(IDLE_SECONDS),
    ]
    process = stage.start("aiohttp", command, core=stage.cores.proxy)
    process.wait_for_port(port)
    return Peer(process, port, stage.token, version("aiohttp"))


RECIPE = Recipe("aiohttp", "aiohttp, plain", checks_session=False, start=_start)
