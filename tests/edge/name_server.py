"""A real name server on loopback, over UDP and TCP, that says what a test tells it to."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from dnslib import AAAA, CLASS, CNAME, QTYPE, RCODE, RR, TXT, A, DNSRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_DATA = {"A": A, "AAAA": AAAA, "CNAME": CNAME, "TXT": lambda data: TXT(data.split("|"))}


class NameServer(asyncio.DatagramProtocol):
    """Answers for the names in ``records``: lines as ``A 192.0.2.1 60``, of kind, data and time to live.

    ``TXT one|two 60`` is one record of two strings. Of other names it says NXDOMAIN, of those in ``failing``
    SERVFAIL, in ``refusing`` REFUSED, in ``garbling`` nonsense, and of those in ``silent`` nothing; a kind
    may be named too, as in ``AAAA erp.example.``. ``asked`` are the questions, ``over_tcp`` those over TCP;
    with ``cut`` every answer over UDP is truncated, and with ``mute_tcp`` nothing is said over TCP. A
    ``terse`` one leaves it to the asker to follow aliases.
    """

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.failing: set[str] = set()
        self.silent: set[str] = set()
        self.refusing: set[str] = set()
        self.garbling: set[str] = set()
        self.cut = False
        self.mute_tcp = False
        self.terse = False
        self.asked: list[str] = []
        self.over_tcp: list[str] = []
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._tcp.getsockname()[1]
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", self.port))
        self._transport: asyncio.DatagramTransport

    @property
    def address(self) -> str:
        """What the setting names."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Serve on the running loop, until :meth:`stop`."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=self._udp)
        self._server = await asyncio.start_server(self._talk, sock=self._tcp)

    async def stop(self) -> None:
        """Serve no longer."""
        self._transport.close()
        self._server.close()
        await self._server.wait_closed()

    def times_asked(self, name: str) -> int:
        """How often the A records of a name were asked for."""
        return self.asked.count(f"A {name}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer over whichever transport a question comes."""

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        """Answer over UDP, as far as 512 octets reach."""
        reply = self._reply(DNSRecord.parse(data))
        if reply is None:
            return
        packed = reply.pack()
        if self._concerns(DNSRecord.parse(data), self.garbling):
            packed = packed[:12] + b"\xff" * 9
        if self.cut or len(packed) > 512:
            reply.rr = []
            reply.header.tc = 1
            packed = reply.pack()
        self._transport.sendto(packed, peer)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            length = int.from_bytes(await reader.readexactly(2), "big")
            question = DNSRecord.parse(await reader.readexactly(length))
            self.over_tcp.append(str(question.q.qname))
            reply = self._reply(question)
            if reply is not None and not self.mute_tcp:
                packed = reply.pack()
                writer.write(len(packed).to_bytes(2, "big") + packed)
                await writer.drain()
        writer.close()

    def _reply(self, question: DNSRecord) -> DNSRecord | None:
        name, kind = str(question.q.qname).lower(), QTYPE[question.q.qtype]
        self.asked.append(f"{kind} {name}")
        if self._concerns(question, self.silent):
            return None
        reply = question.reply()
        if self._concerns(question, self.failing):
            reply.header.rcode = RCODE.SERVFAIL
        elif self._concerns(question, self.refusing):
            reply.header.rcode = RCODE.REFUSED
        elif name not in self.records:
            reply.header.rcode = RCODE.NXDOMAIN
        else:
            self._fill(reply, name, kind)
        return reply

    @staticmethod
    def _concerns(question: DNSRecord, names: set[str]) -> bool:
        name, kind = str(question.q.qname).lower(), QTYPE[question.q.qtype]
        return bool({name, f"{kind} {name}"} & names)

    def _fill(self, reply: DNSRecord, name: str, kind: str) -> None:
        for record in self.records.get(name.lower(), []):
            own, data, ttl = record.split()
            if own in {kind, "CNAME"}:
                answer = RR(name, getattr(QTYPE, own), CLASS.IN, int(ttl), _DATA[own](data))
                reply.add_answer(answer)
            if own == "CNAME" and not self.terse and len(reply.rr) < 8:
                self._fill(reply, data, kind)


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """Run a name server on the test's own loop."""
    server = NameServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
