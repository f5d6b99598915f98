"""What an upstream's URL says of where to connect, and which of its addresses is connected to."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager, closing, suppress
from typing import TYPE_CHECKING, cast

import pytest
import trustme

from router.edge.dial import Target, dial
from router.edge.name_servers import NameServers
from router.edge.resolver import Resolver
from router.errors import Unavailable
from router.observe.tasks import Tasks
from tests.edge.name_server import NameServer, name_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.mark.parametrize(
    ("url", "host", "port", "authority"),
    [
        ("http://erp.example.com:80", "erp.example.com", 80, b"erp.example.com"),
        ("https://erp.example.com:443/app", "erp.example.com", 443, b"erp.example.com"),
        ("http://erp.example.com:443", "erp.example.com", 443, b"erp.example.com:443"),
        ("http://erp.example.com:8080", "erp.example.com", 8080, b"erp.example.com:8080"),
        ("http://erp.example.com:8000/", "erp.example.com", 8000, b"erp.example.com:8000"),
        ("https://[2001:db8::80]:443", "2001:db8::80", 443, b"[2001:db8::80]"),
        ("http://[2001:db8::80]:81", "2001:db8::80", 81, b"[2001:db8::80]:81"),
    ],
)
def test_a_scheme_s_own_port_goes_without_saying(url: str, host: str, port: int, authority: bytes) -> None:
    """A rewritten Host names the port only where it is another than the scheme's."""
    target = Target.parse(url)
    assert (target.host, target.port, target.authority) == (host, port, authority)
    assert target.tls is url.startswith("https")


@pytest.mark.parametrize(("path", "prefix"), [("", b""), ("/", b""), ("/app", b"/app"), ("/a/b/", b"/a/b")])
def test_a_path_ends_without_a_slash(path: str, prefix: bytes) -> None:
    """A visit's own path brings the slash."""
    assert Target.parse(f"http://erp.example.com:80{path}").prefix == prefix


def test_a_unix_socket_has_a_path_and_no_host() -> None:
    """Its rewritten Host is localhost: there is nothing better to say."""
    target = Target.parse("unix:/run/erp.sock")
    assert (target.path, target.host, target.prefix, target.authority) == (
        "/run/erp.sock", "", b"", b"localhost",
    )  # fmt: skip


# -- dialling -------------------------------------------------------------------------------------------


class Wire(asyncio.Protocol):
    """What was dialled: it remembers its transport."""

    transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way out."""
        self.transport = cast("asyncio.Transport", transport)


class Caller:
    """Dials what a name server says, and hangs up at once."""

    def __init__(self, server: NameServer, tasks: Tasks, folder: Path) -> None:
        self.server = server
        nothing = folder / "none"
        names = NameServers([server.address], patience=2, hosts=nothing, resolv_conf=nothing)
        self.now = 1000.0
        self.resolver = Resolver(names, tasks, clock=lambda: self.now)

    def say(self, *addresses: str, name: str = "erp.example") -> None:
        """Have a name lead there for ten minutes."""
        kinds = [f"{'AAAA' if ':' in address else 'A'} {address} 600" for address in addresses]
        self.server.records[f"{name}."] = kinds

    async def dial(
        self, url: str, *, forbidden: frozenset[str] = frozenset(), ca: str = "", within: float = 20
    ) -> str:
        """The address that took the connection."""
        wire = Wire()
        try:
            async with asyncio.timeout(within):
                target = Target.parse(url, ca)
                return await dial(target, wire, self.resolver, forbidden.__contains__, within=within)
        finally:
            if wire.transport is not None:
                wire.transport.abort()


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Caller]:
    """Run a name server, and somebody who dials what it says."""
    async with name_server() as server, Tasks() as tasks:
        yield Caller(server, tasks, tmp_path)


@asynccontextmanager
async def listening(address: str = "127.0.0.1", **options: object) -> AsyncIterator[int]:
    """Listen at an address, or at all of them; the port."""

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(meet, address, 0, **options) as server:  # type: ignore[arg-type]
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
def swallowing() -> Iterator[tuple[str, int]]:
    """Make an address that answers no SYN: its queue is full and nobody accepts."""
    with (
        closing(socket.socket()) as full,
        closing(socket.socket()) as first,
        closing(socket.socket()) as second,
    ):
        full.bind(("127.0.0.9", 0))
        full.listen(0)
        for each in (first, second):
            each.settimeout(0)
            with suppress(BlockingIOError):
                each.connect(full.getsockname())
        yield full.getsockname()


async def test_each_address_is_tried_in_turn(caller: Caller) -> None:
    """Nobody listens at the first ones: the next is tried at once."""
    async with listening("127.0.0.4") as port:
        caller.say("127.0.0.2", "127.0.0.3", "127.0.0.4")
        for _ in range(3):
            assert await caller.dial(f"http://erp.example:{port}") == "127.0.0.4"


async def test_an_address_that_swallows_packets_costs_a_moment(
    caller: Caller, swallowing: tuple[str, int]
) -> None:
    """It does not use up the time of all: the next one is tried beside it."""
    hole, port = swallowing
    with closing(socket.create_server(("127.0.0.10", port))):
        caller.say("127.0.0.10", hole)
        found = [await caller.dial(f"http://erp.example:{port}") for _ in range(2)]
        assert found == ["127.0.0.10"] * 2


async def test_addresses_that_all_swallow_packets_end_in_time(
    caller: Caller, swallowing: tuple[str, int]
) -> None:
    """The time to connect is for the whole, and what was begun is ended with it."""
    hole, port = swallowing
    caller.say(hole)
    with pytest.raises(TimeoutError):
        await caller.dial(f"http://erp.example:{port}", within=0.3)
    caller.say(hole, hole)
    caller.now += 601
    with pytest.raises(TimeoutError):
        await caller.dial(f"http://erp.example:{port}", within=0.3)


async def test_an_address_that_stalls_in_tls_is_passed_over(caller: Caller) -> None:
    """Who takes a connection and then says nothing has a share of the time, not all of it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("erp.example").configure_cert(context)
    ca = authority.cert_pem.bytes().decode()
    async with listening("127.0.0.2", ssl=context) as port:
        with closing(socket.create_server(("127.0.0.3", port))):
            caller.say("127.0.0.2", "127.0.0.3")
            found = [await caller.dial(f"https://erp.example:{port}", ca=ca, within=4) for _ in range(2)]
    assert found == ["127.0.0.2"] * 2


async def test_a_name_that_leads_nowhere_cannot_be_reached(caller: Caller) -> None:
    """The cause for the log is the name, not a number of the C library's."""
    with pytest.raises(Unavailable) as fault:
        await caller.dial("http://nobody.example:80")
    assert fault.value.code == "upstream_unreachable"
    assert "nobody.example has no address" in fault.value.sentence


async def test_only_allowed_addresses_are_dialled(caller: Caller) -> None:
    """Of a name with several addresses the forbidden ones are passed over, whatever their place."""
    async with listening("0.0.0.0") as port:  # noqa: S104 - all of 127.0.0.0/8
        caller.say("127.0.0.2", "127.0.0.3")
        url = f"http://erp.example:{port}"
        assert [await caller.dial(url, forbidden=frozenset({"127.0.0.2"})) for _ in range(3)] == [
            "127.0.0.3"
        ] * 3


async def test_a_name_that_is_led_to_a_forbidden_address_is_refused(caller: Caller) -> None:
    """DNS rebinding: what was good at the last connection is judged again (THREATS 29)."""
    async with listening("0.0.0.0") as port:  # noqa: S104 - the same
        url, forbidden = f"http://erp.example:{port}", frozenset({"127.0.0.3"})
        caller.say("127.0.0.2")
        assert await caller.dial(url, forbidden=forbidden) == "127.0.0.2"
        caller.say("127.0.0.3")
        caller.now += 601
        with pytest.raises(Unavailable) as fault:
            await caller.dial(url, forbidden=forbidden)
        assert fault.value.code == "upstream_forbidden"


async def test_a_socket_is_judged_when_it_is_connected_to(caller: Caller, tmp_path: Path) -> None:
    """The platform may have taken its leave back since the socket was saved."""
    url = f"unix:{tmp_path}/erp.sock"
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(url.removeprefix("unix:"))
        server.listen()
        assert await caller.dial(url) == ""
        with pytest.raises(Unavailable) as fault:
            await caller.dial(url, forbidden=frozenset({url}))
    assert fault.value.code == "upstream_forbidden"


async def test_a_certificate_that_is_not_believed_is_the_fault_that_is_told(caller: Caller) -> None:
    """Also where another address refused the connection: that says less."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("erp.example").configure_cert(context)
    async with listening("127.0.0.2", ssl=context) as port:
        caller.say("127.0.0.2", "127.0.0.3")
        for _ in range(2):
            with pytest.raises(ssl.SSLCertVerificationError):
                await caller.dial(f"https://erp.example:{port}")


async def test_who_moved_is_found_again_although_the_answer_still_holds(caller: Caller) -> None:
    """A container that was replaced has another address long before its time to live is over."""
    async with listening("127.0.0.3") as port:
        caller.say("127.0.0.2")
        with pytest.raises(OSError, match=r"refused|failed"):
            await caller.dial(f"http://erp.example:{port}")
        caller.say("127.0.0.3")
        caller.now += 2
        assert await caller.dial(f"http://erp.example:{port}") == "127.0.0.3"


async def test_ipv6_is_dialled_too(caller: Caller) -> None:
    """By a name, and by its literal."""
    async with listening("::1") as port:
        caller.say("::1")
        assert await caller.dial(f"http://erp.example:{port}") == "::1"
        assert await caller.dial(f"http://[::1]:{port}") == "::1"
