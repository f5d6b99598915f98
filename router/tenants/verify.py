"""What the DNS says of a hostname, asked as the world would ask: the evidence for a claim.

/etc/hosts and search domains are of no account here, and nothing is kept from one look to the next. Each
question goes to the name servers in turn until one of them gives a definite answer: records, or that there
are none (NOERROR), or no such name (NXDOMAIN). An answer that was cut off is asked for again over TCP.
Whatever else comes is no answer, and its code says which: ``dns_timeout``, ``dns_servfail``, ``dns_refused``,
``dns_truncated`` or ``dns_unreachable``. proof.py judges.
"""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dns.asyncquery
import dns.message
import dns.name
import dns.resolver
from dns.exception import DNSException
from dns.message import Truncated
from dns.rcode import NOERROR, NXDOMAIN, SERVFAIL
from dns.rdataclass import IN
from dns.rdatatype import CNAME, RdataType

from router.hostname import MAX_NAME
from router.tenants.proof import Facts, Heard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dns.message import Message

    from router.hostname import Hostname
    from router.tenants.proof import Question

MOST_VALUES: Final = 64
"""Records of one answer that are looked at."""

MOST_HOPS: Final = 16
"""CNAME records that are followed, as far as name servers do it themselves."""

_PAYLOAD: Final = 1232  # what fits into a packet everywhere (the DNS Flag Day of 2020)
_TRIES: Final = 2


class Verifier:
    """Asks name servers (``IP:port``), those of ``resolv_conf`` if none are named.

    ``patience`` is in seconds, for each question to all servers together.
    """

    def __init__(
        self,
        servers: Sequence[str] = (),
        *,
        patience: float = 5.0,
        resolv_conf: Path = Path("/etc/resolv.conf"),
    ) -> None:
        self._servers = tuple(servers)
        self._patience = patience
        self._resolv_conf = resolv_conf

    def __repr__(self) -> str:
        return f"<Verifier by {', '.join(self._servers) or self._resolv_conf}>"

    async def look(self, hostname: Hostname, txt_name: str, target: Hostname) -> Facts:
        """Hear what there is of a hostname, its challenge and the tenant's target, all at once."""
        servers = self._servers or await asyncio.to_thread(_configured, self._resolv_conf)
        questions: tuple[tuple[str, Question], ...] = (
            (hostname, "A"),
            (hostname, "AAAA"),
            (txt_name, "TXT"),
            (target, "A"),
            (target, "AAAA"),
        )
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._follow(name, kind, servers)) for name, kind in questions]
        return Facts(*(each.result() for each in asked))

    async def _follow(self, name: str, kind: Question, servers: Sequence[str]) -> Heard:
        """Ask, and go after a chain that the server left for the asker to follow."""
        heard = Heard(kind, name, "", fault="dns_timeout")
        chain: list[str] = []
        try:
            async with asyncio.timeout(self._patience):
                for _ in range(MOST_HOPS):
                    heard = await self._ask(chain[-1] if chain else name, kind, servers)
                    chain += heard.chain
                    looped = heard.looped or len({name, *chain}) <= len(chain)
                    if looped or heard.values or heard.fault or not heard.chain:
                        return _of_chain(heard, name, chain, looped=looped)
        except TimeoutError:
            heard = Heard(kind, name, "", fault="dns_timeout")
        return _of_chain(heard, name, chain, looped=not heard.fault)

    async def _ask(self, name: str, kind: Question, servers: Sequence[str]) -> Heard:
        """Ask one server after the other until one knows."""
        if len(name) > MAX_NAME:  # a challenge that cannot be published
            return Heard(kind, name, "", exists=False)
        heard = Heard(kind, name, "", fault="dns_timeout")
        each = self._patience / max(_TRIES, len(servers))
        for server in servers:
            heard = await _ask_one(name, kind, server, each)
            if not heard.fault:
                break
        return heard


async def _ask_one(name: str, kind: Question, server: str, patience: float) -> Heard:
    host, _, port = server.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        async with asyncio.timeout(patience):
            answer = await _exchange(name, kind, host, int(port))
    except Truncated:
        return Heard(kind, name, server, fault="dns_truncated")
    except (TimeoutError, DNSException):  # nonsense is passed over, as a forger's answer would be
        return Heard(kind, name, server, fault="dns_timeout")
    except OSError:
        return Heard(kind, name, server, fault="dns_unreachable")
    return _heard(answer, name, kind, server)


async def _exchange(name: str, kind: Question, host: str, port: int) -> Message:
    """Ask over UDP, and over TCP what did not fit. Raises what dnspython does."""
    question = dns.message.make_query(name, kind, use_edns=0, payload=_PAYLOAD)
    try:
        return await dns.asyncquery.udp(
            question, host, port=port, raise_on_truncation=True, ignore_unexpected=True, ignore_errors=True
        )
    except Truncated as cut:
        try:
            return await dns.asyncquery.tcp(question, host, port=port)
        except (OSError, EOFError, DNSException):
            raise cut from None  # that it was cut off is what is to be told


def _heard(answer: Message, name: str, kind: Question, server: str) -> Heard:
    if answer.rcode() not in (NOERROR, NXDOMAIN):
        fault = "dns_servfail" if answer.rcode() == SERVFAIL else "dns_refused"
        return Heard(kind, name, server, fault=fault)
    chain, looped = _chain(answer, name)
    found = answer.get_rrset(answer.answer, dns.name.from_text((chain or [name])[-1]), IN, RdataType[kind])
    values = tuple(_text(record) for record in found or ())[:MOST_VALUES]
    # With an alias, NXDOMAIN is about its end (RFC 6604 section 3).
    exists = answer.rcode() == NOERROR or bool(chain)
    return Heard(kind, name, server, tuple(chain), values, exists=exists, looped=looped)


def _chain(answer: Message, name: str) -> tuple[list[str], bool]:
    """Walk the aliases of an answer from ``name`` on, in lower case; say whether they go in a circle."""
    chain: list[str] = []
    while len(chain) < MOST_HOPS:
        here = dns.name.from_text((chain or [name])[-1])
        alias = answer.get_rrset(answer.answer, here, IN, CNAME)
        if alias is None:
            return chain, False
        after = str(alias[0].target).lower().removesuffix(".")
        if after in (name, *chain):
            return [*chain, after], True
        chain.append(after)
    return chain, True


def _text(record: dns.rdata.Rdata) -> str:
    """Spell an address, or a text joined of its strings; octets that are no text show as such.

    Strangers write it, and it is stored and shown, at terminals too: no control characters.
    """
    strings = getattr(record, "strings", None)
    if strings is None:
        return str(record)
    text = b"".join(strings).decode("utf-8", errors="replace")
    return "".join(character if character.isprintable() else "?" for character in text)


def _of_chain(heard: Heard, name: str, chain: list[str], *, looped: bool) -> Heard:
    """Give what was heard at the end of a chain as the answer to the question at its beginning."""
    exists = heard.exists or bool(chain)
    values = () if looped else heard.values
    return Heard(
        heard.question,
        name,
        heard.resolver,
        tuple(chain),
        values,
        exists=exists,
        looped=looped,
        fault=heard.fault,
    )


def _configured(path: Path) -> tuple[str, ...]:
    """Name the system's servers; where none is named, this machine (resolv.conf(5)). Blocking."""
    client = dns.resolver.Resolver(configure=False)
    try:
        client.read_resolv_conf(io.StringIO(path.read_text("utf-8", errors="replace")))
    except (OSError, DNSException, ValueError):
        return ("127.0.0.1:53",)
    found = [str(server) for server in client.nameservers]
    return tuple(f"[{address}]:53" if ":" in address else f"{address}:53" for address in found)
