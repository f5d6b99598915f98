"""Hostnames as they are compared: lower case, A-labels, no port, no trailing dot.

PURE. The rules are those of RFC 1123 section 2.1 (letters, digits, hyphens), RFC 5891 (IDNA 2008) and
RFC 9110 section 7.2 (the Host header is ``uri-host [":" port]``), read as strictly as they can be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

import idna

from router.errors import BadInput

MAX_NAME = 253
"""Octets of a whole name without its trailing dot (RFC 1035 section 2.3.4)."""

_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{1,5}))?")
_MAX_PORT = 65535
_HTTPS = 443


class Hostname(str):
    """A DNS name in the one spelling we compare by; make one with :meth:`parse` only.

    A ``str`` underneath, because it is the key of every lookup on the hot path.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, raw: str) -> Hostname:
        """Read a name as a person or a header gives it.

        Raises ``BadInput("bad_hostname")`` for whatever is not a DNS name: empty labels, other characters,
        IP literals, too long.
        """
        name = raw.removesuffix(".").lower()
        if not name.isascii():
            try:
                name = idna.encode(name, uts46=True).decode("ascii")
            except (idna.IDNAError, UnicodeError) as fault:
                raise BadInput(
                    "bad_hostname", f"“{raw[:80]}” is not a valid internationalised name."
                ) from fault
        if len(name) > MAX_NAME or _NAME.fullmatch(name) is None or _looks_like_ipv4(name):
            raise BadInput("bad_hostname", f"“{raw[:80]}” is not a hostname.")
        return cls(name)

    @classmethod
    def _validated(cls, raw: object) -> Hostname:
        try:
            return cls.parse(str(raw))
        except BadInput as fault:
            raise ValueError(fault.sentence) from fault

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> dict[str, object]:
        """Let pydantic read one by :meth:`parse`, so that a cache cannot hand out a malformed name."""
        return {"type": "function-plain", "function": {"type": "no-info", "function": cls._validated}}

    @property
    def parent(self) -> str:
        """The name without its first label; empty for a single label."""
        return self.partition(".")[2]

    def is_under(self, domain: str) -> bool:
        """Whether this name is ``domain`` itself or below it."""
        return self == domain or self.endswith(f".{domain}")


def port_suffix(port: int | None) -> str:
    """What stands behind a hostname in an https address: nothing for port 443 (RFC 9110 section 4.2.2)."""
    return "" if port in (None, _HTTPS) else f":{port}"


@dataclass(frozen=True, slots=True)
class Authority:
    """What a Host header names: a hostname or an IP literal, and a port where one is given."""

    host: Hostname | IPv4Address | IPv6Address
    port: int | None = None


@lru_cache(maxsize=4096)
def parse_authority(raw: bytes) -> Authority:
    """Read the value of a Host header or the authority of a request target.

    Remembered for the most recent 4,096 spellings, because a browser sends the same one each time (0.1 µs
    instead of 3). Raises ``BadInput("bad_host")`` for user information, lists, odd ports, and anything else
    that is not exactly one host.
    """
    match = _AUTHORITY.fullmatch(_ascii(raw))
    if match is None:
        raise BadInput("bad_host", "The Host header does not name one host.")
    text, digits = match.group(1), match.group(2)
    port = int(digits) if digits is not None else None
    if port is not None and not 0 < port <= _MAX_PORT:
        raise BadInput("bad_host", "The Host header has an impossible port.")
    if text.startswith("["):
        return Authority(_ipv6(text[1:-1]), port)
    if _looks_like_ipv4(text):
        return Authority(_ipv4(text), port)
    try:
        return Authority(Hostname.parse(text), port)
    except BadInput as fault:
        raise BadInput("bad_host", "The Host header does not name a host.") from fault


def _ascii(raw: bytes) -> str:
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError as fault:
        raise BadInput("bad_host", "The Host header is not ASCII.") from fault


def _looks_like_ipv4(text: str) -> bool:
    # A name whose last label is a number is never a hostname: parsers disagree about it (WHATWG URL, 3.5).
    last = text.rpartition(".")[2]
    return last.isdigit() or last.startswith("0x")


def _ipv4(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError as fault:
        raise BadInput("bad_host", "The Host header has a malformed IPv4 address.") from fault


def _ipv6(text: str) -> IPv6Address:
    try:
        address = ip_address(text)
    except ValueError as fault:
        raise BadInput("bad_host", "The Host header has a malformed IPv6 address.") from fault
    if not isinstance(address, IPv6Address) or address.scope_id is not None:
        raise BadInput("bad_host", "The Host header has a malformed IPv6 address.")
    return address
