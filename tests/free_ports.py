"""Ports for what a test starts in a process of its own, which cannot be asked to choose one itself."""

from __future__ import annotations

import os
import socket
from itertools import count
from typing import Final

_FIRST: Final = 10_240
_LAST: Final = 32_767
"""Below what Linux gives to outgoing connections (``ip_local_port_range``): none of those takes a port
between its being found free and its being listened on."""

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_STRIDE = 16  # workers of pytest-xdist take turns: none is given another's
_turns = count(os.getpid() % 97)


def free_port() -> int:
    """Find a port that nobody listens on and that nobody else is given."""
    places = (_LAST - _FIRST) // _STRIDE
    for turn in _turns:
        port = _FIRST + _WORKER % _STRIDE + _STRIDE * (turn * 61 % places)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError


def free_ports() -> tuple[int, int, int]:
    """Find three: for HTTPS, HTTP and health."""
    return free_port(), free_port(), free_port()
