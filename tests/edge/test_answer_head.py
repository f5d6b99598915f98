"""What an upstream's answer may say, and what is not believed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.edge.answer_head import MAX_FIELDS, AnswerHead, BadAnswer, read_answer
from router.edge.framing import CHUNKED, NO_BODY, UNTIL_CLOSE

TOKEN = re.compile(rb"[!#$%&'*+.^`|~0-9A-Za-z-]+")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")

UPGRADE = [b"Upgrade: websocket", b"Connection: Upgrade"]


def head(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """The head of an answer."""
    return b"\r\n".join([first, *lines, b"", b""])


def read(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK", to_head: bool = False) -> AnswerHead:
    """Read such a head as a tenant's upstream's."""
    return read_answer(head(*lines, first=first), to_head=to_head, cookie_domain=b"portal.example")


@pytest.mark.parametrize(
    ("first", "status", "reason"),
    [
        (b"HTTP/1.1 200 OK", 200, b"OK"),
        (b"HTTP/1.1 200 ", 200, b""),
        (b"HTTP/1.1 200", 200, b""),
        (b"HTTP/1.0 404 Not Found", 404, b"Not Found"),
        (b"HTTP/1.1 599 Whatever", 599, b"Whatever"),
        (b"HTTP/1.1 299 Odd (but true)", 299, b"Odd (but true)"),
        (b"HTTP/1.1 200 caf\xe9", 200, b""),
        (b"HTTP/1.1 200 O\tK", 200, b""),
        (b"HTTP/1.1 200 O\x00\x1b[2JK", 200, b""),
        (b"HTTP/1.1 103 Early Hints", 103, b"Early Hints"),
    ],
)
def test_status_lines(first: bytes, status: int, reason: bytes) -> None:
    """A status goes on, and so does a reason that is plain text; any other gives way to the standard's."""
    seen = read(first=first)
    assert (seen.status, seen.reason) == (status, reason)


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 099 x",
        b"HTTP/1.1 000 x",
        b"HTTP/1.1 42 x",
        b"HTTP/1.1 600 x",
        b"HTTP/1.1 999 x",
        b"HTTP/1.1 2000 x",
        b"HTTP/1.1 -200 x",
        b"HTTP/1.1 2x0 x",
        b"HTTP/1.1  200 x",
        b"HTTP/1.1",
        b"HTTP/2.0 200 OK",
        b"HTTP/1.2 200 OK",
        b"HTTP/0.9 200 OK",
        b"http/1.1 200 OK",
        b"RTSP/1.0 200 OK",
        b"ICY 200 OK",
        b"\r\nHTTP/1.1 200 OK",
        b"\nHTTP/1.1 200 OK",
        b" HTTP/1.1 200 OK",
        b"GET / HTTP/1.1",
        b"<html>",
        b"",
    ],
)
def test_bad_status_lines(first: bytes) -> None:
    """Another protocol, another version, an impossible status: not believed (THREATS 90)."""
    with pytest.raises(BadAnswer):
        read(first=first)


@pytest.mark.parametrize(
    "line",
    [
        b"X: 1\nY: 2",
        b"X: 1\n",
        b"X: 1\rY: 2",
        b"X: 1\r\n folded",
        b"X: 1\r\n\tfolded",
        b"X : 1",
        b" X: 1",
        b": 1",
        b"X",
        b"X: \x00",
        b"X: \x7f",
        b"X: \x1b[2J",
        b"X\xe9: 1",
    ],
)
def test_malformed_fields(line: bytes) -> None:
    """What a client could read in another way never gets to it."""
    for lines in ([line], [line, b"Y: 2"], [b"Y: 2", line]):
        with pytest.raises(BadAnswer):
            read(*lines)


@pytest.mark.parametrize(
    ("first", "lines", "to_head", "body", "length"),
    [
        (b"HTTP/1.1 200 OK", [], False, UNTIL_CLOSE, None),
        (b"HTTP/1.0 200 OK", [], False, UNTIL_CLOSE, None),
        (b"HTTP/1.1 200 OK", [b"Content-Length: 5"], False, 5, b"5"),
        (b"HTTP/1.1 200 OK", [b"Content-Length: 0"], False, NO_BODY, b"0"),
        (b"HTTP/1.1 200 OK", [b"Transfer-Encoding: chunked"], False, CHUNKED, None),
        (b"HTTP/1.1 200 OK", [b"Content-Length: 5"], True, NO_BODY, b"5"),
        (b"HTTP/1.1 200 OK", [b"Transfer-Encoding: chunked"], True, NO_BODY, None),
        (b"HTTP/1.1 200 OK", [], True, NO_BODY, None),
        (b"HTTP/1.1 204 No Content", [], False, NO_BODY, None),
        (b"HTTP/1.1 304 Not Modified", [b"Content-Length: 5"], False, NO_BODY, b"5"),
        (b"HTTP/1.1 100 Continue", [], False, NO_BODY, None),
        (b"HTTP/1.1 103 Early Hints", [b"Transfer-Encoding: chunked"], False, NO_BODY, None),
        (b"HTTP/1.1 101 Switching Protocols", UPGRADE, False, NO_BODY, None),
    ],
)
def test_framing(first: bytes, lines: list[bytes], body: int, length: bytes | None, *, to_head: bool) -> None:
    """Where the body ends, by fields, status and the request's method (RFC 9112 section 6.3)."""
    seen = read(*lines, first=first, to_head=to_head)
    assert (seen.body, seen.length, seen.kept) == (body, length, [])


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: -5"],
        [b"Content-Length: 5x"],
        [b"Content-Length: +5"],
        [b"Content-Length:"],
        [b"Transfer-Encoding: gzip"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
    ],
)
@pytest.mark.parametrize(
    "first", [b"HTTP/1.1 200 OK", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 100 Continue"]
)
def test_doubtful_framing(lines: list[bytes], first: bytes) -> None:
    """An answer with two possible ends is none, even where it has no body (THREATS 85)."""
    for to_head in (False, True):
        with pytest.raises(BadAnswer):
            read(*lines, first=first, to_head=to_head)


def test_chunks_in_http_1_0() -> None:
    """A coding that HTTP/1.0 does not know is doubtful."""
    with pytest.raises(BadAnswer):
        read(b"Transfer-Encoding: chunked", first=b"HTTP/1.0 200 OK")


@pytest.mark.parametrize(
    ("first", "lines", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK", [], True),
        (b"HTTP/1.1 200 OK", [b"Connection: keep-alive"], True),
        (b"HTTP/1.1 200 OK", [b"Connection: Close"], False),
        (b"HTTP/1.1 200 OK", [b"Connection: x", b"Connection: close"], False),
        (b"HTTP/1.0 200 OK", [], False),
        (b"HTTP/1.0 200 OK", [b"Connection: Keep-Alive"], True),
        (b"HTTP/1.0 200 OK", [b"Connection: close"], False),
    ],
)
def test_whether_the_connection_lasts(first: bytes, lines: list[bytes], *, keep_alive: bool) -> None:
    """HTTP/1.1 lasts unless closed, HTTP/1.0 ends unless kept (RFC 9112 section 9.3)."""
    seen = read(*lines, first=first)
    assert (seen.keep_alive, seen.kept) == (keep_alive, [])


@pytest.mark.parametrize(
    ("first", "lines", "interim", "websocket"),
    [
        (b"HTTP/1.1 100 Continue", [], True, False),
        (b"HTTP/1.1 103 Early Hints", [b"Link: </a>"], True, False),
        (b"HTTP/1.1 199 x", [], True, False),
        (b"HTTP/1.1 101 x", UPGRADE, False, True),
        (b"HTTP/1.1 101 x", [b"Upgrade: WebSocket", b"Connection: upgrade, X-A"], False, True),
        (b"HTTP/1.1 101 x", [b"Upgrade: h2c", b"Connection: Upgrade"], False, False),
        (b"HTTP/1.1 200 OK", UPGRADE, False, False),
        (b"HTTP/1.1 426 Upgrade Required", [b"Upgrade: websocket"], False, False),
    ],
)
def test_what_is_still_to_come(first: bytes, lines: list[bytes], *, interim: bool, websocket: bool) -> None:
    """1xx announce a final answer; 101 is final, and a WebSocket only if it says so (THREATS 88)."""
    seen = read(*lines, first=first)
    assert (seen.interim, seen.websocket) == (interim, websocket)


@pytest.mark.parametrize("lines", [[], UPGRADE[:1], UPGRADE[1:]])
def test_a_switch_says_to_what(lines: list[bytes]) -> None:
    """A 101 without Upgrade, or whose Connection does not name it, is none (RFC 9110 section 7.8)."""
    with pytest.raises(BadAnswer):
        read(*lines, first=b"HTTP/1.1 101 Switching Protocols")


def test_which_fields_go_on() -> None:
    """The backend's fields go on in their order; hop-by-hop ones and what Connection names end here."""
    seen = read(
        b"Server: x",
        b"Keep-Alive: timeout=5",
        b"Connection: X-Secret, keep-alive",
        b"x-secret: 1",
        b"Proxy-Authenticate: Basic",
        b"Trailer: Digest",
        b"X-Router-Tenant: t",
        b"X-Portal-Note: mine",
        b"Set-Cookie: a=1",
        b"Set-Cookie: b=2; Domain=acme.portal.example",
        b'ETag: "e"',
        b"Vary:",
    )
    assert seen.kept == [
        (b"Server", b"x"),
        (b"X-Portal-Note", b"mine"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2; Domain=acme.portal.example"),
        (b"ETag", b'"e"'),
        (b"Vary", b""),
    ]
    assert seen.dropped_cookies == 0


COOKIES = [
    b"Set-Cookie: a=1",
    b"Set-Cookie: __Host-portal-session=evil; Path=/; Secure",
    b"SET-COOKIE: b=2; Domain=portal.example",
    b"Set-Cookie: c=3",
    b"set-cookie: d=4; Domain=example",
]


def test_cookies_that_are_not_an_upstreams_to_set() -> None:
    """Ours, and those for the whole platform, are dropped and counted (THREATS 43)."""
    seen = read(*COOKIES)
    assert seen.kept == [(b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"c=3")]
    assert seen.dropped_cookies == 3


def test_our_own_planes_set_our_cookies() -> None:
    """The portal's cookies all pass, for it is an upstream like any other."""
    seen = read_answer(head(*COOKIES), to_head=False, cookie_domain=None)
    assert (len(seen.kept), seen.dropped_cookies) == (5, 0)


def test_too_many_fields() -> None:
    """Two hundred fields go on, one more does not."""
    lines = [b"X-%d: 1" % number for number in range(MAX_FIELDS)]
    assert len(read(*lines).kept) == MAX_FIELDS
    with pytest.raises(BadAnswer):
        read(*lines, b"X: 1")


def check(octets: bytes) -> None:
    """Hold whatever an upstream sends to an answer that can be passed on, or to a refusal."""
    for to_head in (False, True):
        try:
            seen = read_answer(octets, to_head=to_head, cookie_domain=b"portal.example")
        except BadAnswer:
            continue
        assert 100 <= seen.status <= 599
        assert seen.body >= UNTIL_CLOSE
        assert all(0x20 <= octet <= 0x7E for octet in seen.reason)
        assert seen.length is None or seen.length == str(int(seen.length)).encode()
        for name, value in seen.kept:
            assert TOKEN.fullmatch(name)
            assert VALUE.fullmatch(value)
            assert name.lower() not in (b"content-length", b"transfer-encoding", b"connection", b"upgrade")


@given(st.binary(max_size=300))
def test_arbitrary_octets(octets: bytes) -> None:
    """No octets at all end in anything but an answer or BadAnswer."""
    check(octets)
    check(head(octets))
    check(head(b"X: 1", first=b"HTTP/1.1 200 " + octets))


HEADS = [
    head(b"Content-Length: 5", b"Content-Type: text/html"),
    head(b"Transfer-Encoding: chunked", b"Set-Cookie: a=1; Domain=portal.example"),
    head(b"Connection: close, X-A", b"X-A: 1", first=b"HTTP/1.0 404 Not Found"),
    head(b"Upgrade: websocket", b"Connection: Upgrade", first=b"HTTP/1.1 101 Switching Protocols"),
]


@settings(max_examples=500)
@given(
    st.sampled_from(HEADS),
    st.lists(
        st.tuples(st.integers(0, 200), st.integers(0, 2), st.binary(max_size=3)), min_size=1, max_size=5
    ),
)
def test_mutated_heads(answer: bytes, changes: list[tuple[int, int, bytes]]) -> None:
    """The same for a valid head with octets put in, taken out, or changed."""
    mutated = bytearray(answer)
    for where, removed, inserted in changes:
        at = where % (len(mutated) + 1)
        mutated[at : at + removed] = inserted
    check(bytes(mutated))
