"""A client's address has one spelling, whoever tells it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from router.edge.addresses import read_address, spelled


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:C000:201", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("::ffff:0:1", "0.0.0.1"),
        ("::ffff:0:0:1", "::ffff:0:0:1"),
    ],
)
def test_an_address_has_one_spelling(text: str, spelling: str) -> None:
    """An IPv4 address is one however it is carried; one that only looks mapped is left alone."""
    assert read_address(text) == spelled(ip_address(text)) == spelling


@pytest.mark.parametrize("text", ["", "x", "192.0.2", "192.0.2.1:80", "[::1]", "fe80::1%eth0", " ::1"])
def test_what_is_no_address_is_not_read(text: str) -> None:
    """Ports, brackets, zones and spaces are no part of an address."""
    with pytest.raises(ValueError, match=r"address|zone"):
        read_address(text)
