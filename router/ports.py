"""The listening sockets: bound by the supervisor, handed to workers, outliving each of them."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from router.errors import BadSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

PortName = str
"""``https``, ``http``, ``health`` or ``admin``."""

Sockets = dict[PortName, socket.socket]

BACKLOG: Final = 1024
"""Connections the kernel holds for one worker until it accepts them (net.core.somaxconn may lower it)."""


def open_ports(bind: str, ports: Mapping[PortName, int], slots: int) -> list[Sockets]:
    """Open one listening socket per slot and port, among which the kernel spreads new connections.

    Each slot has its own (SO_REUSEPORT), and the supervisor keeps them all, so a worker that is replaced
    leaves its queue to its successor. Raises ``BadSettings``: ``port_taken``, ``port_forbidden``,
    ``bad_address``.
    """
    check_ports(bind, ports)
    with ExitStack() as undo:
        slotted: list[Sockets] = [{} for _ in range(slots)]
        for sockets in slotted:
            for name, port in ports.items():
                sockets[name] = undo.enter_context(_bind(name, bind, port, shared=True))
                sockets[name].listen(BACKLOG)
        undo.pop_all()
    return slotted


def check_ports(bind: str, ports: Mapping[PortName, int]) -> None:
    """Find out whether the ports can be had; raises as :func:`open_ports` does.

    SO_REUSEPORT alone would share a port with another router of the same user without a word.
    """
    for name, port in ports.items():
        _bind(name, bind, port, shared=False).close()


def _bind(name: PortName, bind: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.settimeout(0)
        sock.bind((bind, port))
    except OSError as fault:
        sock.close()
        raise _explain(fault, name, bind, port) from fault
    return sock


def _explain(fault: OSError, name: PortName, bind: str, port: int) -> BadSettings:
    variable, option = f"ROUTER_{name.upper()}_PORT", f"--{name}-port"
    match fault.errno:
        case errno.EADDRINUSE:
            sentence = f"Port {port} is in use already, so the router cannot have it for {variable}. "
            remedy = (
                f"Stop what uses it (`ss -ltnp 'sport = :{port}'` says what), or choose another: {option}."
            )
            return BadSettings("port_taken", sentence + remedy)
        case errno.EACCES | errno.EPERM:
            sentence = f"This user may not listen on port {port} ({variable}). "
            remedy = "Set it to 1024 or more and map the public port to it, or grant CAP_NET_BIND_SERVICE."
            return BadSettings("port_forbidden", sentence + remedy)
        case _:
            sentence = f"The router cannot listen on {bind}, port {port}: {fault.strerror}. "
            remedy = (
                "ROUTER_BIND must be an address of this machine; 0.0.0.0 means all of IPv4, :: all there are."
            )
            return BadSettings("bad_address", sentence + remedy)


def as_argument(sockets: Sockets) -> str:
    """Write a slot's sockets as a worker's ``--listen`` argument: ``https=5,http=6,health=7``."""
    return ",".join(f"{name}={sock.fileno()}" for name, sock in sockets.items())


def from_argument(text: str) -> Sockets:
    """Take over the sockets that :func:`as_argument` named, in the process that inherited them."""
    pairs = (item.partition("=") for item in text.split(","))
    return {name: socket.socket(fileno=int(number)) for name, _, number in pairs}
