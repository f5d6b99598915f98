"""Name servers: what the system's files and its name servers say of a name.

Where a name is looked for, as the C library would do it:

1. ``localhost`` and what is below it is this machine (RFC 6761 section 6.3).
2. /etc/hosts, as it is now.
3. The name servers of /etc/resolv.conf, or those of the settings: the name with each search domain and by
   itself, by itself first when it has as many dots as ``ndots`` says. The first of these that has an address
   is the one; A and AAAA are asked of it together.
"""

from __future__ import annotations

import asyncio
import io
import time
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import dns.asyncresolver
import dns.name
import structlog
from dns.exception import DNSException
from dns.nameserver import Do53Nameserver
from dns.rdatatype import AAAA, A, RdataType
from dns.resolver import NXDOMAIN, NoResolverConfiguration

from router.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_log = structlog.get_logger(__name__)

MOST_ADDRESSES: Final = 16
"""Addresses of each kind that are taken of one answer: one over TCP may hold thousands."""

_LOOK_EVERY: Final = 1.0
_HOSTS_TTL: Final = 5.0
_PARTIAL_TTL: Final = 30.0
_TRIES: Final = 3
_SECOND_LOOK: Final = 0.25
_LOCAL: Final = ("127.0.0.1",), ("::1",)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Found:
    """The addresses of a name, of IPv4 and of IPv6, never none at all; ``ttl`` seconds they are good for."""

    v4: tuple[str, ...]
    v6: tuple[str, ...]
    ttl: float


class NameServers:
    """Asks about one name at a time; keeps no answers.

    ``servers`` (``IP:port``) are asked instead of those of ``resolv_conf``, whose search domains hold anyway.
    ``patience`` is in seconds: three tries have their place in it, of several servers one each.
    """

    def __init__(
        self,
        servers: Sequence[str] = (),
        *,
        patience: float,
        hosts: Path = Path("/etc/hosts"),
        resolv_conf: Path = Path("/etc/resolv.conf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.patience = patience
        self._servers = [Do53Nameserver(*_split(server)) for server in servers]
        self._hosts = _File(hosts, read_hosts)
        self._client = _File(resolv_conf, self._configured)
        self._clock = clock
        self._looked = -_LOOK_EVERY
        self._looking = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<NameServers {', '.join(map(str, self._client.content.nameservers))}>"

    async def look_up(self, name: str) -> Found:
        """Find the addresses of ``name``, a hostname in its compared spelling.

        Raises ``Unavailable``: ``name_unknown`` when there are none, ``name_unanswered`` when that cannot be
        told.
        """
        if name == "localhost" or name.endswith(".localhost"):
            return Found(*_LOCAL, _HOSTS_TTL)
        await self._look_at_files()
        written = self._hosts.content.get(name)
        if written is not None:
            return Found(*written, _HOSTS_TTL)
        client = self._client.content
        domains = client.search or ([client.domain] if client.domain != dns.name.root else [])
        for full in full_names(name, domains, 1 if client.ndots is None else client.ndots):
            found = _joined(name, await self._ask_both(full))
            if found is not None:
                return found
        raise Unavailable("name_unknown", f"The name {name} has no address.")

    async def _look_at_files(self) -> None:
        """Read again what has changed, once a second at most, in a thread."""
        async with self._looking:
            if self._clock() >= self._looked + _LOOK_EVERY:
                self._looked = self._clock()
                await asyncio.to_thread(self._hosts.look)
                await asyncio.to_thread(self._client.look)

    def _configured(self, text: str) -> dns.asyncresolver.Resolver:
        client = dns.asyncresolver.Resolver(configure=False)
        client.nameservers = ["127.0.0.1"]  # resolv.conf(5): where no server is named
        try:
            client.read_resolv_conf(io.StringIO(text))
        except NoResolverConfiguration:
            pass  # it names none, but perhaps search domains
        except (DNSException, ValueError) as fault:
            _log.warning("resolv.conf cannot be understood", cause=str(fault))
        if self._servers:
            client.nameservers = self._servers
        client.timeout = self.patience / _TRIES
        return client

    async def _ask_both(self, name: dns.name.Name) -> tuple[_Heard, _Heard]:
        """Ask for addresses of both kinds; servers that ignore one do not hold up the other for long."""
        async with asyncio.TaskGroup() as questions:
            asked = [questions.create_task(self._ask(name, kind)) for kind in (A, AAAA)]
            done, left = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            if left and any(each.result().addresses for each in done):
                await asyncio.wait(left, timeout=_SECOND_LOOK)
                for each in left:
                    each.cancel()
        v4, v6 = (_Heard(fault="no answer") if each.cancelled() else each.result() for each in asked)
        return v4, v6

    async def _ask(self, name: dns.name.Name, kind: RdataType) -> _Heard:
        try:
            answer = await self._client.content.resolve(
                name, kind, search=False, raise_on_no_answer=False, lifetime=self.patience
            )
        except NXDOMAIN:
            return _Heard()
        except DNSException as fault:  # of which every other kind is a failure
            return _Heard(fault=str(fault) or type(fault).__name__)
        addresses = tuple(rdata.address for rdata in answer.rrset or ())[:MOST_ADDRESSES]
        return _Heard(addresses, float(answer.chaining_result.minimum_ttl))


def read_hosts(text: str) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Read /etc/hosts: each name's addresses of IPv4 and of IPv6. Lines that make no sense are skipped."""
    found: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        try:
            version = ip_address(address).version
        except ValueError:
            continue
        if "%" in address:  # a zone is this machine's own matter, and no upstream has one
            continue
        for name in (each.lower().removesuffix(".") for each in names):
            v4, v6 = found.get(name, ((), ()))
            found[name] = ((*v4, address), v6) if version == 4 else (v4, (*v6, address))  # noqa: PLR2004 - IPv4
    return found


def full_names(name: str, domains: Sequence[dns.name.Name], ndots: int) -> Iterator[dns.name.Name]:
    """Name what to ask for, in order (resolv.conf(5): search, ndots). What would be too long is left out."""
    itself = dns.name.from_text(name)
    if name.count(".") >= ndots:
        yield itself
    for domain in domains:
        try:
            yield dns.name.from_text(name, domain)
        except DNSException:
            continue
    if name.count(".") < ndots:
        yield itself


@dataclass(frozen=True, slots=True)
class _Heard:
    """What servers say to one question: addresses, or that there are none, or nothing (``fault``)."""

    addresses: tuple[str, ...] = ()
    ttl: float = 0.0
    fault: str = ""


def _joined(name: str, heard: tuple[_Heard, _Heard]) -> Found | None:
    """Join what was said of both kinds. Half an answer is used, and asked for again soon."""
    v4, v6 = heard
    lasting = [each.ttl for each in heard if each.addresses]
    fault = v4.fault or v6.fault
    if lasting:
        return Found(v4.addresses, v6.addresses, min(*lasting, _PARTIAL_TTL) if fault else min(lasting))
    if fault:
        # The next search domain is not tried: what is found there may be somebody else.
        raise Unavailable("name_unanswered", f"The name servers do not answer for {name}: {fault}")
    return None


class _File(Generic[_T]):
    """A file of the system's and what it says; none is an empty one."""

    def __init__(self, path: Path, read: Callable[[str], _T]) -> None:
        self._path = path
        self._read = read
        self._signature: tuple[int, int, int] | None = None
        self.content = read("")

    def look(self) -> None:
        """Read it again if it has changed. Blocking: for a thread."""
        try:
            facts = self._path.stat()
            signature = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if signature != self._signature:
                self.content = self._read(self._path.read_text("utf-8", errors="replace"))
                self._signature = signature
        except OSError as fault:
            if self._signature is not None:  # what was read before holds
                _log.warning("file cannot be read", file=str(self._path), cause=fault.strerror)
            self._signature = None


def _split(server: str) -> tuple[str, int]:
    """Take ``IP:port`` apart, as the settings write it."""
    host, _, port = server.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)
