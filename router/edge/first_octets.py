"""The first octets of a connection: peeked for whom its ClientHello names; alerts where there is no TLS.

Nothing is consumed, so that the look-up of the certificate can be awaited before the handshake begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final

from router.edge.client_hello import DECODE_ERROR, MAX_HELLO, BadClientHello, ClientHello, read_client_hello
from router.errors import BadInput
from router.hostname import Hostname, parse_authority

_PEEK: Final = MAX_HELLO + 2048  # a hello, its record headers, and a PROXY header before it
_TCP_CLOSE_WAIT: Final = 8  # include/net/tcp_states.h


async def peek_server_name(accepted: socket.socket) -> Hostname | None:
    """Peek the ClientHello for whom it names; none for probes that name nobody, or an address.

    Raises ``BadClientHello`` after saying so.
    """
    try:
        hello = await _peek_hello(accepted)
        if hello.server_name is None:
            return None
        host = parse_authority(hello.server_name.encode()).host
    except (BadClientHello, BadInput) as fault:
        say(accepted, DECODE_ERROR)
        raise BadClientHello(str(fault)) from fault
    return host if isinstance(host, Hostname) else None


async def _peek_hello(accepted: socket.socket) -> ClientHello:
    seen = await peek(accepted, 1)
    while True:
        hello = read_client_hello(seen)
        if isinstance(hello, ClientHello):
            return hello
        if len(seen) + hello.count > _PEEK:
            raise BadClientHello("the ClientHello is too long")
        seen = await peek(accepted, len(seen) + hello.count)


async def peek(accepted: socket.socket, count: int) -> bytes:
    """Wait for ``count`` octets, and look at whatever has come without consuming it.

    Readiness is level-triggered: with octets left unread the loop would spin, so the kernel is told
    (SO_RCVLOWAT) not to wake us before there are enough of them. Raises ``ConnectionError`` at the end.
    """
    seen = _peek_now(accepted)
    if seen is not None and len(seen) >= count:
        return seen
    loop = asyncio.get_running_loop()
    if count > 1:
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
    try:
        while True:
            if seen is not None and (not seen or _half_closed(accepted)):
                raise ConnectionResetError("closed before it began")
            await _readable(loop, accepted)
            seen = _peek_now(accepted)
            if seen is not None and len(seen) >= count:
                return seen
    finally:
        if count > 1:
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def _peek_now(accepted: socket.socket) -> bytes | None:
    """Look at what is there; none while nothing is, empty at the end."""
    try:
        return accepted.recv(_PEEK, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return None


async def _readable(loop: asyncio.AbstractEventLoop, accepted: socket.socket) -> None:
    ready = loop.create_future()
    loop.add_reader(accepted.fileno(), _resolve, ready)
    try:
        await ready
    finally:
        loop.remove_reader(accepted.fileno())


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _half_closed(accepted: socket.socket) -> bool:
    """Whether the peer sent its FIN behind too few octets: SO_RCVLOWAT does not hold that back."""
    state = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state == _TCP_CLOSE_WAIT or accepted.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def say(accepted: socket.socket, alert: bytes) -> None:
    """Send an alert as far as the socket takes it at once; whoever is refused is not waited for."""
    with contextlib.suppress(OSError):
        accepted.send(alert)
        accepted.recv(_PEEK)  # closing with unread octets would reset the connection and lose the alert
