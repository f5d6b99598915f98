"""From a head to a visit: what is refused, and what is known of what is not."""

from __future__ import annotations

import pytest

from router.edge.framing import CHUNKED, NO_BODY
from router.edge.visit import MAX_FIELDS, Door
from tests.edge.heads import HOST, arrival, head, refusal, visit

BAD_REQUEST = 400


# -- the request line -------------------------------------------------------------------------------------


def test_the_facts_of_a_request() -> None:
    """What a plain request says is what its visit holds."""
    connection = arrival()
    seen = visit(
        b"User-Agent: x",
        b"Cookie: a=1",
        method=b"POST",
        target=b"/a%20b?c=/d?e",
        host=b"ACME.Portal.example:443",
        by=connection,
    )
    assert (seen.method, seen.target, seen.path) == (b"POST", b"/a%20b?c=/d?e", b"/a%20b")
    assert (seen.hostname, seen.host, seen.covered) == (HOST, b"acme.portal.example", True)
    assert seen.kept == [(b"User-Agent", b"x")]
    assert (seen.body, seen.http10, seen.keep_alive) == (NO_BODY, False, True)
    assert (seen.websocket, seen.expects_continue) == (False, False)
    assert (seen.door, seen.client, seen.id) == (Door.HTTPS, "203.0.113.9", "c0ffee-1")
    assert visit(by=connection).id == "c0ffee-2"


@pytest.mark.parametrize(
    "method", [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND", b"REPORT"]
)
def test_known_methods_are_visits(method: bytes) -> None:
    """The usual methods, those of WebDAV included, are the backend's business."""
    assert visit(method=method).method == method


@pytest.mark.parametrize(
    ("request_head", "refused"),
    [
        (head(method=b"CONNECT", target=HOST.encode() + b":443"), (405, "method_not_allowed")),
        (head(method=b"TRACE"), (405, "method_not_allowed")),
        (head(method=b"FOO"), (501, "method_unknown")),
        (head(method=b"get"), (501, "method_unknown")),
    ],
)
def test_other_methods_are_refused(request_head: bytes, refused: tuple[int, str]) -> None:
    """CONNECT and TRACE are not allowed, and what nobody knows is not implemented (RFC 9110 section 9.1)."""
    assert refusal(request_head) == refused


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET\t/ HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b" GET / HTTP/1.1",
        b"GET / HTTP/1.1\r",
        b"GET /",
        b"GET / HTTP/0.9",
        b"GET / HTTP/1.2",
        b"GET / HTTP/2.0",
        b"GET / HTTP/1",
        b"GET / http/1.1",
        b"GET / HTTP/01.1",
        b"GET / RTSP/1.0",
        b"SOURCE / ICE/1.0",
        b"PRI * HTTP/2.0",
        b"GET HTTP/1.1",
        b"/ HTTP/1.1",
        b"\n\x00",
        b"",
        b"\nGET / HTTP/1.1",
        b"\rGET / HTTP/1.1",
        b"\r\r\nGET / HTTP/1.1",
        b"\r\n\nGET / HTTP/1.1",
        b"\x16\x03\x01GET / HTTP/1.1",
    ],
)
def test_the_request_line_has_one_form(line: bytes) -> None:
    """Method, space, target, space, HTTP/1.1 or 1.0; no other blank, version or empty line (RFC 9112 3)."""
    request = line + b"\r\nHost: " + HOST.encode() + b"\r\n\r\n"
    refused = refusal(request)
    assert refused is not None
    assert refused[0] in (400, 501)


def test_one_empty_line_before_it_is_passed_over() -> None:
    """Old browsers send one after a POST (RFC 9112 section 2.2)."""
    assert refusal(b"\r\n" + head()) is None


# -- the fields -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"X: 1\r\n folded",
        b"X: 1\r\n\tfolded",
        b" X: 1",
        b"X : 1",
        b"X\t: 1",
        b": 1",
        b"X",
        b"X: 1\nY: 2",
        b"X: 1\rY: 2",
        b"X: 1\r\rY: 2",
        b"X: \x00",
        b"X\x00: 1",
        b"X(: 1",
        b"X[]: 1",
        b"X{}: 1",
        b'X": 1',
        b"X\xe9: 1",
        b"X: 1\n",
        b"\nX: 1",
    ],
)
def test_malformed_fields_are_refused(line: bytes) -> None:
    """Obs-fold, blanks around a name, bare CR or LF, NUL: 400, wherever the field stands (RFC 9112 5)."""
    for request in (head(line), head(line, b"Y: 2"), head(b"Y: 2", line)):
        assert refusal(request) == (400, "bad_head")


@pytest.mark.parametrize("octet", [octet for octet in range(0x20) if octet != 0x09] + [0x7F])
def test_control_characters_are_refused(octet: int) -> None:
    """No control character but a tab stands in a value, at its beginning, in it, or at its end."""
    for value in (b"%bx", b"x%by", b"x%b"):
        assert refusal(head(b"X: " + value % bytes([octet]), b"Y: 2")) is not None


@pytest.mark.parametrize(
    "line", [b"X:", b"X: ", b"X:1", b"X: a\tb", b"X: \x80\xff", b'X: ()<>@,;:\\"/[]?={} ']
)
def test_odd_values_go_on(line: bytes) -> None:
    """Empty values, tabs and octets beyond ASCII are the backend's business."""
    ((name, value),) = visit(line).kept
    assert name == b"X"
    assert value.strip() == line[2:].strip()


def test_too_many_fields_are_refused() -> None:
    """A hundred fields go on, one more does not (431, RFC 6585 section 5)."""
    lines = [b"X-%d: 1" % number for number in range(MAX_FIELDS)]
    assert len(visit(*lines).kept) == MAX_FIELDS
    assert refusal(head(*lines, b"X: 1")) == (431, "too_many_fields")


# -- framing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ([], NO_BODY),
        ([b"Content-Length: 0"], NO_BODY),
        ([b"Content-Length: 5"], 5),
        ([b"content-LENGTH:5"], 5),
        ([b"Transfer-Encoding: chunked"], CHUNKED),
        ([b"TRANSFER-encoding: Chunked"], CHUNKED),
        ([b"Content_Length: 7"], NO_BODY),
        ([b"Transfer_Encoding: chunked", b"Content-Length: 5"], 5),
    ],
)
def test_a_body_is_framed_by_its_fields(lines: list[bytes], body: int) -> None:
    """Length or chunked, by whatever case of the names; a name with an underscore is another name."""
    seen = visit(*lines, method=b"POST")
    assert (seen.body, seen.kept) == (body, [])


@pytest.mark.parametrize(
    "lines",
    [
        [b"Content-Length: 5", b"Content-Length: 5"],
        [b"Content-Length: 5", b"Content-Length: 6"],
        [b"Content-Length: 5, 5"],
        [b"Content-Length: +5"],
        [b"Content-Length: -5"],
        [b"Content-Length: 05"],
        [b"Content-Length: 5 "],
        [b"Content-Length: 0x5"],
        [b"Content-Length:"],
        [b"Content-Length: 18446744073709551621"],
        [b"Content-Length : 5"],
        [b"Content-Length: 5", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 5"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: chunked, gzip"],
        [b"Transfer-Encoding: xchunked"],
        [b"Transfer-Encoding: \x0bchunked"],
        [b"Transfer-Encoding: chunked\x00"],
        [b"Transfer-Encoding:"],
        [b"Transfer-Encoding : chunked"],
        [b"Transfer-Encoding\t: chunked"],
        [b"Transfer-Encoding:\r\n chunked"],
        [b"X: 1\nTransfer-Encoding: chunked"],
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_doubtful_framing_is_refused(lines: list[bytes], method: bytes) -> None:
    """A body with two possible ends is none: 400, whatever the method (DESIGN: smuggling)."""
    refused = refusal(head(*lines, method=method))
    assert refused is not None
    assert refused[0] == BAD_REQUEST


# -- the connection ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "lines", "keep_alive"),
    [
        (b"1.1", [], True),
        (b"1.1", [b"Connection: keep-alive"], True),
        (b"1.1", [b"Connection: close"], False),
        (b"1.1", [b"Connection: x, CLOSE"], False),
        (b"1.1", [b"Connection: x", b"Connection: close"], False),
        (b"1.1", [b"Connection: closed"], True),
        (b"1.0", [], False),
        (b"1.0", [b"Connection: keep-alive"], False),
    ],
)
def test_what_comes_after_the_answer(version: bytes, lines: list[bytes], *, keep_alive: bool) -> None:
    """HTTP/1.1 goes on unless somebody says close; HTTP/1.0 gets one answer (RFC 9112 section 9.3)."""
    seen = visit(*lines, version=version)
    assert (seen.keep_alive, seen.http10) == (keep_alive, version == b"1.0")


UPGRADE = [b"Connection: Upgrade", b"Upgrade: websocket"]


@pytest.mark.parametrize(
    ("lines", "method", "version", "websocket"),
    [
        (UPGRADE, b"GET", b"1.1", True),
        ([b"Connection: keep-alive, upgrade", b"Upgrade: WebSocket"], b"GET", b"1.1", True),
        (UPGRADE, b"POST", b"1.1", False),
        (UPGRADE, b"HEAD", b"1.1", False),
        (UPGRADE, b"GET", b"1.0", False),
        (UPGRADE[1:], b"GET", b"1.1", False),
        (UPGRADE[:1], b"GET", b"1.1", False),
        ([*UPGRADE, b"Upgrade: websocket"], b"GET", b"1.1", False),
        ([UPGRADE[0], b"Upgrade: websocket, h2c"], b"GET", b"1.1", False),
        ([UPGRADE[0], b"Upgrade: h2c", b"HTTP2-Settings: AAMA"], b"GET", b"1.1", False),
        ([UPGRADE[0], b"Upgrade: TLS/1.0"], b"GET", b"1.1", False),
        ([*UPGRADE, b"Content-Length: 5"], b"GET", b"1.1", False),
        ([*UPGRADE, b"Transfer-Encoding: chunked"], b"GET", b"1.1", False),
    ],
)
def test_only_websocket_is_an_upgrade(
    lines: list[bytes], method: bytes, version: bytes, *, websocket: bool
) -> None:
    """A GET without a body that asks for a WebSocket and nothing else; any other Upgrade is ignored.

    RFC 6455 section 4.1, RFC 9110 section 7.8.
    """
    seen = visit(*lines, method=method, version=version)
    assert (seen.websocket, seen.kept) == (websocket, [])


@pytest.mark.parametrize(
    ("lines", "version", "expects"),
    [
        ([], b"1.1", False),
        ([b"Expect: 100-continue"], b"1.1", True),
        ([b"Expect: 100-Continue"], b"1.1", True),
        ([b"Expect: 100-continue"], b"1.0", False),
        ([b"Expect: something"], b"1.0", False),
    ],
)
def test_who_waits_for_100_continue(lines: list[bytes], version: bytes, *, expects: bool) -> None:
    """A client of HTTP/1.1 may; one of HTTP/1.0 does not mean it (RFC 9110 section 10.1.1)."""
    assert visit(*lines, method=b"POST", version=version).expects_continue is expects


@pytest.mark.parametrize(
    "lines",
    [
        [b"Expect: something"],
        [b"Expect: 100-continue, more"],
        [b"Expect:"],
        [b"Expect: 100-continue", b"Expect: 100-continue"],
    ],
)
def test_other_expectations_fail(lines: list[bytes]) -> None:
    """What we cannot promise is 417 (RFC 9110 section 15.5.18)."""
    assert refusal(head(*lines, method=b"POST")) == (417, "unknown_expectation")


# -- who is looking ---------------------------------------------------------------------------------------

HTML = b"Accept: text/html,*/*;q=0.8"


@pytest.mark.parametrize(
    ("lines", "method", "page"),
    [
        ([HTML], b"GET", True),
        ([HTML], b"HEAD", True),
        ([HTML, b"Sec-Fetch-Mode: navigate"], b"GET", True),
        ([HTML], b"POST", False),
        ([HTML], b"OPTIONS", False),
        ([], b"GET", False),
        ([b"Accept: */*"], b"GET", False),
        ([b"Accept: application/json"], b"GET", False),
        ([HTML, b"Sec-Fetch-Mode: cors"], b"GET", False),
        ([HTML, b"X-Requested-With: XMLHttpRequest"], b"GET", False),
        ([HTML, *UPGRADE], b"GET", False),
    ],
)
def test_a_page_is_for_a_person(lines: list[bytes], method: bytes, *, page: bool) -> None:
    """A redirect to a sign-in page is for navigations; a program would follow it and mistake the page."""
    assert visit(*lines, method=method).wants_page is page
