"""Handshakes over real sockets."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from tests.certificates.maker import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

Address = tuple[str, int]
_LIMIT = 10


@dataclass(frozen=True)
class Shaken:
    """What a client saw of a handshake."""

    leaf: x509.Certificate
    version: str | None
    cipher: str
    protocol: str | None
    reused: bool
    session: ssl.SSLSession | None


def client_context(version: ssl.TLSVersion | None = None, ciphers: str | None = None) -> ssl.SSLContext:
    """Make a client that trusts the root of the tests, and checks names but no dates: those are NOW's."""
    context = ssl.create_default_context(cadata=ROOT.pem.decode())
    context.verify_flags |= getattr(ssl, "VERIFY_NO_CHECK_TIME", 0x200000)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if ciphers is not None:
        context.set_ciphers(ciphers)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@contextmanager
def serving(context: ssl.SSLContext) -> Iterator[Address]:
    """Answer each handshake with one byte until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=_answer, args=(listener, context))
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(_LIMIT)
        listener.close()


def _answer(listener: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        client.settimeout(_LIMIT)
        with contextlib.suppress(OSError), client, context.wrap_socket(client, server_side=True) as channel:
            channel.sendall(b"x")
            channel.recv(1)


def shake(
    address: Address, hostname: str, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> Shaken:
    """Connect as a client of ``hostname``; raises ``ssl.SSLError`` when there is no handshake."""
    with (
        socket.create_connection(address, timeout=_LIMIT) as plain,
        context.wrap_socket(plain, server_hostname=hostname, session=session) as channel,
    ):
        channel.recv(1)
        channel.sendall(b"y")
        der, cipher = channel.getpeercert(binary_form=True), channel.cipher()
        assert der is not None
        assert cipher is not None
        return Shaken(
            leaf=x509.load_der_x509_certificate(der),
            version=channel.version(),
            cipher=cipher[0],
            protocol=channel.selected_alpn_protocol(),
            reused=bool(channel.session_reused),
            session=channel.session,
        )
