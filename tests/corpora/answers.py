"""Answers of upstreams that are malformed, doubtful or odd, and what the client may see of them.

Each is sent as it stands to one request; then the connection is closed, or waits for the next request.
"""

from __future__ import annotations

from typing import Final

from tests.corpora.rows import AnswerRow, Cut, Failed, Passed

_HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def _head(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return start + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def _sized(*lines: bytes, start: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return _head(*lines, b"Content-Length: 5", start=start) + b"hello"


_START_LINES: dict[str, bytes] = {
    "version 0.9": b"HTTP/0.9 200 OK",
    "version 1.2": b"HTTP/1.2 200 OK",
    "version 2": b"HTTP/2 200 OK",
    "version 2.0": b"HTTP/2.0 200 OK",
    "version in lower case": b"http/1.1 200 OK",
    "another protocol": b"ICY 200 OK",
    "a request": b"GET / HTTP/1.1",
    "no version": b"200 OK",
    "no status": b"HTTP/1.1",
    "a word for a status": b"HTTP/1.1 OK",
    "two digits": b"HTTP/1.1 20 OK",
    "four digits": b"HTTP/1.1 2000 OK",
    "status 0": b"HTTP/1.1 000 OK",
    "status 99": b"HTTP/1.1 099 OK",
    "status 600": b"HTTP/1.1 600 OK",
    "status 999": b"HTTP/1.1 999 OK",
    "a negative status": b"HTTP/1.1 -200 OK",
    "two spaces before the status": b"HTTP/1.1  200 OK",
    "a tab before the status": b"HTTP/1.1\t200 OK",
    "a space before": b" HTTP/1.1 200 OK",
    "a bare CR in the reason": b"HTTP/1.1 200 O\rK",
    "a bare LF in the reason": b"HTTP/1.1 200 O\nK",
    "a NUL before": b"\x00HTTP/1.1 200 OK",
}

_LENGTHS: dict[str, bytes] = {
    "a plus sign": b"+5",
    "a minus sign": b"-5",
    "a letter behind": b"5x",
    "a list of the same": b"5, 5",
    "a list of others": b"5, 6",
    "nothing": b"",
    "hexadecimal": b"0x5",
    "a zero before": b"05",
    "a fraction": b"5.0",
    "20 digits": b"18446744073709551621",
    "a NUL": b"5\x00",
    "a vertical tab": b"\x0b5",
    "a bare CR": b"5\r",
}

_CODINGS: dict[str, bytes] = {
    "twice in a list": b"chunked, chunked",
    "gzip first": b"gzip, chunked",
    "gzip last": b"chunked, gzip",
    "gzip": b"gzip",
    "identity": b"identity",
    "a letter behind": b"chunkedx",
    "a comma behind": b"chunked,",
    "a parameter": b"chunked;q=1",
    "a vertical tab before": b"\x0bchunked",
    "a NUL behind": b"chunked\x00",
    "nothing": b"",
    "a folded line": b"\r\n chunked",
}

_FIELD_LINES: dict[str, bytes] = {
    "a space before the colon": b"X-A : b",
    "a tab before the colon": b"X-A\t: b",
    "no colon": b"X-A",
    "no name": b": b",
    "a space in the name": b"X A: b",
    "a NUL in the name": b"X\x00A: b",
    "octets beyond ASCII in the name": "X-Ä: b".encode(),
    "a NUL in the value": b"X-A: b\x00c",
    "a control character in the value": b"X-A: b\x01c",
    "a DEL in the value": b"X-A: b\x7fc",
    "a bare CR in the value": b"X-A: b\rc",
    "a bare CR at the end": b"X-A: b\r",
    "a bare LF in the value": b"X-A: b\nX-B: c",
    "a folded line": b"X-A: b\r\n c",
    "a line of one space": b" ",
}

_HEADS = [
    *(AnswerRow(f"start: {name}", _sized(start=line), Failed()) for name, line in _START_LINES.items()),
    *(AnswerRow(f"field: {name}", _sized(line), Failed()) for name, line in _FIELD_LINES.items()),
    AnswerRow("head: none", b"", Failed(), then_closes=True),
    AnswerRow("head: one octet", b"H", Failed(), then_closes=True),
    AnswerRow("head: half", b"HTTP/1.1 200 OK\r\nContent-Le", Failed(), then_closes=True),
    AnswerRow("head: all but its end", _head(b"Content-Length: 0")[:-2], Failed(), then_closes=True),
    AnswerRow("head: a body without a head", b"hello\r\n\r\n", Failed()),
    AnswerRow("head: a page without a head", b"<html><p>hello</p></html>", Failed(), then_closes=True),
    AnswerRow("head: TLS", b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n", Failed()),
    AnswerRow("head: empty lines before", b"\r\n\r\n" + _sized(), Failed()),
    AnswerRow("head: a line feed before", b"\n" + _sized(), Failed()),
    AnswerRow("head: line feeds only", _sized().replace(b"\r\n", b"\n"), Failed(), then_closes=True),
    AnswerRow("head: endless", _head(b"X: " + b"y" * 40_000, b"Content-Length: 0"), Failed()),
    AnswerRow("head: endless without an end", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000, Failed()),
    AnswerRow("head: too many fields", _sized(*[b"X: y"] * 300), Failed()),
]

_FRAMINGS = [
    *(
        AnswerRow(f"length: {name}", _head(b"Content-Length: " + value) + b"hello", Failed())
        for name, value in _LENGTHS.items()
    ),
    *(
        AnswerRow(f"coding: {name}", _head(b"Transfer-Encoding: " + value) + _HELLO, Failed())
        for name, value in _CODINGS.items()
    ),
    *(
        AnswerRow(f"framing: {name}", octets, Failed())
        for name, octets in {
            "length, then chunked": _head(b"Content-Length: 5", b"Transfer-Encoding: chunked") + _HELLO,
            "chunked, then length": _head(b"Transfer-Encoding: chunked", b"Content-Length: 5") + _HELLO,
            "chunked twice": _head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + _HELLO,
            "length twice": _head(b"Content-Length: 5", b"Content-Length: 5") + b"hello",
            "two lengths": _head(b"Content-Length: 5", b"Content-Length: 0") + b"hello",
            "chunked in HTTP/1.0": _head(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK") + _HELLO,
            "chunked behind a bare LF": _head(b"X: y\nTransfer-Encoding: chunked") + _HELLO,
            "a length with a space before its colon": _head(b"Content-Length : 5") + b"hello",
            "a coding with a space before its colon": _head(b"Transfer-Encoding : chunked") + _HELLO,
        }.items()
    ),
    AnswerRow(
        "framing: two lengths to HEAD",
        _head(b"Content-Length: 5", b"Content-Length: 6"),
        Failed(),
        method=b"HEAD",
    ),
    AnswerRow(
        "framing: length and chunked in a 304",
        _head(b"Content-Length: 5", b"Transfer-Encoding: chunked", start=b"HTTP/1.1 304 Not Modified"),
        Failed(),
    ),
]


def _chunks(name: str, body: bytes, expected: Passed | Cut, *, then_closes: bool = False) -> AnswerRow:
    octets = _head(b"Transfer-Encoding: chunked") + body
    return AnswerRow(f"chunks: {name}", octets, expected, then_closes=then_closes)


_CHUNKS = [
    _chunks("no digit", b"x\r\nhello\r\n0\r\n\r\n", Cut()),
    _chunks("a space behind the size", b"5 \r\nhello\r\n0\r\n\r\n", Cut()),
    _chunks("a minus sign", b"-5\r\nhello\r\n0\r\n\r\n", Cut()),
    _chunks("hexadecimal with 0x", b"0x5\r\nhello\r\n0\r\n\r\n", Cut()),
    _chunks("64 bits and one", b"10000000000000005\r\nhello\r\n0\r\n\r\n", Cut()),
    _chunks("a line feed behind the size", b"5\nhello\r\n0\r\n\r\n", Cut()),
    _chunks("a line feed behind the data", b"5\r\nhello\n0\r\n\r\n", Cut()),
    _chunks("more data than said", b"5\r\nhelloX\r\n0\r\n\r\n", Cut()),
    _chunks("less data than said", b"6\r\nhello\r\n0\r\n\r\n", Cut()),
    _chunks("an endless size", b"0" * 20_000, Cut()),
    _chunks("an endless extension", b"5;" + b"a" * 20_000, Cut()),
    _chunks("a bare CR in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n", Cut()),
    _chunks("endless trailers", b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 3_000, Cut()),
    _chunks("a bad trailer", b"5\r\nhello\r\n0\r\nX : y\r\n\r\n", Cut()),
    _chunks("the end in a size", b"5", Cut(), then_closes=True),
    _chunks("the end in the data", b"5\r\nhel", Cut(), then_closes=True),
    _chunks("the end behind the data", b"5\r\nhello\r\n", Cut(), then_closes=True),
    _chunks("the end in the last chunk", b"5\r\nhello\r\n0\r\n", Cut(), then_closes=True),
    _chunks("no chunk at all", b"", Cut(), then_closes=True),
    _chunks("one", _HELLO, Passed()),
    _chunks("extensions", b'5;a="b"\r\nhello\r\n0;c\r\n\r\n', Passed(unseen=(b"a=", b";c"))),
    _chunks("no data", b"0\r\n\r\n", Passed(body=b"")),
    _chunks("something behind", _HELLO + b"HTTP/1.1 200 OK\r\n\r\n", Passed(reused=False)),
    _chunks("the close behind", _HELLO, Passed(reused=False), then_closes=True),
]

_BODIES = [
    AnswerRow("body: as long as said", _sized(), Passed()),
    AnswerRow("body: none", _head(b"Content-Length: 0"), Passed(body=b"")),
    AnswerRow("body: cut short", _head(b"Content-Length: 6") + b"hello", Cut(), then_closes=True),
    AnswerRow("body: missing", _head(b"Content-Length: 6"), Cut(), then_closes=True),
    AnswerRow("body: longer than said", _sized() + b"X", Passed(reused=False)),
    AnswerRow("body: followed by an answer", _sized() + _sized(), Passed(reused=False)),
    AnswerRow("body: followed by a line end", _sized() + b"\r\n", Passed(reused=False)),
    AnswerRow("body: until the close", _head() + b"hello", Passed(reused=False), then_closes=True),
    AnswerRow("body: none until the close", _head(), Passed(body=b"", reused=False), then_closes=True),
    AnswerRow(
        "body: until the close in HTTP/1.0",
        _head(start=b"HTTP/1.0 200 OK") + b"hello",
        Passed(reused=False),
        then_closes=True,
    ),
    AnswerRow("body: of HTTP/1.0", _sized(start=b"HTTP/1.0 200 OK"), Passed(reused=False)),
    AnswerRow(
        "body: of HTTP/1.0 that stays",
        _sized(b"Connection: keep-alive", start=b"HTTP/1.0 200 OK"),
        Passed(unseen=(b"keep-alive",)),
    ),
    AnswerRow("body: of one that closes", _sized(b"Connection: close"), Passed(reused=False)),
    AnswerRow("body: of one that closes, in a list", _sized(b"Connection: x, CLOSE"), Passed(reused=False)),
    AnswerRow("bodiless: HEAD", _head(b"Content-Length: 5"), Passed(body=b""), method=b"HEAD"),
    AnswerRow(
        "bodiless: HEAD, chunked", _head(b"Transfer-Encoding: chunked"), Passed(body=b""), method=b"HEAD"
    ),
    AnswerRow("bodiless: HEAD without a length", _head(), Passed(body=b""), method=b"HEAD"),
    AnswerRow("bodiless: HEAD with a body", _sized(), Passed(body=b"", reused=False), method=b"HEAD"),
    AnswerRow("bodiless: 204", _head(start=b"HTTP/1.1 204 No Content"), Passed(204, b"")),
    AnswerRow(
        "bodiless: 204 with a length",
        _head(b"Content-Length: 0", start=b"HTTP/1.1 204 No Content"),
        Passed(204, b"", unseen=(b"Content-Length",)),
    ),
    AnswerRow(
        "bodiless: 204 with a body",
        _sized(start=b"HTTP/1.1 204 No Content"),
        Passed(204, b"", reused=False, unseen=(b"hello", b"Content-Length")),
    ),
    AnswerRow(
        "bodiless: 204 with chunks",
        _head(b"Transfer-Encoding: chunked", start=b"HTTP/1.1 204 No Content") + _HELLO,
        Passed(204, b"", reused=False, unseen=(b"hello", b"chunked")),
    ),
    AnswerRow(
        "bodiless: 304 with a length",
        _head(b"Content-Length: 5", start=b"HTTP/1.1 304 Not Modified"),
        Passed(304, b"", seen=(b"Content-Length: 5\r\n",)),
    ),
    AnswerRow(
        "bodiless: 304 with a body",
        _sized(start=b"HTTP/1.1 304 Not Modified"),
        Passed(304, b"", reused=False, unseen=(b"hello",)),
    ),
]

_INTERIM = [
    AnswerRow("interim: 103", _head(b"Link: </a>", start=b"HTTP/1.1 103 Early Hints") + _sized(), Passed()),
    AnswerRow(
        "interim: 100 unasked",
        _head(start=b"HTTP/1.1 100 Continue") + _sized(),
        Passed(unseen=(b"100 Continue",)),
    ),
    AnswerRow("interim: sixteen", _head(start=b"HTTP/1.1 102 Processing") * 16 + _sized(), Passed()),
    AnswerRow("interim: seventeen", _head(start=b"HTTP/1.1 102 Processing") * 17 + _sized(), Failed()),
    AnswerRow("interim: a thousand", _head(start=b"HTTP/1.1 100 Continue") * 1000 + _sized(), Failed()),
    AnswerRow("interim: and no more", _head(start=b"HTTP/1.1 100 Continue"), Failed(), then_closes=True),
    AnswerRow(
        "interim: with a length",
        _head(b"Content-Length: 7", start=b"HTTP/1.1 103 Early Hints") + _sized(),
        Passed(unseen=(b"Content-Length: 7",)),
    ),
    AnswerRow(
        "interim: chunked",
        _head(b"Transfer-Encoding: chunked", start=b"HTTP/1.1 103 Early Hints") + _sized(),
        Passed(unseen=(b"chunked",)),
    ),
    AnswerRow(
        "interim: a bad one", _head(b"X-A : b", start=b"HTTP/1.1 103 Early Hints") + _sized(), Failed()
    ),
    AnswerRow("switch: unasked", _head(start=b"HTTP/1.1 101 Switching Protocols") + b"hello", Failed()),
    AnswerRow(
        "switch: to a WebSocket unasked",
        _head(b"Connection: Upgrade", b"Upgrade: websocket", start=b"HTTP/1.1 101 Switching Protocols"),
        Failed(),
    ),
    AnswerRow(
        "switch: after an interim answer",
        _head(start=b"HTTP/1.1 103 Early Hints") + _head(start=b"HTTP/1.1 101 Switching Protocols"),
        Failed(),
    ),
]

_FIELDS = [
    AnswerRow(
        "fields: hop by hop",
        _sized(
            b"Keep-Alive: timeout=5", b"Proxy-Authenticate: Basic", b"Trailer: X", b"TE: x", b"Upgrade: h2c"
        ),
        Passed(unseen=(b"timeout", b"Basic", b"Trailer", b"TE:", b"h2c")),
    ),
    AnswerRow(
        "fields: named by Connection",
        _sized(b"Connection: X-A", b"X-A: evil"),
        Passed(unseen=(b"X-A", b"evil")),
    ),
    AnswerRow(
        "fields: the length named by Connection",
        _sized(b"Connection: Content-Length"),
        Passed(seen=(b"Content-Length: 5\r\n",)),
    ),
    AnswerRow("fields: ours", _sized(b"X-Router-Tenant: evil"), Passed(unseen=(b"evil",))),
    AnswerRow(
        "fields: octets beyond ASCII", _sized("X-A: ä".encode()), Passed(seen=("X-A: ä\r\n".encode(),))
    ),
    AnswerRow("reason: none", _sized(start=b"HTTP/1.1 200"), Passed()),
    AnswerRow("reason: empty", _sized(start=b"HTTP/1.1 200 "), Passed()),
    AnswerRow(
        "reason: its own", _sized(start=b"HTTP/1.1 200 Fine"), Passed(seen=(b"HTTP/1.1 200 Fine\r\n",))
    ),
    AnswerRow(
        "reason: octets beyond ASCII",
        _sized(start="HTTP/1.1 200 Schön".encode()),
        Passed(seen=(b"HTTP/1.1 200 OK\r\n",)),
    ),
    AnswerRow("status: nobody knows", _sized(start=b"HTTP/1.1 299 Odd"), Passed(299)),
    AnswerRow("status: the last", _sized(start=b"HTTP/1.1 599 Odd"), Passed(599)),
]

ANSWERS: Final = tuple(_HEADS + _FRAMINGS + _CHUNKS + _BODIES + _INTERIM + _FIELDS)
