"""A small Redis of our own on loopback that can fail in every way a real one was seen to."""

from __future__ import annotations

import asyncio
from typing import Final, Literal, Self

Mode = Literal[
    "serve", "hang", "cut", "drip", "garbage", "huge", "surplus", "readonly", "loading", "oom", "noauth"
]

_ERRORS: Final[dict[Mode, bytes]] = {
    "readonly": b"-READONLY You can't write against a read only replica.\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "oom": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "noauth": b"-NOAUTH Authentication required.\r\n",
}
_HANDSHAKE = {b"HELLO", b"CLIENT", b"SELECT", b"AUTH"}


class FaultyRedis:
    """Speaks as much RESP as the cache needs; ``mode`` says how well.

    ``echo`` has it answer every read with the key that was asked for, ``delay`` seconds later.
    """

    def __init__(self) -> None:
        self.mode: Mode = "serve"
        self.echo = False
        self.delay = 0.0
        self.commands = 0
        self.connections = 0
        self.port = 0
        self._values: dict[bytes, bytes] = {}
        self._open: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and break every connection; what was stored is gone."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self._values.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.connections += 1
        try:
            queued: list[bytes] | None = None
            while True:
                command = await _read_command(reader)
                queued = await self._answer(command, queued, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._open.discard(task)

    async def _answer(
        self, command: list[bytes], queued: list[bytes] | None, writer: asyncio.StreamWriter
    ) -> list[bytes] | None:
        name = command[0].upper()
        if self.mode == "hang":
            await asyncio.Event().wait()
        if name in _HANDSHAKE:
            writer.write(b"%1\r\n+proto\r\n:3\r\n" if name == b"HELLO" else b"+OK\r\n")
            return queued
        self.commands += 1
        if self.delay:
            await asyncio.sleep(self.delay)
        if name == b"MULTI":
            writer.write(b"+OK\r\n")
            return []
        if name == b"EXEC" and queued is not None:
            await self._send(b"*%d\r\n" % len(queued) + b"".join(queued), writer)
            return None
        if queued is not None:
            writer.write(b"+QUEUED\r\n")
            return [*queued, self._do(name, command[1:])]
        await self._send(self._do(name, command[1:]), writer)
        return None

    async def _send(self, answer: bytes, writer: asyncio.StreamWriter) -> None:
        match self.mode:
            case "cut":
                writer.write(answer[: len(answer) // 2])
                await writer.drain()
                raise ConnectionAbortedError
            case "drip":  # never silent for long, never done either
                for octet in b"$1000\r\n" + b"x" * 1000:
                    writer.write(bytes([octet]))
                    await asyncio.sleep(0.05)
            case "garbage":
                writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n\x00\xff")
            case "huge":
                writer.write(b"$999999999999\r\n")
            case "surplus":  # two answers to one question
                writer.write(answer + b"$6\r\npoison\r\n")
            case "serve" | "hang":
                writer.write(answer)
            case _:
                writer.write(_ERRORS[self.mode])

    def _do(self, name: bytes, arguments: list[bytes]) -> bytes:
        key = arguments[0] if arguments else b""
        match name:
            case b"GETRANGE":
                value = key if self.echo else self._values.get(key, b"")
                return b"$%d\r\n%b\r\n" % (len(value), value)
            case b"SET":
                if not (b"NX" in arguments[2:] and key in self._values):
                    self._values[key] = arguments[1]
                return b"+OK\r\n"
            case b"INCR":
                self._values[key] = b"%d" % (int(self._values.get(key, b"0")) + 1)
                return b":%b\r\n" % self._values[key]
            case b"DEL":
                return b":%d\r\n" % sum(self._values.pop(name, None) is not None for name in arguments)
            case b"PING":
                return b"+PONG\r\n"
            case _:
                return b"-ERR unknown command\r\n"


async def _read_command(reader: asyncio.StreamReader) -> list[bytes]:
    count = int((await reader.readuntil(b"\r\n"))[1:])
    words = []
    for _ in range(count):
        size = int((await reader.readuntil(b"\r\n"))[1:])
        words.append((await reader.readexactly(size + 2))[:-2])
    return words
