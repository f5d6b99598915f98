"""An upstream that records what it is sent, octet by octet, and answers what it is told to."""

from __future__ import annotations

import queue
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.journeys.transcript import Request, requests_in

if TYPE_CHECKING:
    from collections.abc import Callable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

PATIENCE = 20.0


@dataclass
class Conversation:
    """One connection to the upstream, from the upstream's side; ``seen`` is all that came over it."""

    sock: socket.socket
    seen: bytearray = field(default_factory=bytearray)
    _at: int = 0

    def read_head(self) -> bytes:
        """Read a request head, empty line included; ``ConnectionError`` at the end of the connection."""
        return self._read_until(b"\r\n\r\n")

    def read(self, count: int) -> bytes:
        """Read exactly ``count`` octets."""
        while len(self.seen) - self._at < count:
            self._receive()
        piece = bytes(self.seen[self._at : self._at + count])
        self._at += count
        return piece

    def read_request(self) -> bytes:
        """Read a whole request by its own framing."""
        head = self.read_head()
        fields = head.lower()
        if b"\r\ntransfer-encoding: chunked\r\n" in fields:
            body = line = b""
            while line != b"0\r\n":
                line = self._read_until(b"\r\n")
                body += line + self.read(int(line, 16) and int(line, 16) + 2)
            while line != b"\r\n":
                line = self._read_until(b"\r\n")
                body += line
            return head + body
        length = 0
        for line in fields.split(b"\r\n"):
            if line.startswith(b"content-length: "):
                length = int(line.split(b": ")[1])
        return head + self.read(length)

    @property
    def requests(self) -> list[Request]:
        """What came, read strictly; ``AssertionError`` where it could be read in two ways."""
        return requests_in(bytes(self.seen))

    def send(self, data: bytes) -> None:
        """Send octets as they are."""
        self.sock.sendall(data)

    def wait_for_end(self) -> None:
        """Return when the router has closed or cut the connection."""
        with suppress(ConnectionError):
            while True:
                self._receive()

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.sock.close()

    def _read_until(self, end: bytes) -> bytes:
        while (found := self.seen.find(end, self._at)) < 0:
            self._receive()
        piece = bytes(self.seen[self._at : found + len(end)])
        self._at = found + len(end)
        return piece

    def _receive(self) -> None:
        data = self.sock.recv(65_536)
        if not data:
            raise ConnectionError("the router closed the connection")
        self.seen += data


def answer_all(conversation: Conversation) -> None:
    """Answer each request with ``OK`` until the connection ends."""
    while True:
        conversation.read_request()
        conversation.send(OK)


class RecordingUpstream:
    """Listens on a port of its own; each connection is a thread that follows the script of the moment.

    ``contacts`` holds the conversations in the order in which they began. Another listening socket may be
    given: a Unix socket's, or one that speaks TLS.
    """

    def __init__(self, listening: socket.socket | None = None) -> None:
        self.script: Callable[[Conversation], None] = answer_all
        self.contacts: list[Conversation] = []
        self.faults: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self._listening = listening or socket.create_server(("127.0.0.1", 0))
        name = self._listening.getsockname()
        self.port: int = name[1] if isinstance(name, tuple) else 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """What a tenant's upstream is set to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def seen(self) -> bytes:
        """All that ever came, over all connections."""
        return b"".join(bytes(contact.seen) for contact in self.contacts)

    @property
    def requests(self) -> list[Request]:
        """All requests of all connections, read strictly."""
        return [request for contact in self.contacts for request in contact.requests]

    def judge(self) -> None:
        """Read all that came; ``AssertionError`` where it could be read in two ways."""
        for contact in self.contacts:
            requests_in(bytes(contact.seen))

    def begin_anew(self, script: Callable[[Conversation], None] = answer_all) -> None:
        """Forget what was, cut every connection, and follow ``script`` from now on."""
        for contact in self.contacts:
            with suppress(OSError):
                contact.sock.shutdown(socket.SHUT_RDWR)
        self.contacts = []
        self.script = script

    def close(self) -> None:
        """Listen no more."""
        self.begin_anew()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = self._listening.accept()
                accepted.settimeout(PATIENCE * 4)
                conversation = Conversation(accepted)
                self.contacts.append(conversation)
                threading.Thread(target=self._follow, args=(conversation,), daemon=True).start()

    def _follow(self, conversation: Conversation) -> None:
        with conversation.sock:
            try:
                self.script(conversation)
            except OSError:
                pass  # the router went away: what it sent before is on record
            except AssertionError as fault:
                self.faults.put(fault)
