"""The ClientHello: real ones in every cut, and whatever else may come."""

from __future__ import annotations

import ssl
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from router.edge.client_hello import (
    DECODE_ERROR,
    MAX_HELLO,
    UNRECOGNIZED_NAME,
    BadClientHello,
    ClientHello,
    read_client_hello,
)
from router.edge.peeked import Missing

NAME = "billing.acme.example"
_SERVER_NAME, _ALPN, _PADDING = 0, 16, 21


def openssl_hello(
    name: str | None = NAME,
    alpn: tuple[str, ...] = (),
    *,
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> bytes:
    """The first octets of a real client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version, context.maximum_version = lowest, highest
    if alpn:
        context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def vector(octets: int, body: bytes) -> bytes:
    """A body behind its length."""
    return len(body).to_bytes(octets, "big") + body


def extension(kind: int, body: bytes) -> bytes:
    """One extension."""
    return kind.to_bytes(2, "big") + vector(2, body)


def server_name(name: bytes, *, kind: int = 0) -> bytes:
    """The extension of RFC 6066 section 3."""
    return extension(_SERVER_NAME, vector(2, bytes([kind]) + vector(2, name)))


def message(*extensions: bytes, kind: int = 1, session_id: bytes = b"s" * 32) -> bytes:
    """A handshake message, without records around it."""
    body = b"\x03\x03" + b"r" * 32 + vector(1, session_id) + vector(2, b"\x13\x01") + vector(1, b"\x00")
    if extensions:
        body += vector(2, b"".join(extensions))
    return bytes([kind]) + vector(3, body)


def records(handshake: bytes, *cuts: int, version: bytes = b"\x03\x01", kind: int = 22) -> bytes:
    """A handshake message in as many records as it is cut into."""
    edges = [0, *sorted(set(cuts) - {0, len(handshake)}), len(handshake)]
    return b"".join(bytes([kind]) + version + vector(2, handshake[a:b]) for a, b in pairwise(edges))


REAL = {
    "both versions": openssl_hello(),
    "TLS 1.2 only": openssl_hello(highest=ssl.TLSVersion.TLSv1_2),
    "TLS 1.3 only": openssl_hello(lowest=ssl.TLSVersion.TLSv1_3),
    "no name": openssl_hello(None),
    "browser's ALPN": openssl_hello(alpn=("h2", "http/1.1")),
    "the longest ALPN": openssl_hello(alpn=tuple("x" * 250 + f"{n:05}" for n in range(40))),
    "the longest name": openssl_hello(".".join(["a" * 62] * 4)),
}
# What Chromium sends with a post-quantum key share has about 1,800 octets; padding makes it as long.
PADDED = records(message(server_name(NAME.encode()), extension(_PADDING, bytes(1800))))
HELLOS = [*REAL.values(), PADDED, records(message(server_name(NAME.encode())), 1, 5, 50, 51, 52, 90)]


@pytest.mark.parametrize(
    ("which", "name", "alpn"),
    [
        ("both versions", NAME, ()),
        ("TLS 1.2 only", NAME, ()),
        ("TLS 1.3 only", NAME, ()),
        ("no name", None, ()),
        ("browser's ALPN", NAME, (b"h2", b"http/1.1")),
        ("the longest ALPN", NAME, tuple(b"x" * 250 + b"%05d" % n for n in range(40))),
        ("the longest name", ".".join(["a" * 62] * 4), ()),
    ],
)
def test_real_hellos_are_read(which: str, name: str | None, alpn: tuple[bytes, ...]) -> None:
    """What OpenSSL sends, in each version, says the name and the protocols that it was told to."""
    assert read_client_hello(REAL[which]) == ClientHello(name, alpn)


@pytest.mark.parametrize("hello", HELLOS)
def test_a_cut_hello_never_asks_for_more_than_comes(hello: bytes) -> None:
    """At each octet the number of missing ones is at least 1 and never beyond the end of the hello.

    A listener that sleeps until that many have come would otherwise sleep for ever.
    """
    for cut in range(len(hello)):
        lack = read_client_hello(hello[:cut])
        assert isinstance(lack, Missing)
        assert 1 <= lack.count <= len(hello) - cut


@pytest.mark.parametrize("hello", HELLOS)
def test_feeding_what_is_missing_ends_in_the_hello(hello: bytes) -> None:
    """Whoever feeds exactly what is said to be missing gets the hello, in two steps for each record."""
    seen = steps = 0
    while isinstance(found := read_client_hello(hello[:seen]), Missing):
        seen += found.count
        steps += 1
        assert steps <= 2 * 7
    assert seen == len(hello)
    assert found == read_client_hello(hello)


@given(st.sampled_from(sorted(REAL)), st.lists(st.integers(0, 600), max_size=30))
def test_records_may_cut_a_hello_anywhere(which: str, cuts: list[int]) -> None:
    """The same hello spread over several records reads the same (RFC 8446 section 5.1)."""
    handshake = REAL[which][5:]
    again = records(handshake, *[cut for cut in cuts if cut < len(handshake)])
    assert read_client_hello(again) == read_client_hello(REAL[which])


def test_what_follows_the_hello_is_left_alone() -> None:
    """A client that goes on talking (0-RTT) is read as far as its hello, and no further."""
    assert read_client_hello(REAL["both versions"] + b"\x14\x03\x03\x00\x01\x01") == ClientHello(NAME)


def test_a_hello_is_not_kept_waiting_for_the_rest_of_its_record() -> None:
    """Where a record holds more than the hello, the hello is read as soon as it is whole."""
    handshake = message(server_name(b"a.example"))
    record = records(handshake + b"\x0b\x00\x00\x00")
    assert read_client_hello(record[: 5 + len(handshake)]) == ClientHello("a.example")


def test_a_hello_without_extensions_names_nobody() -> None:
    """An old client that has no extensions at all has no server name (RFC 5246 section 7.4.1.2)."""
    assert read_client_hello(records(message())) == ClientHello(None)


def test_unknown_extensions_are_passed_over() -> None:
    """GREASE and whatever is invented tomorrow does not disturb (RFC 8701)."""
    hello = records(message(extension(0x0A0A, b"\x00"), server_name(b"a.example"), extension(0xFAFA, b"")))
    assert read_client_hello(hello) == ClientHello("a.example")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\n", id="plain HTTP"),
        pytest.param(b"\x80\x2e\x01\x03\x01\x00\x15", id="SSL 2"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x28", id="an alert"),
        pytest.param(b"\x16\x02\x00", id="a version before TLS"),
        pytest.param(b"\x16\x03\x01\x00\x00", id="an empty record"),
        pytest.param(b"\x16\x03\x01\x40\x01", id="a record that is too long"),
        pytest.param(records(message(kind=2)), id="a ServerHello"),
        pytest.param(records(bytes([1]) + (MAX_HELLO - 3).to_bytes(3, "big")), id="a hello that is too long"),
        pytest.param(records(message(), *range(33)), id="a record for each octet"),
        pytest.param(records(message(), 10, kind=23), id="application data at first"),
        pytest.param(
            records(message(), 10)[:15] + b"\x17\x03\x01\x00\x01x", id="its rest in application data"
        ),
        pytest.param(records(bytes([1]) + vector(3, b"\x03\x03" + b"r" * 31)), id="cut inside its length"),
        pytest.param(records(message(extension(7, b"x")[:-1])), id="an extension that lies"),
        pytest.param(records(message(server_name(b"a"), server_name(b"b"))), id="two server_name extensions"),
        pytest.param(records(message(extension(9, b""), extension(9, b""))), id="any extension twice"),
        pytest.param(records(message(server_name(b"a", kind=1))), id="a name of unknown kind"),
        pytest.param(
            records(message(extension(0, vector(2, b"\0" + vector(2, b"a") + b"\0" + vector(2, b"b"))))),
            id="two names in one list",
        ),
        pytest.param(records(message(extension(0, vector(2, b"\0\0\1a") + b"!"))), id="more than the list"),
        pytest.param(records(message(extension(0, b""))), id="an empty server_name"),
        pytest.param(records(message(server_name("bücher.example".encode()))), id="not ASCII"),
        pytest.param(records(message(extension(16, vector(2, b"\x05h2")))), id="an ALPN that lies"),
    ],
)
def test_what_is_no_hello_is_refused(data: bytes) -> None:
    """Another protocol, or a length that lies, ends the connection at once; it is not waited for."""
    with pytest.raises(BadClientHello):
        read_client_hello(data)


def test_a_bad_first_octet_is_not_waited_for() -> None:
    """One octet is enough to know another protocol."""
    for octet in range(256):
        data = bytes([octet])
        if octet == 0x16:
            assert read_client_hello(data) == Missing(4)
        else:
            with pytest.raises(BadClientHello):
                read_client_hello(data)


def test_the_longest_hello_is_read() -> None:
    """A hello of exactly the longest length is waited for and read; one octet more is refused at once."""
    name = server_name(b"a.example")
    room = MAX_HELLO - len(message(name, extension(_PADDING, b"")))
    longest = message(name, extension(_PADDING, bytes(room)))
    assert len(longest) == MAX_HELLO
    assert read_client_hello(records(longest)) == ClientHello("a.example")
    longer = message(name, extension(_PADDING, bytes(room + 1)))
    with pytest.raises(BadClientHello):
        read_client_hello(records(longer, 10_000)[:9])


def outcome(data: bytes) -> ClientHello | Missing | None:
    """The answer; none for a refusal. Anything else that is raised fails the test."""
    try:
        return read_client_hello(data)
    except BadClientHello:
        return None


def check_bounded(data: bytes) -> None:
    """Hold whatever comes to the three outcomes, and to a bound."""
    found = outcome(data)
    if isinstance(found, Missing):
        assert 1 <= found.count <= 16_384


@given(st.binary(max_size=400))
@example(b"")
@example(b"\x16")
@example(b"\x16\x03\x01\x00\x01\x01" * 4)
def test_arbitrary_octets_have_an_answer(data: bytes) -> None:
    """Whatever comes is a hello, or lacks a bounded number of octets, or is refused."""
    check_bounded(data)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_arbitrary_messages_have_an_answer(body: bytes, cuts: list[int]) -> None:
    """The same for what looks like a ClientHello from outside, in one record or several."""
    handshake = b"\x01" + vector(3, body)
    check_bounded(records(handshake, *[cut for cut in cuts if cut < len(handshake)]))


@given(
    st.sampled_from(HELLOS),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 600),
)
def test_mutated_hellos_have_an_answer(hello: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    """A few octets of a real hello changed, its end cut off: still one of the three."""
    mutated = bytearray(hello)
    for at, octet in changes:
        mutated[at % len(mutated)] = octet
    check_bounded(bytes(mutated))
    check_bounded(bytes(mutated[:cut]))


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=20))
def test_more_never_takes_a_hello_back(pieces: list[bytes]) -> None:
    """Once a hello was read, what follows changes nothing in it."""
    hello = REAL["browser's ALPN"]
    assert read_client_hello(hello + b"".join(pieces)) == ClientHello(NAME, (b"h2", b"http/1.1"))


@pytest.mark.parametrize(("alert", "words"), [(UNRECOGNIZED_NAME, "UNRECOGNIZED"), (DECODE_ERROR, "DECODE")])
def test_a_real_client_understands_our_alerts(alert: bytes, words: str) -> None:
    """The alerts that we send by hand are what OpenSSL knows by these names."""
    incoming = ssl.MemoryBIO()
    incoming.write(alert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client = context.wrap_bio(incoming, ssl.MemoryBIO(), server_hostname=NAME)
    with pytest.raises(ssl.SSLError, match=words):
        client.do_handshake()
