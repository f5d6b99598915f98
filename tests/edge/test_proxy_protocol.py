"""The PROXY protocol: both versions, as HAProxy's specification has them, and what is not one."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.edge.peeked import Missing
from router.edge.proxy_protocol import BadProxyHeader, ProxyHeader, read_proxy_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LONGEST_V1 = b"PROXY UNKNOWN " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n"


def v2(addresses: bytes, *, command: int = 0x21, family: int = 0x11, length: int | None = None) -> bytes:
    """A version 2 header."""
    said = len(addresses) if length is None else length
    return SIGNATURE + bytes([command, family]) + said.to_bytes(2, "big") + addresses


def tcp4(source: str = "192.0.2.1") -> bytes:
    """The address block of TCP over IPv4."""
    return IPv4Address(source).packed + IPv4Address("198.51.100.1").packed + b"\x30\x39\x01\xbb"


def tcp6(source: str = "2001:db8::1") -> bytes:
    """The address block of TCP over IPv6."""
    return IPv6Address(source).packed + IPv6Address("2001:db8::2").packed + b"\x30\x39\x01\xbb"


HEADERS = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n", "2001:db8::1"),
    (b"PROXY TCP6 2001:DB8:0:0::1 2001:db8::2 1 2\r\n", "2001:db8::1"),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 1 2\r\n", "192.0.2.1"),
    (b"PROXY UNKNOWN\r\n", None),
    (LONGEST_V1, None),
    (v2(tcp4()), "192.0.2.1"),
    (v2(tcp6(), family=0x21), "2001:db8::1"),
    (v2(tcp6("::ffff:192.0.2.1"), family=0x21), "192.0.2.1"),
    (v2(tcp4() + b"\x01\x00\x02h2"), "192.0.2.1"),  # TLVs (2.2.7) are passed over
    (v2(b"", command=0x20, family=0x00), None),  # LOCAL: a health check of the balancer's own
    (v2(tcp4(), command=0x20), None),
    (v2(tcp4() + bytes(4096 - 16 - 12)), "192.0.2.1"),
]


@pytest.mark.parametrize(("header", "address"), HEADERS)
def test_headers_say_who_connected(header: bytes, address: str | None) -> None:
    """Both versions name the client, in one spelling, and exactly the header is to be consumed."""
    assert read_proxy_header(header + b"\x16\x03\x01") == ProxyHeader(len(header), address)


@pytest.mark.parametrize("header", [header for header, _ in HEADERS])
def test_a_cut_header_never_asks_for_more_than_comes(header: bytes) -> None:
    """At each octet but the last something is missing, and never more than the header has."""
    for cut in range(1, len(header)):
        lack = read_proxy_header(header[:cut])
        assert isinstance(lack, Missing)
        assert 1 <= lack.count <= len(header) - cut


def test_the_longest_version_1_header_has_107_octets() -> None:
    """The specification's bound (2.1) is taken whole; a line without an end within it is refused."""
    assert len(LONGEST_V1) == 107
    line = b"PROXY UNKNOWN " + b"x" * (107 - 14 - 2)
    assert read_proxy_header(line + b"\r\n") == ProxyHeader(107, None)
    assert isinstance(read_proxy_header(line + b"\r"), Missing)
    with pytest.raises(BadProxyHeader):
        read_proxy_header(line + b"x\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"G",
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PRI * HTTP/2.0",
        b"PROXYTCP4",
        b"proxy TCP4",
        b"\r\nGET /",
    ],
)
def test_no_header_is_no_header(data: bytes) -> None:
    """A trusted peer that speaks at once is a client like any other."""
    assert read_proxy_header(data) is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n", id="too few fields"),
        pytest.param(b"PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n", id="too many fields"),
        pytest.param(b"PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n", id="two spaces"),
        pytest.param(b"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n", id="another protocol"),
        pytest.param(b"PROXY tcp4 192.0.2.1 198.51.100.1 1 2\r\n", id="lower case"),
        pytest.param(b"PROXY \r\n", id="nothing"),
        pytest.param(b"PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n", id="an address of the other family"),
        pytest.param(b"PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n", id="the other way round"),
        pytest.param(b"PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n", id="an impossible address"),
        pytest.param(b"PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n", id="a leading zero"),
        pytest.param(b"PROXY TCP4 192.0.2.1 nobody 1 2\r\n", id="a destination that is none"),
        pytest.param(b'PROXY TCP6 fe80::1%"\n 2001:db8::2 1 2\r\n', id="a zone"),
        pytest.param(
            "PROXY TCP4 192.0.2.\N{ARABIC-INDIC DIGIT ONE} 198.51.100.1 1 2\r\n".encode(), id="not ASCII"
        ),
        pytest.param(b"PROXY TCP4 192.0.2.1 198.51.100.1 -1 2\r\n", id="a negative port"),
        pytest.param(b"PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n", id="an impossible port"),
        pytest.param(b"PROXY TCP4 192.0.2.1 198.51.100.1 1 \r\n", id="an empty port"),
        pytest.param(v2(tcp4(), command=0x11), id="version 1 in version 2"),
        pytest.param(v2(tcp4(), command=0x22), id="an unknown command"),
        pytest.param(v2(tcp4(), family=0x12), id="UDP"),
        pytest.param(v2(bytes(216), family=0x31), id="a Unix socket"),
        pytest.param(v2(b"", family=0x00), id="no family"),
        pytest.param(v2(tcp4()[:-1]), id="too short for IPv4"),
        pytest.param(v2(tcp4(), family=0x21), id="too short for IPv6"),
        pytest.param(v2(b"", length=4081), id="longer than we wait for"),
        pytest.param(v2(b"", length=65535), id="the longest length"),
    ],
)
def test_bad_headers_are_refused(data: bytes) -> None:
    """A trusted balancer that writes something else is misconfigured: its connection ends."""
    with pytest.raises(BadProxyHeader):
        read_proxy_header(data)


@given(st.ip_addresses(), st.integers(0, 65535), st.binary(max_size=40))
def test_version_1_round_trip(source: IPv4Address | IPv6Address, port: int, rest: bytes) -> None:
    """Any address comes back as ipaddress spells it, IPv4-mapped ones as IPv4."""
    family = b"TCP4" if source.version == 4 else b"TCP6"
    text = str(source).encode()
    line = b"PROXY %b %b %b %d 443\r\n" % (family, text, text, port)
    mapped = source.ipv4_mapped if isinstance(source, IPv6Address) else None
    assert read_proxy_header(line + rest) == ProxyHeader(len(line), str(mapped or source))


@given(st.ip_addresses(), st.binary(max_size=100), st.binary(max_size=40))
def test_version_2_round_trip(source: IPv4Address | IPv6Address, tlvs: bytes, rest: bytes) -> None:
    """The same in version 2, whatever TLVs there are."""
    family = 0x11 if source.version == 4 else 0x21
    header = v2(source.packed * 2 + b"\x00\x01\x00\x02" + tlvs, family=family)
    mapped = source.ipv4_mapped if isinstance(source, IPv6Address) else None
    assert read_proxy_header(header + rest) == ProxyHeader(len(header), str(mapped or source))


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(b"PROXY ".__add__),
        st.binary(max_size=90).map(lambda data: b"PROXY TCP6 " + data + b" ::1 1 2\r\n"),
        st.binary(max_size=200).map(SIGNATURE.__add__),
        st.builds(v2, st.binary(max_size=60), command=st.integers(0, 255), family=st.integers(0, 255)),
    )
)
@example(b"")
def test_arbitrary_octets_have_an_answer(data: bytes) -> None:
    """Whatever comes is a header with a true address, lacks a bounded number of octets, is none or is bad."""
    try:
        found = read_proxy_header(data)
    except BadProxyHeader:
        return
    if isinstance(found, Missing):
        assert 1 <= found.count <= 4096
    elif found is not None:
        assert 0 < found.length <= len(data)
        assert found.address is None or str(ip_address(found.address)) == found.address
        assert "%" not in (found.address or "")
