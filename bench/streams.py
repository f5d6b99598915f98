"""The upstream for large bodies and WebSockets, which nginx alone has no way to swallow or to echo.

A program of its own, `python streams.py PORT`. It answers the pages of the other upstream as well, so that a
peer can be proved and warmed up before it. It believes whoever is in front of it: it is nobody's example.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys

from stage import BODY_BYTES, WHO_AM_I

_PIECE = bytes(256 * 1024)
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_FRAME_HEAD = 2
_MASK = 4
_LENGTH = 0x7F


class Upstream(asyncio.Protocol):
    """One connection: heads, and what each of them asks for."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._take = self._take_head
        self._paused = False
        self._to_send = self._to_receive = self._expected = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Give it to whatever is under way."""
        self._take(data)

    def pause_writing(self) -> None:
        """Stop sending until the other end has read."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on sending."""
        self._paused = False
        self._send()

    def _take_head(self, data: bytes) -> None:
        self._received += data
        if b"\r\n\r\n" not in self._received:
            return
        head, _, rest = bytes(self._received).partition(b"\r\n\r\n")
        self._received.clear()
        request, *lines = head.split(b"\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        self._answer(request.split()[1].decode(), fields)
        if rest:
            self._take(rest)

    def _answer(self, target: str, fields: dict[bytes, bytes]) -> None:
        if target.startswith("/down/"):
            self._to_send = int(target.rpartition("/")[2])
            self._transport.write(_head(self._to_send))
            self._send()
        elif target == "/up":
            self._to_receive = self._expected = int(fields[b"content-length"])
            self._take = self._take_body
        elif target == "/echo":
            self._transport.write(_switch(fields[b"sec-websocket-key"]))
            self._take = self._take_frames
        elif target == WHO_AM_I:
            said = fields.get(b"x-portal-email", b"") + b" " + fields.get(b"x-portal-jwt-assertion", b"")
            self._transport.write(_head(len(said)) + said)
        else:
            self._transport.write(_head(BODY_BYTES) + b"x" * BODY_BYTES)

    def _send(self) -> None:
        while self._to_send and not self._paused:
            piece = _PIECE[: self._to_send]
            self._to_send -= len(piece)
            self._transport.write(piece)

    def _take_body(self, data: bytes) -> None:
        self._to_receive -= len(data)
        if self._to_receive <= 0:
            self._take = self._take_head
            said = b"%d" % (self._expected - self._to_receive)
            self._transport.write(_head(BODY_BYTES) + said.ljust(BODY_BYTES))

    def _take_frames(self, data: bytes) -> None:
        """Echo short frames that are whole messages; the generator sends no others."""
        self._received += data
        while len(self._received) > _FRAME_HEAD:
            length = self._received[1] & _LENGTH
            begin = _FRAME_HEAD + _MASK
            if len(self._received) < begin + length:
                return
            mask = bytes(self._received[_FRAME_HEAD:begin]) * (length // _MASK + 1)
            payload = _xor(bytes(self._received[begin : begin + length]), mask[:length])
            self._transport.write(bytes((self._received[0], length)) + payload)
            del self._received[: begin + length]


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))


def _head(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % length


def _switch(key: bytes) -> bytes:
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
