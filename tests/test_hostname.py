"""Hostnames and authorities: one spelling for each name, nothing that two parsers read in two ways."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.errors import BadInput
from router.hostname import MAX_NAME, Authority, Hostname, parse_authority

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
# The last label is never a number: such a name would be taken for an IPv4 address.
NAMES = st.builds(
    lambda labels, last: ".".join([*labels, last]),
    st.lists(LABELS, max_size=5),
    st.from_regex(r"[a-z]{2,10}", fullmatch=True),
)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("acme.portal.example", "acme.portal.example"),
        ("ACME.Portal.EXAMPLE", "acme.portal.example"),
        ("acme.portal.example.", "acme.portal.example"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("b\u0075\u0308cher.example", "xn--bcher-kva.example"),  # decomposed: the same name
        ("faß.example", "xn--fa-hia.example"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),  # an ideographic full stop separates labels
        ("ac\u200bme.example", "acme.example"),  # invisible characters fall away (UTS 46)
        ("1.example", "1.example"),
        ("3com.example", "3com.example"),
        ("a" * 63 + ".example", "a" * 63 + ".example"),
    ],
)
def test_a_name_has_one_spelling(raw: str, name: str) -> None:
    """Case, one trailing dot and Unicode come down to the same A-labels (THREATS 26)."""
    assert Hostname.parse(raw) == name


@pytest.mark.parametrize(
    "raw",
    [
        "",
        ".",
        "..",
        ".acme.example",
        "acme..example",
        "acme.example..",
        "-acme.example",
        "acme-.example",
        "acme_1.example",
        "acme example",
        " acme.example",
        "acme.example ",
        "acme.example\n",
        "acme.example\x00",
        "acme\x00.example",
        "*.acme.example",
        "acme.example:443",
        "user@acme.example",
        "acme.example/path",
        "acme,globex.example",
        "127.0.0.1",
        "127.1",
        "0x7f.0x1",
        "1.2.3.4.",
        "::1",
        "[::1]",
        "2130706433",
        "0x7f000001",
        "a" * 64 + ".example",
        ".".join(["a" * 60] * 5),
        "\u2024acme.example",
        "acme\u2044globex.example",
        "\u0301acme.example",
        "１２７.0.0.1",  # noqa: RUF001 - full-width digits come down to 127.0.0.1, which is the point
        "acme．",  # noqa: RUF001 - a full-width full stop, alone at the end
    ],
)
def test_what_is_not_a_name_is_refused(raw: str) -> None:
    """Whatever is not exactly one DNS name is refused with one code."""
    with pytest.raises(BadInput) as fault:
        Hostname.parse(raw)
    assert fault.value.code == "bad_hostname"


@given(NAMES)
def test_parsing_a_parsed_name_changes_nothing(name: str) -> None:
    """The one spelling is its own spelling."""
    parsed = Hostname.parse(name)
    assert Hostname.parse(parsed) == parsed


@given(NAMES, st.data())
def test_case_and_one_dot_never_matter(name: str, data: st.DataObject) -> None:
    """However a client capitalises a name, and with or without the root's dot, it is the same key."""
    shouted = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in name)
    assert Hostname.parse(shouted + data.draw(st.sampled_from(["", "."]))) == Hostname.parse(name)


@given(st.text(max_size=80))
@example("ⓐⓒⓜⓔ.example")
@example("acme.example\u3002")
@example("xn--a.example")
def test_any_text_is_a_clean_name_or_refused(raw: str) -> None:
    """No text crashes the parser, and whatever comes out is lower-case ASCII of bounded length."""
    try:
        name = Hostname.parse(raw)
    except BadInput:
        return
    assert name.isascii()
    assert name == name.lower()
    assert len(name) <= MAX_NAME
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    assert not name.endswith(".")


def test_a_name_knows_what_it_is_below() -> None:
    """Being under a domain goes by whole labels, never by how the text ends."""
    name = Hostname.parse("acme.portal.example")
    assert name.is_under("portal.example")
    assert name.is_under("acme.portal.example")
    assert not name.is_under("ortal.example")
    assert not Hostname.parse("evilportal.example").is_under("portal.example")
    assert name.parent == "portal.example"
    assert Hostname.parse("localhost").parent == ""


@pytest.mark.parametrize(
    ("raw", "authority"),
    [
        (b"acme.example", Authority(Hostname("acme.example"))),
        (b"Acme.Example.:8443", Authority(Hostname("acme.example"), 8443)),
        (b"acme.example:443", Authority(Hostname("acme.example"), 443)),
        (b"127.0.0.1:8443", Authority(IPv4Address("127.0.0.1"), 8443)),
        (b"[::1]", Authority(IPv6Address("::1"))),
        (b"[2001:db8::1]:443", Authority(IPv6Address("2001:db8::1"), 443)),
        (b"acme.example:00443", Authority(Hostname("acme.example"), 443)),
    ],
)
def test_an_authority_is_one_host_and_maybe_a_port(raw: bytes, authority: Authority) -> None:
    """Port, capitals and trailing dot do not make another host (RFC 9110 section 7.2)."""
    assert parse_authority(raw) == authority


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b":443",
        b"acme.example, globex.example",  # THREATS 19
        b"acme.example,globex.example",
        b"acme.example globex.example",
        b"t@evil.example",  # THREATS 20, to the end
        b"t:p@evil.example",
        b"t/x",
        b"t?x",
        b"t#x",
        b"t:99999",
        b"t:0",
        b"t:",
        b"t:-1",
        b"t:+443",
        b"t:443a",
        b"t:443:443",
        b"t:000443000",
        b"..t",
        b".t",
        b"t..",
        b"t\x00",
        b"t\x00.example",
        b"t\r\nX: y",
        b"\tt",
        b"t\xc3\xbc.example",
        b"[::1",
        b"::1]",
        b"::1",
        b"[::1]x",
        b"[::1]x:443",
        b"[]",
        b"[fe80::1%eth0]",
        b"[fe80::1%25eth0]",
        b"[127.0.0.1]",
        b"[acme.example]",
        b"[v1.x]",
        b"127.1",
        b"127.0.0.01",
        b"0x7f000001",
        b"2130706433",
        b"1.2.3.4.",
        b"999.1.1.1",
        b"*",
        b"*.acme.example",
        b"a_b.example",
        b"%61cme.example",
        b"a" * 254,
    ],
)
def test_an_ambiguous_authority_is_refused(raw: bytes) -> None:
    """Lists, user information, odd ports, odd addresses and control characters are nobody's host."""
    with pytest.raises(BadInput) as fault:
        parse_authority(raw)
    assert fault.value.code == "bad_host"


@given(st.binary(max_size=60))
@example(b"[::ffff:127.0.0.1]")
@example("t:٤٤٣".encode())
def test_any_bytes_are_an_authority_or_refused(raw: bytes) -> None:
    """No header value crashes the parser, and a port that comes out is one."""
    try:
        authority = parse_authority(raw)
    except BadInput:
        return
    assert authority.port is None or 0 < authority.port < 65536


@given(NAMES, st.one_of(st.none(), st.integers(1, 65535)))
def test_a_written_authority_reads_back(name: str, port: int | None) -> None:
    """What a well-behaved client sends is understood as it meant it."""
    raw = name if port is None else f"{name}:{port}"
    assert parse_authority(raw.encode()) == Authority(Hostname(name), port)
