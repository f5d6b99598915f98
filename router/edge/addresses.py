"""Clients' addresses, in one spelling whoever tells them: the socket, a PROXY header, X-Forwarded-For.

PURE.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def spelled(address: IPv4Address | IPv6Address) -> str:
    """Spell an address as it is compared and logged: an IPv4-mapped one as IPv4 (RFC 4291 2.5.5.2)."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def read_address(text: str) -> str:
    """Read an address as somebody else wrote it.

    Raises ``ValueError`` for whatever is none, and for a zone, which may hold any character (RFC 4007 11)
    and means nothing to another machine.
    """
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise ValueError("an address with a zone")
    return spelled(address)
