"""The PROXY protocol header of a trusted load balancer, versions 1 and 2.

PURE. HAProxy's specification, doc/proxy-protocol.txt: 2.1 the human-readable header, 2.2 the binary one.
The listener asks only when the peer is trusted, so a header from anyone else is garbage like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from router.edge.addresses import spelled
from router.edge.peeked import Missing

_V1_PREFIX = b"PROXY "
_V1_MAX = 107
_V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_HEADER = 16
_V2_MAX = 4096
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_V1_FIELDS = 6
_MAX_PORT = 65535


class BadProxyHeader(Exception):  # noqa: N818 - it is what came, not what we did
    """A trusted peer sent a header that is not to be trusted."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """Who really connected. ``address`` is none when the balancer speaks for itself (LOCAL, UNKNOWN)."""

    length: int
    address: str | None


def read_proxy_header(data: bytes) -> ProxyHeader | Missing | None:
    """Read the header at the start of ``data``; none where there is no header at all.

    ``ProxyHeader.length`` octets are to be consumed. Raises ``BadProxyHeader``.
    """
    if data[: len(_V2_SIGNATURE)] == _V2_SIGNATURE:
        return _read_v2(data)
    if data[: len(_V1_PREFIX)] == _V1_PREFIX:
        return _read_v1(data)
    if data and (_V2_SIGNATURE.startswith(data) or _V1_PREFIX.startswith(data)):
        return Missing(1)
    return None


def _read_v1(data: bytes) -> ProxyHeader | Missing:
    end = data.find(b"\r\n", 0, _V1_MAX)
    if end < 0:
        if len(data) >= _V1_MAX:
            raise BadProxyHeader("a version 1 header without an end")
        return Missing(1)
    fields = data[:end].split(b" ")
    if fields[1] == b"UNKNOWN":
        return ProxyHeader(end + 2, None)
    if len(fields) != _V1_FIELDS or fields[1] not in (b"TCP4", b"TCP6"):
        raise BadProxyHeader("a version 1 header of another form")
    source = _v1_source(fields[1], fields[2], fields[3])
    if not all(port.isdigit() and int(port) <= _MAX_PORT for port in fields[4:6]):
        raise BadProxyHeader("a version 1 header with a bad port")
    return ProxyHeader(end + 2, source)


def _v1_source(protocol: bytes, source: bytes, destination: bytes) -> str:
    family = IPv4Address if protocol == b"TCP4" else IPv6Address
    if b"%" in source:  # a zone may hold any character, and means nothing to another machine
        raise BadProxyHeader("a version 1 header with a zone")
    try:
        family(destination.decode("ascii"))
        return spelled(family(source.decode("ascii")))
    except ValueError as fault:
        raise BadProxyHeader("a version 1 header with a bad address") from fault


def _read_v2(data: bytes) -> ProxyHeader | Missing:
    if len(data) < _V2_HEADER:
        return Missing(_V2_HEADER - len(data))
    command, family = data[12], data[13]
    length = _V2_HEADER + int.from_bytes(data[14:16], "big")
    if command not in (_LOCAL, _PROXY) or length > _V2_MAX:
        raise BadProxyHeader("a version 2 header of another form")
    if len(data) < length:
        return Missing(length - len(data))
    if command == _LOCAL:
        return ProxyHeader(length, None)
    return ProxyHeader(length, _v2_source(family, data[_V2_HEADER:length]))


def _v2_source(family: int, addresses: bytes) -> str:
    if family == _TCP4 and len(addresses) >= 12:  # noqa: PLR2004 - two addresses, two ports
        return str(IPv4Address(addresses[:4]))
    if family == _TCP6 and len(addresses) >= 36:  # noqa: PLR2004
        return spelled(IPv6Address(addresses[:16]))
    raise BadProxyHeader("a version 2 header without TCP addresses")
