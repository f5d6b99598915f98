"""A real worker in a thread of its own: real sockets, real TLS, a real database; plain sockets as clients."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import trustme
import uvloop

from router.edge.visit import Door
from router.hostname import Hostname
from router.identity.passwords import Passwords
from router.identity.sessions import Sessions
from router.identity.users import Users
from router.serve import assembled
from router.settings import Settings, load_settings
from router.storage.bell import SqliteBell
from router.storage.changes import ChangeFeed
from router.storage.database import Database
from router.tenants.form import TenantForm
from router.tenants.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

    from router.edge.listener import Edge
    from router.identity.session import Session

DOMAIN = "portal.example"
EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"
PATIENCE = 30.0

_T = TypeVar("_T")


@dataclass(frozen=True)
class Node:
    """A running worker and the keys to it.

    ``cookie`` is the Cookie header line of a signed-in user of ``acme``; ``operate`` runs what an operator
    would do, on the worker's own loop.
    """

    settings: Settings
    ports: dict[Door, int]
    authority: trustme.CA
    edge: Edge
    registry: Registry
    users: Users
    sessions: Sessions
    token: str
    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event

    @property
    def host(self) -> str:
        """The hostname of the tenant that most tests visit."""
        return f"acme.{DOMAIN}"

    @property
    def cookie(self) -> bytes:
        """What a browser that signed in sends."""
        return b"Cookie: __Host-portal-session=" + self.token.encode() + b"\r\n"

    def sign_in(self, slug: str, email: str, customer: str = "C-9", *, ago: int = 0) -> tuple[str, Session]:
        """Make another user of a tenant, signed in ``ago`` seconds ago.

        The token that its browser holds, and the session.
        """

        async def begin() -> tuple[str, Session]:
            tenant = (await self.registry.get(slug)).tenant
            user = await self.users.add(tenant.id, email, customer, PASSWORD, actor="test")
            return await self.sessions.start(
                tenant.id, user, address="127.0.0.1", user_agent="test", now=time.time() - ago
            )

        return self.operate(begin())

    def operate(self, coro: Coroutine[Any, Any, _T]) -> _T:
        """Run ``coro`` on the worker's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(coro, self.loop).result(PATIENCE)

    def pass_time(self, seconds: float) -> None:
        """Let every deadline of the worker that is due in ``seconds`` be due now."""

        async def sweep() -> None:
            deadlines = self.edge._house.deadlines  # noqa: SLF001 - the worker's clock, which nobody else may set
            deadlines.sweep(time.monotonic() + seconds)
            deadlines.sweep(time.monotonic())  # what begins after this begins now

        self.operate(sweep())

    @cached_property
    def trust(self) -> ssl.SSLContext:
        """What a client checks the router's certificates by; it offers no server name by itself."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.authority.configure_trust(context)
        return context

    @contextmanager
    def connect(
        self,
        server_name: str | None = None,
        *,
        door: Door = Door.HTTPS,
        source: str = "127.0.0.1",
        first: bytes = b"",
    ) -> Iterator[Client]:
        """Open a connection as a client: TLS for ``server_name`` where the door is for it, else plain.

        It comes from the address ``source``, and says ``first`` before anything else, as a load balancer may.
        """
        address = ("127.0.0.1", self.ports[door])
        raw = socket.create_connection(address, timeout=PATIENCE, source_address=(source, 0))
        if first:
            raw.sendall(first)
        if door not in (Door.HTTPS, Door.ADMIN):
            with raw:
                yield Client(raw)
            return
        name = server_name or self.host
        # An end without a close_notify must not look like a clean one.
        with self.trust.wrap_socket(raw, server_hostname=name, suppress_ragged_eofs=False) as secured:
            yield Client(secured)

    def hello(self, server_name: str | None = None) -> bytes:
        """Write the ClientHello with which a handshake begins."""
        outgoing = ssl.MemoryBIO()
        tls = self.trust.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name or self.host)
        with suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        return outgoing.read()

    def get(self, path: str = "/", *extra: bytes, host: str | None = None, signed_in: bool = True) -> bytes:
        """Write a GET as a browser would."""
        lines = [f"GET {path} HTTP/1.1\r\nHost: {host or self.host}\r\n".encode()]
        lines += [self.cookie] if signed_in else []
        return b"".join([*lines, *(line + b"\r\n" for line in extra), b"\r\n"])


@dataclass
class Answer:
    """An answer as it came: status, head and body."""

    status: int
    head: bytes
    body: bytes

    def field(self, name: str) -> str | None:
        """The first value of a field, whatever its name's case."""
        values = self.fields(name)
        return values[0] if values else None

    def fields(self, name: str) -> list[str]:
        """All values of a field."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return [value.strip() for key, _, value in pairs if key.lower() == name.lower()]


class Client:
    """A client that sends octets as they are, and reads answers one by one.

    ``ended`` says how the router ended the connection, once that was read: ``closed`` by TLS and TCP as it
    should be, or ``cut``; empty before.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.ended: Literal["", "closed", "cut"] = ""
        self._held = b""

    @property
    def held(self) -> bytes:
        """What has come and was not asked for yet."""
        return self._held

    def send(self, data: bytes) -> None:
        """Send octets as they are."""
        self.sock.sendall(data)

    def ask(self, request: bytes, *, to_head: bool = False) -> Answer:
        """Send a request and read its answer."""
        self.send(request)
        return self.read_answer(to_head=to_head)

    def read_answer(self, *, to_head: bool = False) -> Answer:
        """Read one answer by its own framing; ``ConnectionError`` where there is none."""
        head = self.read_until(b"\r\n\r\n")
        answer = Answer(int(head.split(b" ", 2)[1]), head, b"")
        if to_head or answer.status < 200 or answer.status in (204, 304):
            return answer
        if answer.field("transfer-encoding") == "chunked":
            answer.body = self._read_chunked()
        elif (length := answer.field("content-length")) is not None:
            answer.body = self.read(int(length))
        else:
            answer.body = self.read_to_end()
        return answer

    def read(self, count: int) -> bytes:
        """Read exactly ``count`` octets."""
        while len(self._held) < count:
            self._receive()
        piece, self._held = self._held[:count], self._held[count:]
        return piece

    def read_until(self, end: bytes) -> bytes:
        """Read up to and with ``end``."""
        while (found := self._held.find(end)) < 0:
            self._receive()
        return self.read(found + len(end))

    def read_to_end(self) -> bytes:
        """Read whatever comes until the router ends the connection, cleanly or not: see ``ended``."""
        with suppress(ConnectionError, ssl.SSLError):
            while True:
                self._receive()
        piece, self._held = self._held, b""
        return piece

    def _receive(self) -> None:
        try:
            data = self.sock.recv(65_536)
        except (ConnectionError, ssl.SSLEOFError):
            self.ended = "cut"
            raise
        if not data:
            self.ended = "closed"
            raise ConnectionError("the router closed the connection")
        self._held += data

    def _read_chunked(self) -> bytes:
        body = b""
        while size := int(self.read_until(b"\r\n"), 16):
            body += self.read(size)
            assert self.read(2) == b"\r\n"
        while self.read_until(b"\r\n") != b"\r\n":
            pass
        return body


@contextmanager
def running_node(folder: Path, upstream_url: str, **settings: object) -> Iterator[Node]:
    """Run a worker with the tenants ``acme`` and ``globex`` until the block ends."""
    authority = trustme.CA()
    certs = folder / "certs"
    certs.mkdir(parents=True)
    for names in ([f"*.{DOMAIN}", DOMAIN], ["billing.globex.test"]):
        issued = authority.issue_cert(*names)
        issued.private_key_and_cert_chain_pem.write_to_path(str(certs / f"{names[-1]}.pem"))
    chosen: dict[str, object] = {
        "platform_domain": DOMAIN,
        "data_dir": folder,
        "certs_dir": certs,
        "allow_private_upstreams": True,
        "access_log": False,
        "public_port": 443,
    }
    loaded = load_settings({}, folder=folder, **(chosen | settings))
    started: Future[Node] = Future()
    thread = threading.Thread(target=_run, args=(loaded, authority, upstream_url, started), daemon=True)
    thread.start()
    node = started.result(30)
    try:
        yield node
    finally:
        node.loop.call_soon_threadsafe(node.stop.set)
        thread.join(PATIENCE)


def _run(settings: Settings, authority: trustme.CA, upstream_url: str, started: Future[Node]) -> None:
    """Live as a worker does, until ``Node.stop`` is set."""

    async def live() -> None:
        async with AsyncExitStack() as stack:
            edge, health = await stack.enter_async_context(assembled(settings))
            node = await _furnish(settings, authority, upstream_url, edge, stack)
            health.ready()
            started.set_result(node)
            await node.stop.wait()
            edge.stop_accepting()
            await edge.drain(0.2)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(live())
    except BaseException as fault:
        if started.done():
            raise
        started.set_exception(fault)


async def _furnish(
    settings: Settings, authority: trustme.CA, upstream_url: str, edge: Edge, stack: AsyncExitStack
) -> Node:
    """Open the doors and set up two tenants, a user each, one of them signed in."""
    sockets = {door: socket.create_server(("127.0.0.1", 0), backlog=512) for door in Door}
    ports = {door: sock.getsockname()[1] for door, sock in sockets.items()}
    edge.serve(sockets)
    database = Database(settings.database_url)
    stack.push_async_callback(database.close)
    await database.open()
    bell = SqliteBell(settings.database_url)
    stack.push_async_callback(bell.close)
    registry = Registry(
        database,
        bell,
        platform_domain=Hostname.parse(DOMAIN),
        allow_private_upstreams=True,
        has_default_upstreams=bool(settings.default_upstreams),
    )
    passwords = Passwords(memory_kib=64, passes=1)
    stack.callback(passwords.close)
    users = Users(database, bell, passwords)
    acme = await registry.add(
        "acme",
        TenantForm(name="Acme", theme_colour="#0B6E4F", upstreams=[upstream_url], public_paths=["/public"]),
        actor="test",
    )
    await registry.add(
        "globex",
        TenantForm(
            name="Globex",
            theme_colour="#5B2A86",
            upstreams=[upstream_url],
            external_domain="billing.globex.test",
        ),
        actor="test",
    )
    await registry.activate_domain(Hostname.parse("billing.globex.test"), reason="a test", actor="test")
    user = await users.add(acme.tenant.id, EMAIL, "C-1001", PASSWORD, actor="test")
    feed = ChangeFeed(database, bell)
    sessions = Sessions(database, None, bell, feed, idle=settings.session_idle, life=settings.session_life)
    stack.push_async_callback(sessions.close)
    token, _ = await sessions.start(
        acme.tenant.id, user, address="127.0.0.1", user_agent="test", now=time.time()
    )
    return Node(
        settings=settings,
        ports=ports,
        authority=authority,
        edge=edge,
        registry=registry,
        users=users,
        sessions=sessions,
        token=token,
        loop=asyncio.get_running_loop(),
        stop=asyncio.Event(),
    )
