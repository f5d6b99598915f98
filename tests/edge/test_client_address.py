"""Who asks: X-Forwarded-For is believed as far as our own load balancers vouch for it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.edge.heads import arrival, networks, visit

BALANCERS = networks("10.0.0.0/8", "fd00::/8")
PEER = "10.0.0.1"


def client(*forwarded_for: str, peer: str = PEER, trusting: bool = True) -> str:
    """The client of a visit with these X-Forwarded-For fields."""
    lines = [f"X-Forwarded-For: {value}".encode("latin-1") for value in forwarded_for]
    return visit(*lines, by=arrival(peer=peer, trusted=BALANCERS if trusting else ())).client


@pytest.mark.parametrize(
    ("forwarded_for", "found"),
    [
        ([], PEER),
        (["203.0.113.7"], "203.0.113.7"),
        (["2001:db8::1"], "2001:db8::1"),
        (["2001:DB8:0::1"], "2001:db8::1"),
        (["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6,203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6", "203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        (["203.0.113.7, 10.0.0.2, fd00::3"], "203.0.113.7"),
        (["203.0.113.7, ::ffff:10.0.0.2"], "203.0.113.7"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6, 203.0.113.7", "10.0.0.2"], "203.0.113.7"),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (["\t203.0.113.7 "], "203.0.113.7"),
    ],
)
def test_the_first_untrusted_address_from_the_right(forwarded_for: list[str], found: str) -> None:
    """What our balancers appended is believed; what stands to the left of a stranger's address is not."""
    assert client(*forwarded_for) == found


@pytest.mark.parametrize("peer", ["203.0.113.9", "2001:db8::9", ""])
def test_a_stranger_is_not_believed(peer: str) -> None:
    """From whoever is no balancer of ours the field means nothing (THREATS 33, CVE-2024-47070)."""
    assert client("6.6.6.6", peer=peer) == peer


def test_without_balancers_nobody_is_believed() -> None:
    """Nothing is trusted that the settings do not name."""
    assert client("6.6.6.6", trusting=False) == PEER


@pytest.mark.parametrize(
    "garbage",
    [
        "unknown",
        "_hidden",
        "",
        "203.0.113.7:1234",
        "[2001:db8::1]",
        "203.0.113.07",
        "203.0.113",
        "3405803783",
        "0xcb007107",
        "fd00::1%eth0",
        'fd00::1%"},{"client":"',
        "203.0.113.7 10.0.0.2",
        "203.0.113.7;",
        "\xe9",
    ],
)
def test_what_cannot_be_read_is_not_believed(garbage: str) -> None:
    """Garbage stops the reading at whoever sent it, and hides nothing to its right."""
    assert client(garbage) == PEER
    assert client(f"6.6.6.6, {garbage}") == PEER
    assert client(f"6.6.6.6, {garbage}, 10.0.0.2") == "10.0.0.2"
    assert client(f"{garbage}, 203.0.113.7, 10.0.0.2") == "203.0.113.7"


@given(st.lists(st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"))))
def test_a_client_is_always_an_address(values: list[str]) -> None:
    """Whatever stands in the field, what we log and pass on is an address in its one spelling."""
    found = client(*values)
    assert str(ip_address(found)) == found
    assert "%" not in found


STRANGERS = st.ip_addresses().filter(
    lambda address: (
        not any(address in network for network in BALANCERS)
        and not (isinstance(address, IPv6Address) and address.ipv4_mapped)
    )
)


@given(st.lists(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]))), STRANGERS)
def test_a_stranger_cannot_choose_the_address(said: list[str], true: IPv4Address | IPv6Address) -> None:
    """Whatever a client sends, the address that our balancer appends is the one that counts."""
    assert client(", ".join([*said, str(true)])) == str(true)
    assert client(*said, str(true)) == str(true)
