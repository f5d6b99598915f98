"""Whatever octets come as a head, there is a Visit that can be forwarded, or a refusal."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from router.edge.framing import CHUNKED
from router.edge.headers import OWN_COOKIE_PREFIXES
from router.edge.visit import MAX_FIELDS, Refused, Visit, read_visit
from tests.edge.heads import HOST, arrival, head, networks

TOKEN = re.compile(rb"[!#$%&'*+.^`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2, without the underscore
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*")
OURS = re.compile(rb"(x-(portal|router|forwarded)-.*|forwarded|x-real-ip|x-request-id|proxy)", re.IGNORECASE)
FRAMING = {b"host", b"content-length", b"transfer-encoding", b"connection", b"cookie", b"upgrade", b"expect"}
STATUSES = {400, 405, 417, 431, 501}

HEADS = [
    head(b"Accept: */*", b"User-Agent: x"),
    head(b"Content-Length: 5", b"Cookie: a=1; __Host-portal-session=abc", method=b"POST", target=b"/a?b"),
    head(b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"X-Forwarded-For: 10.0.0.2", method=b"PUT"),
    head(b"Connection: Upgrade, X-A", b"Upgrade: websocket", b"X-A: 1", b"Origin: https://a.example"),
    head(target=b"http://acme.portal.example/x", version=b"1.0"),
]
LINES = st.sampled_from(
    [
        *(b"Host: acme.portal.example", b"Host: evil.example", b"Content-Length: 5", b"Content-Length: 0"),
        *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", b"Connection: close, Host, X-A"),
        *(
            b"X-Portal-User: root",
            b"X_Portal_User: root",
            b"x-portal-user : root",
            b"Cookie: a=1",
            b"Upgrade: h2c",
        ),
        *(
            b" folded",
            b"\tfolded",
            b"X-A: 1",
            b"X-A:",
            b"X\x00: 1",
            b"Expect: 100-continue",
            b"",
            b"\n",
            b"\r",
        ),
        *(b"X-Forwarded-For: a, b", b"GET / HTTP/1.1", b"0", b"Trailer: X-A", b"TE: trailers"),
    ]
)
ENDS = st.sampled_from([*[b"\r\n"] * 5, b"\n", b"\r", b"\r\r\n", b" \r\n"])


def read(octets: bytes) -> Visit | Refused:
    """Read a head; anything raised but a refusal fails the test."""
    try:
        return read_visit(octets, arrival(peer="10.0.0.1", trusted=networks("10.0.0.0/8")))
    except Refused as refused:
        return refused


def check(octets: bytes) -> Visit | None:
    """Read a head; hold a visit to what an upstream may see of it, and a refusal to a known status."""
    visit = read(octets)
    if isinstance(visit, Refused):
        assert visit.status in STATUSES
        assert re.fullmatch(r"[a-z_]+", visit.code)
        return None
    assert TOKEN.fullmatch(visit.method)
    assert TARGET.fullmatch(visit.target)
    assert visit.target.startswith(visit.path)
    assert re.fullmatch(rb"[A-Za-z0-9.:\[\]-]+", visit.host)
    assert visit.body >= CHUNKED
    assert len(visit.kept) <= MAX_FIELDS
    for name, value in visit.kept:
        assert TOKEN.fullmatch(name)
        assert VALUE.fullmatch(value)
        assert not OURS.fullmatch(name)
        assert name.lower() not in FRAMING
    assert visit.cookies is None or not visit.cookies.passed_on.startswith(OWN_COOKIE_PREFIXES)
    return visit


@given(st.binary(max_size=300))
def test_arbitrary_octets(octets: bytes) -> None:
    """No octets at all end in anything but a visit or a refusal."""
    check(octets)


@given(st.binary(max_size=200))
def test_arbitrary_octets_as_fields(octets: bytes) -> None:
    """The same where they stand in place of a field, an empty line inside included."""
    check(head(octets))
    check(head(b"X: " + octets))


@settings(max_examples=500)
@given(
    st.sampled_from(HEADS),
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 2), st.binary(max_size=3)), min_size=1, max_size=5
    ),
)
def test_mutated_heads(request: bytes, changes: list[tuple[int, int, bytes]]) -> None:
    """The same for a valid head with octets put in, taken out, or changed."""
    mutated = bytearray(request)
    for where, removed, inserted in changes:
        at = where % (len(mutated) + 1)
        mutated[at : at + removed] = inserted
    check(bytes(mutated))


@settings(max_examples=500)
@given(st.lists(st.tuples(LINES, ENDS), max_size=8))
def test_lines_in_any_order_with_any_ends(lines: list[tuple[bytes, bytes]]) -> None:
    """The same for lines made to be misread; what is accepted has the one Host, and no bare CR or LF."""
    fields = b"".join(line + end for line, end in lines)
    request = b"GET / HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n" + fields + b"\r\n"
    request = request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"  # where client.py ends a head
    visit = check(request)
    if visit is not None:
        assert visit.hostname == HOST
        without_ends = request.replace(b"\r\n", b"")
        assert b"\r" not in without_ends
        assert b"\n" not in without_ends


@given(st.sampled_from(HEADS), st.integers(0, 400))
def test_a_cut_head_is_no_request(request: bytes, cut: int) -> None:
    """A head whose empty line is missing is refused, wherever it was cut."""
    if cut < len(request):
        assert check(request[:cut]) is None
