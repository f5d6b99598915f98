"""The proof, before anything is measured, that a peer does the work that is compared."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import TYPE_CHECKING

from processes import BenchError
from stage import BODY_BYTES, BROWSER_HEADERS, EMAIL, HOSTNAME, SESSION_COOKIE, WHO_AM_I

if TYPE_CHECKING:
    from peers.peer import Peer, Recipe
    from stage import Stage

_CIPHER = "TLS_AES_256_GCM_SHA384"
_OK = 200


def check(recipe: Recipe, peer: Peer, stage: Stage) -> None:
    """Raise ``BenchError`` unless ``peer`` forwards over TLS 1.3 and, if it should, refuses strangers."""
    connection = connect(peer.port, stage)
    try:
        cookie = {"Cookie": f"{SESSION_COOKIE}={peer.token}"}
        status, body = _get(connection, "/invoices", cookie)
        if (status, len(body)) != (_OK, BODY_BYTES):
            raise BenchError(f"{recipe.name} answered {status} with {len(body)} bytes instead of 1 KiB.")
        _check_tls(recipe, connection)
        if recipe.checks_session:
            _check_session(recipe, connection, cookie)
    finally:
        connection.close()


def connect(port: int, stage: Stage) -> http.client.HTTPSConnection:
    """Open a TLS connection to the proxy on ``port``, with the tenant's hostname as the server name."""
    context = ssl.create_default_context(cafile=str(stage.authority))
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection = http.client.HTTPSConnection(HOSTNAME, port, context=context)
    connection.sock = context.wrap_socket(plain, server_hostname=HOSTNAME)
    connection.auto_open = 0  # it could not find the hostname, which is in no DNS
    return connection


def _get(connection: http.client.HTTPSConnection, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    connection.request("GET", path, headers={**BROWSER_HEADERS, **headers})
    answer = connection.getresponse()
    return answer.status, answer.read()


def _check_session(recipe: Recipe, connection: http.client.HTTPSConnection, cookie: dict[str, str]) -> None:
    email, _, assertion = _get(connection, WHO_AM_I, cookie)[1].decode().partition(" ")
    if email != EMAIL or not assertion:
        raise BenchError(f"{recipe.name} did not tell the upstream who is asking.")
    if _get(connection, "/invoices", {"Cookie": f"{SESSION_COOKIE}={'x' * 43}"})[0] == _OK:
        raise BenchError(f"{recipe.name} forwarded a visit whose session it cannot know.")


def _check_tls(recipe: Recipe, connection: http.client.HTTPSConnection) -> None:
    # An answer that closes the connection would make handshakes of what should be requests.
    if not isinstance(connection.sock, ssl.SSLSocket):
        raise BenchError(f"{recipe.name} closed the connection after one answer.")
    # Caddy and Envoy would rather have a cipher of 128 bits; openssl.cnf keeps it from being offered.
    chosen = connection.sock.version(), (connection.sock.cipher() or ("none",))[0]
    if chosen != ("TLSv1.3", _CIPHER):
        raise BenchError(f"{recipe.name} chose {chosen} instead of TLSv1.3 with {_CIPHER}.")
