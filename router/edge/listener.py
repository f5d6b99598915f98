"""Edge: the sockets of a worker, from accept to the first octet of HTTP.

For each connection: the limits, a PROXY protocol header from a trusted load balancer, the ClientHello
(peeked, so that the look-up of the certificate can be awaited), then TLS by the certificate found.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from router.edge.client import ClientConnection
from router.edge.client_hello import (
    DECODE_ERROR,
    MAX_HELLO,
    UNRECOGNIZED_NAME,
    BadClientHello,
    ClientHello,
    read_client_hello,
)
from router.edge.proxy_protocol import BadProxyHeader, ProxyHeader, read_proxy_header
from router.edge.visit import Arrival, Door, is_trusted
from router.errors import BadInput, RouterError
from router.hostname import Hostname, parse_authority
from router.identity.throttle import network_of
from router.storage.lookup import PENDING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.certificates.keyring import Keyring
    from router.certificates.served import Served
    from router.edge.house import House
    from router.edge.visit import Network

_log = structlog.get_logger(__name__)

_PEEK = MAX_HELLO + 2048  # a hello, its record headers, and a PROXY header before it
_ACCEPTS_AT_ONCE = 64
_ACCEPT_AGAIN = 0.5
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
"""A client that vanished without a word is gone after two minutes, also from a silent tunnel."""

_TCP_CLOSE_WAIT = 8  # include/net/tcp_states.h


class Edge:
    """Accepts connections on the sockets it is given, until it drains.

    ``platform_domain`` names the certificate for clients that send no server name (load balancers that
    probe by address); they reach nothing but the health paths.
    """

    def __init__(
        self, house: House, keyring: Keyring, *, platform_domain: str, trusted: tuple[Network, ...] = ()
    ) -> None:
        self._house = house
        self._keyring = keyring
        self._platform_domain = platform_domain
        self._trusted = trusted
        self._sockets: list[socket.socket] = []
        # One for each connection, from accept to its end, with its peer, or for whom that speaks.
        self._places: dict[object, str] = {}
        self._per_network: Counter[str] = Counter()
        self._emptied = asyncio.Event()
        self.refused = 0
        """Connections turned away because of the limits."""

    def __repr__(self) -> str:
        return f"<Edge sockets={len(self._sockets)} open={len(self._places)}>"

    def serve(self, sockets: Mapping[Door, socket.socket]) -> None:
        """Begin to accept on listening sockets, one for each door."""
        loop = asyncio.get_running_loop()
        for door, listening in sockets.items():
            listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
            self._sockets.append(listening)
            self._listen(loop, listening, door)

    def stop_accepting(self) -> None:
        """Leave new connections to other workers; from now on each answer is its connection's last."""
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            loop.remove_reader(listening.fileno())
            listening.close()
        self._sockets.clear()
        self._house.draining = True
        for connection in list(self._house.connections):
            connection.drain()

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109 - what happens at its end is the point
        """Wait for the requests under way, ``timeout`` seconds at most, then cut what is left.

        Tunnels have half of that before they are told to go away (RFC 6455 section 7.4.1: 1001).
        """
        if not await self._emptied_within(timeout / 2):
            self._house.tunnels.close_all()
            if not await self._emptied_within(timeout / 2):
                _log.warning("connections cut at the end of the drain", count=len(self._places))
                for connection in list(self._house.connections):
                    connection.transport.abort()

    async def _emptied_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while self._places:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            return False
        return True

    # -- accept -----------------------------------------------------------------------------------------

    def _listen(self, loop: asyncio.AbstractEventLoop, listening: socket.socket, door: Door) -> None:
        if listening in self._sockets:
            loop.add_reader(listening.fileno(), self._accept, listening, door)

    def _accept(self, listening: socket.socket, door: Door) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                accepted, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as fault:
                # Out of file descriptors or memory: the connection stays in the queue for a better moment. It
                # keeps the socket readable too, so without a pause the loop would do nothing but try.
                _log.error("cannot accept", cause=str(fault))
                loop = asyncio.get_running_loop()
                loop.remove_reader(listening.fileno())
                loop.call_later(_ACCEPT_AGAIN, self._listen, loop, listening, door)
                return
            accepted.setblocking(False)  # noqa: FBT003 - the standard library's signature
            self._admit(accepted, _peer(address), door)

    def _admit(self, accepted: socket.socket, peer: str, door: Door) -> None:
        limits = self._house.limits
        full = len(self._places) >= limits.max_connections and door is not Door.HEALTH
        place = object()
        if full or not self._take_place(place, peer):
            self.refused += 1
            accepted.close()
            return
        self._house.tasks.start(self._welcome(accepted, place, door), name="welcome a connection")

    def _take_place(self, place: object, client: str) -> bool:
        """Count a connection as ``client``'s, and as nobody else's; not if that has enough already."""
        network = network_of(client)  # of IPv6 a /64: whoever has one address there has them all
        crowd = self._per_network[network] >= self._house.limits.max_connections_per_address
        if crowd and not is_trusted(client, self._trusted):  # a load balancer is many clients
            return False
        self._give_up(place)
        self._places[place] = client
        self._per_network[network] += 1
        return True

    def _leave(self, place: object) -> None:
        """Free a connection's place; again is harmless."""
        self._give_up(place)
        if not self._places:
            self._emptied.set()

    def _give_up(self, place: object) -> None:
        client = self._places.pop(place, None)
        if client is None:
            return
        network = network_of(client)
        self._per_network[network] -= 1
        if not self._per_network[network]:
            del self._per_network[network]

    async def _welcome(self, accepted: socket.socket, place: object, door: Door) -> None:
        """Bring one connection to its first request; free its place if it does not get there."""
        established = False
        try:
            established = await self._establish(accepted, place, door)
        # ssl.SSLError and TimeoutError are OSErrors.
        except (OSError, BadProxyHeader, BadClientHello) as fault:
            _log.debug("connection not established", peer=self._places.get(place), cause=str(fault))
        finally:
            if not established:
                accepted.close()
                self._leave(place)

    async def _establish(self, accepted: socket.socket, place: object, door: Door) -> bool:
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in _KEEPALIVE:
            accepted.setsockopt(*option)
        served = presented = None
        async with asyncio.timeout(self._house.limits.head_timeout):
            peer = self._places[place]
            client = await self._greet(accepted, peer)
            if client != peer and not self._take_place(place, client):
                self.refused += 1
                return False
            if door is Door.HTTPS:
                name = await _server_name(accepted)
                served = await self._find_certificate(accepted, name or self._platform_domain)
                presented = served if name else None  # whoever names nobody reaches no tenant
        arrival = Arrival(secrets.token_hex(6), door, client, presented, self._trusted)
        connection = ClientConnection(arrival, self._house, lambda: self._leave(place))
        loop = asyncio.get_running_loop()
        if door is not Door.HTTPS:
            await loop.connect_accepted_socket(lambda: connection, accepted)
        elif served is not None:
            # As many at once as there are connections: a queue for handshakes would be a queue behind those
            # who begin one and fall silent.
            await loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=served.context,
                ssl_handshake_timeout=self._house.limits.head_timeout,
                ssl_shutdown_timeout=self._house.limits.stall_timeout,
            )
        else:
            return False
        return True

    # -- before TLS -------------------------------------------------------------------------------------

    async def _greet(self, accepted: socket.socket, peer: str) -> str:
        """Read a PROXY header if the peer may send one; answer the client's address."""
        if not self._trusted or not is_trusted(peer, self._trusted):
            return peer
        seen = await _peek(accepted, 1)
        while True:
            header = read_proxy_header(seen)
            if header is None:
                return peer
            if isinstance(header, ProxyHeader):
                accepted.recv(header.length)
                return header.address or peer
            seen = await _peek(accepted, len(seen) + header.count)

    async def _find_certificate(self, accepted: socket.socket, name: str) -> Served | None:
        """Find the certificate to present for a name; none after saying that there is none."""
        served = self._keyring.peek(name)
        if served is PENDING:
            try:
                served = await self._keyring.find(name)
            except RouterError as fault:
                _log.warning("a certificate could not be looked up", name=name, code=fault.code)
                return None
        if served is None:
            _say(accepted, UNRECOGNIZED_NAME)
        return served


async def _server_name(accepted: socket.socket) -> Hostname | None:
    """Peek the ClientHello for whom it names; none for probes that name nobody, or an address.

    Raises ``BadClientHello`` after saying so.
    """
    try:
        hello = await _peek_hello(accepted)
        if hello.server_name is None:
            return None
        host = parse_authority(hello.server_name.encode()).host
    except (BadClientHello, BadInput) as fault:
        _say(accepted, DECODE_ERROR)
        raise BadClientHello(str(fault)) from fault
    return host if isinstance(host, Hostname) else None


async def _peek_hello(accepted: socket.socket) -> ClientHello:
    seen = await _peek(accepted, 1)
    while True:
        hello = read_client_hello(seen)
        if isinstance(hello, ClientHello):
            return hello
        if len(seen) + hello.count > _PEEK:
            raise BadClientHello("the ClientHello is too long")
        seen = await _peek(accepted, len(seen) + hello.count)


async def _peek(accepted: socket.socket, count: int) -> bytes:
    """Wait for ``count`` octets, and look at whatever has come without consuming it.

    Readiness is level-triggered: with octets left unread the loop would spin, so the kernel is told
    (SO_RCVLOWAT) not to wake us before there are enough of them. Raises ``ConnectionError`` at the end.
    """
    loop = asyncio.get_running_loop()
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
    try:
        while True:
            with contextlib.suppress(BlockingIOError, InterruptedError):
                seen = accepted.recv(_PEEK, socket.MSG_PEEK)
                if len(seen) >= count:
                    return seen
                if not seen or _half_closed(accepted):
                    raise ConnectionResetError("closed before it began")
            await _readable(loop, accepted)
    finally:
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


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


def _say(accepted: socket.socket, alert: bytes) -> None:
    """Send an alert as far as the socket takes it at once; whoever is refused is not waited for."""
    with contextlib.suppress(OSError):
        accepted.send(alert)
        accepted.recv(_PEEK)  # closing with unread octets would reset the connection and lose the alert


def _peer(address: object) -> str:
    host = str(address[0]) if isinstance(address, tuple) else ""
    return host.removeprefix("::ffff:")
