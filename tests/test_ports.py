from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from router.errors import BadSettings
from router.ports import as_argument, from_argument, open_ports
from tests.free_ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Close at the end what the test opened."""
    with ExitStack() as stack:
        yield stack


def test_slots_share_a_port(closing: ExitStack) -> None:
    """Every slot listens on the same port with a socket of its own."""
    port = free_port()
    slots = open_ports("127.0.0.1", {"https": port}, 3)
    for sockets in slots:
        closing.enter_context(sockets["https"])
    assert [sockets["https"].getsockname()[1] for sockets in slots] == [port] * 3
    assert len({sockets["https"].fileno() for sockets in slots}) == 3
    with socket.create_connection(("127.0.0.1", port), timeout=20):
        pass


def test_a_taken_port_is_a_clear_error(closing: ExitStack) -> None:
    """A port in use is named, with its setting and what to do, and nothing stays open."""
    server = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
    taken, free = server.getsockname()[1], free_port()
    with pytest.raises(BadSettings) as told:
        open_ports("127.0.0.1", {"https": free, "http": taken}, 2)
    assert told.value.code == "port_taken"
    assert f"Port {taken}" in told.value.sentence
    assert "ROUTER_HTTP_PORT" in told.value.sentence
    closing.enter_context(socket.create_server(("127.0.0.1", free)))


def test_the_consoles_port_is_told_by_its_setting(closing: ExitStack) -> None:
    """As the others are: its variable and its option, when somebody else has it."""
    taken = closing.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
    with pytest.raises(BadSettings) as told:
        open_ports("127.0.0.1", {"https": free_port(), "admin": taken}, 1)
    assert "ROUTER_ADMIN_PORT" in told.value.sentence
    assert "--admin-port" in told.value.sentence


def test_a_second_router_does_not_share_the_first_ones_ports(closing: ExitStack) -> None:
    """Although the sockets could be shared, another supervisor is told that the port is taken."""
    port = free_port()
    for sockets in open_ports("127.0.0.1", {"https": port}, 1):
        closing.enter_context(sockets["https"])
    with pytest.raises(BadSettings) as told:
        open_ports("127.0.0.1", {"https": port}, 1)
    assert told.value.code == "port_taken"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen anywhere")
def test_a_forbidden_port_is_a_clear_error() -> None:
    """A low port without the right to it says what to do instead."""
    with pytest.raises(BadSettings) as told:
        open_ports("127.0.0.1", {"https": 1}, 1)
    assert told.value.code == "port_forbidden"


def test_a_foreign_address_is_a_clear_error() -> None:
    """An address that is not this machine's names the setting."""
    with pytest.raises(BadSettings) as told:
        open_ports("192.0.2.1", {"https": free_port()}, 1)
    assert told.value.code == "bad_address"
    assert "ROUTER_BIND" in told.value.sentence


def test_both_families_on_one_socket(closing: ExitStack) -> None:
    """Bound to ``::``, a port answers over IPv4 too."""
    port = free_port()
    try:
        (sockets,) = open_ports("::", {"https": port}, 1)
    except BadSettings:
        pytest.skip("this machine has no IPv6")
    closing.enter_context(sockets["https"])
    with socket.create_connection(("127.0.0.1", port), timeout=20):
        pass


def test_sockets_travel_as_an_argument(closing: ExitStack) -> None:
    """What a worker reads from its argument are the very sockets it inherited."""
    port = free_port()
    (sockets,) = open_ports("127.0.0.1", {"https": port, "http": free_port()}, 1)
    duplicates = {name: sock.dup() for name, sock in sockets.items()}
    for sock in sockets.values():
        closing.enter_context(sock)
    argument = as_argument(duplicates)
    for sock in duplicates.values():
        sock.detach()
    taken_over = from_argument(argument)
    for sock in taken_over.values():
        closing.enter_context(sock)
    assert taken_over["https"].getsockname() == ("127.0.0.1", port)
    assert list(taken_over) == ["https", "http"]
