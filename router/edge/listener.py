"""Edge: the sockets of a worker, from accept to the first octet of HTTP.

For each connection: the limits, a PROXY protocol header from a trusted load balancer, the ClientHello
(peeked, so that the look-up of the certificate can be awaited), then TLS by the certificate found.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

import structlog

from router.edge.addresses import spelled
from router.edge.client import ClientConnection
from router.edge.client_hello import UNRECOGNIZED_NAME, BadClientHello
from router.edge.decide import CONSOLE
from router.edge.first_octets import peek, peek_server_name, say
from router.edge.proxy_protocol import BadProxyHeader, ProxyHeader, read_proxy_header
from router.edge.visit import Arrival, Door, console_door, is_trusted
from router.errors import RouterError
from router.hostname import port_suffix
from router.identity.throttle import network_of
from router.storage.lookup import PENDING
from router.storage.waiting_room import BUSY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.certificates.keyring import Keyring
    from router.certificates.served import Served
    from router.edge.house import House
    from router.edge.visit import Network

_log = structlog.get_logger(__name__)

_TLS = (Door.HTTPS, Door.ADMIN)
"""The doors at which a connection begins with a handshake."""

_ACCEPTS_AT_ONCE = 64
_ACCEPT_AGAIN = 0.5
_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    # A client that vanished without a word is gone after two minutes, also from a silent tunnel.
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
"""Set where connections are awaited: Linux hands them down to each, which saves five calls for every one."""


class Edge:
    """Accepts connections on the sockets it is given, until it drains.

    ``platform_domain`` names the certificate for clients that send no server name (load balancers that
    probe by address); they reach nothing but the health paths. ``admin_hostname`` is the console's.
    ``public_port`` is the HTTPS port as customers see it, ``admin_port`` the one that the console has for
    itself, if it has one. ``trusted`` are the load balancers that may say for
    whom they connect: with ``proxy_protocol`` at the beginning of each connection, else in X-Forwarded-For.
    """

    def __init__(
        self,
        house: House,
        keyring: Keyring,
        *,
        platform_domain: str,
        admin_hostname: str,
        public_port: int,
        admin_port: int | None = None,
        trusted: tuple[Network, ...] = (),
        proxy_protocol: bool = False,
    ) -> None:
        self._house = house
        self._keyring = keyring
        self._platform_domain = platform_domain
        self._admin_hostname = admin_hostname
        self._console_door = console_door(admin_port)
        self._port = port_suffix(public_port).encode()
        self._console_port = port_suffix(admin_port or public_port).encode()
        self._trusted = trusted
        self._proxy_protocol = proxy_protocol
        self._told = False  # that a load balancer does not speak as it should
        self._sockets: list[socket.socket] = []
        # One for each connection, from accept to its end, with its peer's network, or that of the client for
        # whom that speaks.
        self._places: dict[_Newcomer, str] = {}
        self._newcomers: dict[_Newcomer, None] = {}  # the oldest first
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
            for option in _OPTIONS:
                listening.setsockopt(*option)
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
        newcomer = _Newcomer(self._house.deadlines.now + limits.head_timeout)
        if full or not self._take_place(newcomer, peer):
            self.refused += 1
            accepted.close()
            return
        welcome = self._welcome(accepted, peer, newcomer, door)
        newcomer.welcome = self._house.tasks.start(welcome, name="welcome a connection")

    def _take_place(self, newcomer: _Newcomer, client: str) -> bool:
        """Count a connection as ``client``'s, and as nobody else's; not if that has enough already."""
        network = _network_of(client)  # of IPv6 a /64: whoever has one address there has them all
        crowd = self._per_network[network] >= self._house.limits.max_connections_per_address
        if crowd and not is_trusted(client, self._trusted):  # a load balancer is many clients
            return False
        self._give_up(newcomer)
        self._places[newcomer] = network
        self._per_network[network] += 1
        return True

    def _leave(self, newcomer: _Newcomer) -> None:
        """Free a connection's place; again is harmless."""
        self._give_up(newcomer)
        if not self._places:
            self._emptied.set()

    def _give_up(self, newcomer: _Newcomer) -> None:
        network = self._places.pop(newcomer, None)
        if network is None:
            return
        self._per_network[network] -= 1
        if not self._per_network[network]:
            del self._per_network[network]

    async def _welcome(self, accepted: socket.socket, peer: str, newcomer: _Newcomer, door: Door) -> None:
        """Bring one connection to its first request; free its place if it does not get there."""
        established = False
        self._make_room()
        self._newcomers[newcomer] = None
        self._house.deadlines.add(newcomer)
        try:
            established = await self._establish(accepted, peer, newcomer, door)
        # ssl.SSLError is an OSError.
        except (OSError, BadProxyHeader, BadClientHello) as fault:
            _log.debug("connection not established", peer=peer, cause=str(fault))
        finally:
            self._newcomers.pop(newcomer, None)
            self._house.deadlines.discard(newcomer)
            if not established:
                accepted.close()
                self._leave(newcomer)

    def _make_room(self) -> None:
        """Let the oldest of too many newcomers go, for whoever is in earnest needs two round trips.

        Refusing the newest would let those who connect and say nothing keep everybody out.
        """
        while len(self._newcomers) >= self._house.limits.max_handshakes:
            oldest = next(iter(self._newcomers))
            del self._newcomers[oldest]
            self.refused += 1
            oldest.expire()

    async def _establish(self, accepted: socket.socket, peer: str, newcomer: _Newcomer, door: Door) -> bool:
        served = presented = None
        client, trusted = await self._greet(accepted, peer, door)
        if client != peer and not self._take_place(newcomer, client):
            self.refused += 1
            return False
        if door in _TLS:
            name = await peek_server_name(accepted)
            served = await self._find_certificate(accepted, name or self._platform_domain)
            if served is None:
                return False
            presented = served if name else None  # whoever names nobody reaches no tenant
            if presented is not None and name == self._admin_hostname and door is self._console_door:
                presented = replace(presented, tenant_id=CONSOLE)
        port = self._console_port if door is Door.ADMIN else self._port
        arrival = Arrival(secrets.token_hex(6), door, client, presented, trusted, port)
        connection = ClientConnection(arrival, self._house, lambda: self._leave(newcomer))
        loop = asyncio.get_running_loop()
        if served is None:
            await loop.connect_accepted_socket(lambda: connection, accepted)
        else:
            limits = self._house.limits
            await loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=served.context,
                ssl_handshake_timeout=limits.head_timeout,
                ssl_shutdown_timeout=limits.stall_timeout,
            )
        return True

    # -- before TLS -------------------------------------------------------------------------------------

    async def _greet(self, accepted: socket.socket, peer: str, door: Door) -> tuple[str, tuple[Network, ...]]:
        """Learn who connects, by the PROXY header where one is due, and who is believed about it after that.

        There is no guessing whether a header is there (doc/proxy-protocol.txt, section 2): without one, the
        first octets would be those of a client, who could write a header too. Where it names nobody, what is
        said in the connection is still some client's word.
        """
        if not self._proxy_protocol or not is_trusted(peer, self._trusted):
            return peer, self._trusted
        seen = await peek(accepted, 1)
        while True:
            header = read_proxy_header(seen)
            if isinstance(header, ProxyHeader):
                accepted.recv(header.length)
                return (header.address, self._trusted) if header.address else (peer, ())
            if header is None:
                return self._ungreeted(peer, door), ()
            seen = await peek(accepted, len(seen) + header.count)

    def _ungreeted(self, peer: str, door: Door) -> str:
        """Answer the peer of a connection without its header: at the health port there is nothing to gain."""
        if door is Door.HEALTH:
            return peer
        if not self._told:
            self._told = True
            _log.warning("a trusted load balancer sends no PROXY header", peer=peer)
        raise BadProxyHeader("none where there has to be one")

    async def _find_certificate(self, accepted: socket.socket, name: str) -> Served | None:
        """Find the certificate to present for a name; none after saying that there is none."""
        served = self._keyring.peek(name)
        if served is PENDING:
            try:
                served = await self._keyring.find(name)
            except RouterError as fault:
                if fault.code != BUSY:
                    _log.warning("a certificate could not be looked up", name=name, code=fault.code)
                return None
        if served is None:
            say(accepted, UNRECOGNIZED_NAME)
        return served


class _Newcomer:
    """A connection from accept to its first request; ``deadline`` is when it must have got there."""

    __slots__ = ("deadline", "welcome")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.welcome: asyncio.Task[None] | None = None

    def expire(self) -> None:
        """End it: it took too long, or newer ones need the room."""
        if self.welcome is not None:
            self.welcome.cancel()


_network_of = lru_cache(maxsize=4096)(network_of)
"""8 µs for an address not seen lately."""


def _peer(address: object) -> str:
    host = str(address[0]) if isinstance(address, tuple) else ""
    return spelled(IPv6Address(host)) if ":" in host else host
