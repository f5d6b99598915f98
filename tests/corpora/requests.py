"""Requests that are malformed, or that two parsers could read in two ways, and what must become of them.

Gathered from RFC 9110 and 9112, the test suites of nginx, HAProxy, h11, llhttp and aiohttp, and the published
request smuggling techniques (CL.TE, TE.CL, TE.TE, CL.0, TE.0, chunk extensions, header smuggling). Each is
sent with the cookie of somebody who signed in: nothing but its form stands between it and the upstream.
"""

from __future__ import annotations

from typing import Final

from tests.corpora.rows import COOKIE, HOST, Broken, Forwarded, Refused, RequestRow

_HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def _head(*lines: bytes, start: bytes = b"GET / HTTP/1.1") -> bytes:
    return start + b"\r\n" + HOST + COOKIE + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def _post(*lines: bytes) -> bytes:
    return _head(*lines, start=b"POST / HTTP/1.1")


def _hosted(*hosts: bytes, start: bytes = b"GET / HTTP/1.1") -> bytes:
    return start + b"\r\n" + COOKIE + b"".join(b"Host: " + host + b"\r\n" for host in hosts) + b"\r\n"


_START_LINES: dict[str, tuple[bytes, int]] = {
    "nothing but a word": (b"GET", 400),
    "no version": (b"GET /", 400),
    "version 0.9": (b"GET / HTTP/0.9", 400),
    "version 1.2": (b"GET / HTTP/1.2", 400),
    "version 1.10": (b"GET / HTTP/1.10", 400),
    "version 2.0": (b"GET / HTTP/2.0", 400),
    "version 1": (b"GET / HTTP/1", 400),
    "version 01.1": (b"GET / HTTP/01.1", 400),
    "version in lower case": (b"GET / http/1.1", 400),
    "version of another protocol": (b"GET / RTSP/1.0", 400),
    "version HTTPS": (b"GET / HTTPS/1.1", 400),
    "version with a space": (b"GET / HTTP/ 1.1", 400),
    "something after the version": (b"GET / HTTP/1.1 x", 400),
    "a space after the version": (b"GET / HTTP/1.1 ", 400),
    "a CR after the version": (b"GET / HTTP/1.1\r", 400),
    "two spaces before the target": (b"GET  / HTTP/1.1", 400),
    "two spaces after the target": (b"GET /  HTTP/1.1", 400),
    "a tab before the target": (b"GET\t/ HTTP/1.1", 400),
    "a tab after the target": (b"GET /\tHTTP/1.1", 400),
    "a space before the method": (b" GET / HTTP/1.1", 400),
    "a tab before the method": (b"\tGET / HTTP/1.1", 400),
    "a space in the target": (b"GET /a b HTTP/1.1", 400),
    "a NUL in the target": (b"GET /a\x00b HTTP/1.1", 400),
    "a control character in the target": (b"GET /a\x01b HTTP/1.1", 400),
    "a DEL in the target": (b"GET /a\x7fb HTTP/1.1", 400),
    "a form feed in the target": (b"GET /a\x0cb HTTP/1.1", 400),
    "a bare CR in the target": (b"GET /a\rb HTTP/1.1", 400),
    "a header behind a bare CR in the target": (b"GET /\rX-Portal-Email: e HTTP/1.1", 400),
    "a bare LF in the target": (b"GET /a\nb HTTP/1.1", 400),
    "a fragment": (b"GET /a#b HTTP/1.1", 400),
    "a fragment in the query": (b"GET /a?b#c HTTP/1.1", 400),
    "a target without a slash": (b"GET a HTTP/1.1", 400),
    "a target that is a query": (b"GET ?a HTTP/1.1", 400),
    "asterisk form": (b"OPTIONS * HTTP/1.1", 400),
    "asterisk form of a GET": (b"GET * HTTP/1.1", 400),
    "authority form of a GET": (b"GET acme.portal.example:443 HTTP/1.1", 400),
    "a method in lower case": (b"get / HTTP/1.1", 501),
    "a method with its case mixed": (b"Get / HTTP/1.1", 501),
    "a method nobody knows": (b"FOO / HTTP/1.1", 501),
    "a method that begins like one": (b"GETX / HTTP/1.1", 501),
    "a method with a NUL": (b"GE\x00T / HTTP/1.1", 400),
    "a method with a colon": (b"GET: / HTTP/1.1", 400),
    "no method": (b" / HTTP/1.1", 400),
    "CONNECT": (b"CONNECT internal.example:443 HTTP/1.1", 405),
    "CONNECT to ourselves": (b"CONNECT acme.portal.example:443 HTTP/1.1", 405),
    "TRACE": (b"TRACE / HTTP/1.1", 405),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0", 400),
}

_HOSTS: dict[str, bytes] = {
    "empty": b"",
    "a list": b"acme.portal.example, evil.example",
    "a list without a space": b"acme.portal.example,acme.portal.example",
    "two names": b"acme.portal.example evil.example",
    "user information": b"evil@acme.portal.example",
    "user information before": b"acme.portal.example@evil.example",
    "a path": b"acme.portal.example/x",
    "a query": b"acme.portal.example?x",
    "a fragment": b"acme.portal.example#x",
    "a backslash": b"acme.portal.example\\x",
    "a scheme": b"https://acme.portal.example",
    "port 0": b"acme.portal.example:0",
    "port 99999": b"acme.portal.example:99999",
    "port 65536": b"acme.portal.example:65536",
    "a port of letters": b"acme.portal.example:https",
    "a negative port": b"acme.portal.example:-1",
    "an empty port": b"acme.portal.example:",
    "two ports": b"acme.portal.example:443:443",
    "a port alone": b":443",
    "a dot": b".",
    "two dots": b"..",
    "a dot before": b".acme.portal.example",
    "two dots before": b"..acme.portal.example",
    "two dots behind": b"acme.portal.example..",
    "an empty label": b"acme..portal.example",
    "an underscore": b"ac_me.portal.example",
    "a hyphen before": b"-acme.portal.example",
    "a percent sign": b"%61cme.portal.example",
    "an asterisk": b"*.portal.example",
    "a NUL": b"acme.portal.example\x00",
    "a NUL and more": b"acme.portal.example\x00.evil.example",
    "a control character": b"acme.portal.example\x01",
    "a tab inside": b"acme\t.portal.example",
    "octets beyond ASCII": "ácme.portal.example".encode(),
    "a fullwidth letter": "\uff41cme.portal.example".encode(),
    "a long label": b"a" * 64 + b".portal.example",
    "a long name": b".".join([b"a" * 50] * 6) + b".example",
    "a bracket left open": b"[::1",
    "a bracket and more": b"[::1]evil.example",
    "empty brackets": b"[]",
    "a zone": b"[fe80::1%25eth0]",
    "an IPv6 address without brackets": b"::1",
    "IPvFuture": b"[v1.x]",
    "an IPv4 address of three numbers": b"127.0.1",
    "an IPv4 address of five numbers": b"127.0.0.1.1",
    "an IPv4 address as one number": b"2130706433",
    "an IPv4 address in hexadecimal": b"0x7f.0.0.1",
    "an IPv4 address in octal": b"0177.0.0.01",
    "a quoted name": b'"acme.portal.example"',
    "a semicolon": b"acme.portal.example;x",
    "a blank behind": b"acme.portal.example ",
}

_LENGTHS: dict[str, bytes] = {
    "a plus sign": b"+5",
    "a minus sign": b"-5",
    "minus zero": b"-0",
    "a letter behind": b"5x",
    "a letter before": b"x5",
    "a space inside": b"5 5",
    "a blank behind": b"5 ",
    "a list of the same": b"5, 5",
    "a list of others": b"5,6",
    "a comma behind": b"5,",
    "nothing": b"",
    "hexadecimal": b"0x5",
    "a zero before": b"05",
    "many zeros": b"00000000000000000000005",
    "an exponent": b"5e0",
    "a fraction": b"5.0",
    "a digit separator": b"1_0",
    "a semicolon": b"5;x",
    "quotes": b'"5"',
    "20 digits": b"18446744073709551621",
    "19 digits": b"9223372036854775808",
    "a NUL": b"5\x00",
    "a vertical tab before": b"\x0b5",
    "a form feed behind": b"5\x0c",
    "digits beyond ASCII": "\uff15".encode(),
    "a bare CR": b"5\r6",
}

_CODINGS: dict[str, bytes] = {
    "twice in a list": b"chunked, chunked",
    "gzip first": b"gzip, chunked",
    "gzip last": b"chunked, gzip",
    "gzip": b"gzip",
    "identity": b"identity",
    "identity first": b"identity, chunked",
    "identity last": b"chunked, identity",
    "a letter before": b"xchunked",
    "a letter behind": b"chunkedx",
    "a letter less": b"chunke",
    "a parameter": b"chunked;q=1",
    "quotes": b'"chunked"',
    "a comma behind": b"chunked,",
    "a comma before": b",chunked",
    "a comma and a space before": b", chunked",
    "a space inside": b"chun ked",
    "a blank behind": b"chunked ",
    "a tab behind": b"chunked\t",
    "a vertical tab before": b"\x0bchunked",
    "a form feed before": b"\x0cchunked",
    "a vertical tab behind": b"chunked\x0b",
    "a NUL behind": b"chunked\x00",
    "a no-break space behind": b"chunked\xa0",
    "a Kelvin sign": "chun\u212aed".encode(),
    "a control character": b"\x01chunked",
    "a bare CR": b"\rchunked",
    "a bare CR behind": b"chunked\r",
    "a folded line": b"\r\n chunked",
    "a folded line behind": b"chunked\r\n ,gzip",
    "nothing": b"",
}

_FRAMINGS: dict[str, bytes] = {
    "length, then chunked": _post(b"Content-Length: 5", b"Transfer-Encoding: chunked") + _HELLO,
    "chunked, then length": _post(b"Transfer-Encoding: chunked", b"Content-Length: 5") + _HELLO,
    "length 0 and chunked": _post(b"Content-Length: 0", b"Transfer-Encoding: chunked") + _HELLO,
    "chunked in odd case and length": _post(b"tRANSFER-eNCODING: Chunked", b"CONTENT-length: 5") + _HELLO,
    "a bad coding and length": _post(b"Content-Length: 5", b"Transfer-Encoding: x") + b"hello",
    "no coding and length": _post(b"Content-Length: 5", b"Transfer-Encoding:") + b"hello",
    "chunked twice": _post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + _HELLO,
    "chunked and identity": _post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity") + _HELLO,
    "identity and chunked": _post(b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked") + _HELLO,
    "length twice": _post(b"Content-Length: 5", b"Content-Length: 5") + b"hello",
    "two lengths": _post(b"Content-Length: 5", b"Content-Length: 6") + b"hello",
    "two lengths apart": _post(b"Content-Length: 0", b"X: y", b"content-length: 5") + b"hello",
    "a length and none": _post(b"Content-Length: 5", b"Content-Length:") + b"hello",
    "chunked in HTTP/1.0": _head(b"Transfer-Encoding: chunked", start=b"POST / HTTP/1.0") + _HELLO,
    "chunked and length in HTTP/1.0": _head(
        b"Transfer-Encoding: chunked", b"Content-Length: 5", start=b"POST / HTTP/1.0"
    )
    + _HELLO,
    "chunked behind a bare LF": _post(b"X: y\nTransfer-Encoding: chunked") + _HELLO,
    "chunked behind a bare CR": _post(b"X: y\rTransfer-Encoding: chunked") + _HELLO,
    "length behind a bare LF": _post(b"X: y\nContent-Length: 5") + b"hello",
    "a length to a websocket, and chunked": _head(
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Content-Length: 5",
        b"Transfer-Encoding: chunked",
    )
    + _HELLO,
}

_FIELD_LINES: dict[str, bytes] = {
    "a space before the colon": b"X-A : b",
    "a tab before the colon": b"X-A\t: b",
    "a length with a space before the colon": b"Content-Length : 5",
    "a length with a tab before the colon": b"Content-Length\t: 5",
    "a coding with a space before the colon": b"Transfer-Encoding : chunked",
    "a coding with a NUL before the colon": b"Transfer-Encoding\x00: chunked",
    "a coding with a vertical tab before it": b"\x0bTransfer-Encoding: chunked",
    "a coding with a bare CR before the colon": b"Transfer-Encoding\r: chunked",
    "a coding with a line end before the colon": b"Transfer-Encoding\r\n : chunked",
    "no colon": b"X-A",
    "no colon but a space": b"X-A b",
    "no name": b": b",
    "a space in the name": b"X A: b",
    "a NUL in the name": b"X\x00A: b",
    "a control character in the name": b"X\x01A: b",
    "a DEL in the name": b"X\x7fA: b",
    "octets beyond ASCII in the name": "X-Ä: b".encode(),
    "a parenthesis in the name": b"X(A): b",
    "a slash in the name": b"X/A: b",
    "an at sign in the name": b"X@A: b",
    "brackets in the name": b"X[A]: b",
    "quotes in the name": b'"X-A": b',
    "a comma in the name": b"X,A: b",
    "an equals sign in the name": b"X=A: b",
    "a backslash in the name": b"X\\A: b",
    "a NUL in the value": b"X-A: b\x00c",
    "a control character in the value": b"X-A: b\x01c",
    "a DEL in the value": b"X-A: b\x7fc",
    "a vertical tab in the value": b"X-A: b\x0bc",
    "an escape in the value": b"X-A: \x1b[2J",
    "a bare CR in the value": b"X-A: b\rc",
    "a bare CR at the end of the value": b"X-A: b\r",
    "a bare LF in the value": b"X-A: b\nX-B: c",
    "a bare LF, then a folded line": b"X-A: b\n c",
    "a line folded by a space": b"X-A: b\r\n c",
    "a line folded by a tab": b"X-A: b\r\n\tc",
    "a line folded into nothing": b"X-A:\r\n b",
    "an identity folded": b"X-A: b\r\n X-Portal-Email: evil",
    "a line of one space": b" ",
    "a line of one tab": b"\t",
    "a line that begins with a space": b" X-A: b",
}

_REFUSED = (
    [
        RequestRow(f"start: {name}", _head(start=line), Refused(status))
        for name, (line, status) in _START_LINES.items()
    ]
    + [RequestRow(f"host: {name}", _hosted(host), Refused()) for name, host in _HOSTS.items()]
    + [
        RequestRow(f"length: {name}", _post(b"Content-Length: " + value) + b"hello", Refused())
        for name, value in _LENGTHS.items()
    ]
    + [
        RequestRow(f"coding: {name}", _post(b"Transfer-Encoding: " + value) + _HELLO, Refused())
        for name, value in _CODINGS.items()
    ]
    + [RequestRow(f"framing: {name}", octets, Refused()) for name, octets in _FRAMINGS.items()]
    + [RequestRow(f"field: {name}", _head(line), Refused()) for name, line in _FIELD_LINES.items()]
    + [
        RequestRow(
            f"first field: {name}",
            b"GET / HTTP/1.1\r\n" + line + b"\r\n" + HOST + COOKIE + b"\r\n",
            Refused(),
        )
        for name, line in (("folded", b" X-A: b"), ("folded Host", b" Host: evil.example"), ("a CR", b"\r"))
    ]
    + [
        RequestRow("host: none", _hosted(), Refused()),
        RequestRow("host: none in HTTP/1.0", _hosted(start=b"GET / HTTP/1.0"), Refused()),
        RequestRow(
            "host: twice the same", _hosted(b"acme.portal.example", b"acme.portal.example"), Refused()
        ),
        RequestRow("host: two", _hosted(b"acme.portal.example", b"evil.example"), Refused()),
        RequestRow("host: a second, empty", _hosted(b"acme.portal.example", b""), Refused()),
        RequestRow("host: folded", _hosted(b"acme.portal.example\r\n evil.example"), Refused()),
        RequestRow(
            "host: a space before the colon",
            b"GET / HTTP/1.1\r\nHost : acme.portal.example\r\n" + COOKIE + b"\r\n",
            Refused(),
        ),
        RequestRow("head: only line feeds", _head().replace(b"\r\n", b"\n"), Refused()),
        RequestRow("head: only carriage returns", _head().replace(b"\r\n", b"\r"), Refused()),
        RequestRow("head: ends in two line feeds", _head()[:-4] + b"\n\n", Refused()),
        RequestRow("head: ends in LF CR LF", _head()[:-4] + b"\n\r\n", Refused()),
        RequestRow("head: a line ends in CR CR LF", _head(b"X: y\r"), Refused()),
        RequestRow("head: two empty lines before", b"\r\n\r\n" + _head(), Refused()),
        RequestRow("head: a line feed before", b"\n" + _head(), Refused()),
        RequestRow("head: a NUL before", b"\x00" + _head(), Refused()),
        RequestRow("head: a byte order mark before", b"\xef\xbb\xbf" + _head(), Refused()),
        RequestRow("head: an answer", b"HTTP/1.1 200 OK\r\n" + HOST + COOKIE + b"\r\n", Refused()),
        RequestRow("head: TLS inside TLS", b"\x16\x03\x01\x02\x00\x01" + _head(), Refused()),
        RequestRow("head: too many fields", _head(*[b"X: y"] * 101), Refused(431)),
        RequestRow("head: too long a value", _head(b"X: " + b"y" * 40_000), Refused(431)),
        RequestRow("head: too long a name", _head(b"X" * 40_000 + b": y"), Refused(431)),
        RequestRow(
            "head: too long a target", _head(start=b"GET /" + b"a" * 40_000 + b" HTTP/1.1"), Refused(431)
        ),
        RequestRow("head: one line without an end", b"GET /" + b"a" * 40_000, Refused(431)),
        RequestRow("head: too long in all", _head(*[b"X: " + b"y" * 990] * 40), Refused(431)),
        RequestRow("expect: something else", _post(b"Expect: 200-ok", b"Content-Length: 5"), Refused(417)),
        RequestRow("expect: a list", _post(b"Expect: 100-continue, x", b"Content-Length: 5"), Refused(417)),
        RequestRow(
            "expect: twice",
            _post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 5"),
            Refused(417),
        ),
    ]
)


def _absolute(target: bytes, *hosts: bytes) -> bytes:
    return _hosted(*(hosts or (b"acme.portal.example",)), start=b"GET " + target + b" HTTP/1.1")


_ABSOLUTE = [
    RequestRow(f"absolute form: {name}", octets, expected)
    for name, octets, expected in (
        ("another host", _absolute(b"http://evil.example/"), Refused()),
        ("another tenant", _absolute(b"https://billing.globex.test/"), Refused()),
        ("Host of another", _absolute(b"https://acme.portal.example/", b"evil.example"), Refused()),
        (
            "two Hosts",
            _absolute(b"https://acme.portal.example/", b"acme.portal.example", b"x.example"),
            Refused(),
        ),
        ("an empty Host", _absolute(b"https://acme.portal.example/", b""), Refused()),
        ("no Host", _hosted(start=b"GET https://acme.portal.example/ HTTP/1.1"), Refused()),
        ("another port", _absolute(b"https://acme.portal.example:8443/"), Refused()),
        ("user information", _absolute(b"https://u:p@acme.portal.example/"), Refused()),
        ("user information to another", _absolute(b"https://acme.portal.example@evil.example/"), Refused()),
        ("a backslash", _absolute(b"https://acme.portal.example\\@evil.example/"), Refused()),
        ("a scheme that is not ours", _absolute(b"ftp://acme.portal.example/"), Refused()),
        ("a file", _absolute(b"file:///etc/passwd"), Refused()),
        ("no authority", _absolute(b"https:///"), Refused()),
        ("one slash", _absolute(b"https:/acme.portal.example/"), Refused()),
        ("a fragment", _absolute(b"https://acme.portal.example/#a"), Refused()),
        ("the same", _absolute(b"https://acme.portal.example/a?b"), Forwarded(target=b"/a?b")),
        ("plain", _absolute(b"http://acme.portal.example/a"), Forwarded(target=b"/a")),
        ("no path", _absolute(b"https://acme.portal.example"), Forwarded(target=b"/")),
        ("a query and no path", _absolute(b"https://acme.portal.example?a=b"), Forwarded(target=b"/?a=b")),
        ("in upper case", _absolute(b"HTTPS://ACME.PORTAL.EXAMPLE/A"), Forwarded(target=b"/A")),
        (
            "a target within",
            _absolute(b"https://acme.portal.example//evil.example/"),
            Forwarded(target=b"//evil.example/"),
        ),
    )
]


def _field(line: bytes, *unseen: bytes, seen: tuple[bytes, ...] = ()) -> tuple[bytes, Forwarded]:
    return _head(line), Forwarded(seen=seen, unseen=unseen)


_FORWARDED = [
    RequestRow(f"forwarded: {name}", octets, expected)
    for name, (octets, expected) in {
        "an empty line before": (b"\r\n" + _head(), Forwarded()),
        "Host in upper case": (_hosted(b"ACME.Portal.EXAMPLE"), Forwarded()),
        "Host with a trailing dot": (_hosted(b"acme.portal.example."), Forwarded()),
        "Host with the port of https": (_hosted(b"acme.portal.example:443"), Forwarded()),
        "Host with blanks before": (_hosted(b" \tacme.portal.example"), Forwarded()),
        "octets beyond ASCII in a value": _field("X-A: ä".encode(), seen=("X-A: ä\r\n".encode(),)),
        "a tab in a value": _field(b"X-A: b\tc", seen=(b"X-A: b\tc\r\n",)),
        "an empty value": _field(b"X-A:", seen=(b"X-A: \r\n",)),
        "spaces around a value": _field(b"X-A: \t b \t ", seen=(b"X-A: b",)),
        "a field twice": (_head(b"X-A: b", b"X-A: c"), Forwarded(seen=(b"X-A: b\r\nX-A: c\r\n",))),
        "odd characters in a name": _field(b"X!#$%&'*+.^`|~: b", seen=(b"X!#$%&'*+.^`|~: b\r\n",)),
        "an underscore in a name": _field(b"X_A: evil", b"evil"),
        "a length by underscore": (_head(b"Content_Length: 5"), Forwarded(unseen=(b"Content_Length",))),
        "a coding by underscore": (_head(b"Transfer_Encoding: chunked"), Forwarded(unseen=(b"chunked",))),
        "a length and a coding by underscore": (
            _post(b"Content-Length: 5", b"Transfer_Encoding: chunked") + b"hello",
            Forwarded(body=b"hello", unseen=(b"chunked",)),
        ),
        "an identity": _field(b"X-Portal-Email: evil", b"evil"),
        "what Connection names": (
            _head(b"Connection: X-A", b"X-A: evil"),
            Forwarded(unseen=(b"evil", b"X-A")),
        ),
        "Connection naming what we add": (
            _head(b"Connection: close, X-Portal-Email, X-Forwarded-For"),
            Forwarded(
                seen=(b"X-Portal-Email: ada@example.com\r\n", b"X-Forwarded-For: 127."), next_status=None
            ),
        ),
        "Connection naming the length": (
            _post(b"Content-Length: 5", b"Connection: Content-Length") + b"hello",
            Forwarded(body=b"hello"),
        ),
        "Connection naming the coding": (
            _post(b"Transfer-Encoding: chunked", b"Connection: Transfer-Encoding") + _HELLO,
            Forwarded(body=b"hello"),
        ),
        "Connection naming Host": _field(b"Connection: Host", b"Connection"),
        "Connection that is no list": _field(b"Connection: ,, ;x=y ,", b"Connection"),
        "Keep-Alive": _field(b"Keep-Alive: timeout=5", b"timeout"),
        "Proxy-Connection": _field(b"Proxy-Connection: keep-alive", b"Proxy-"),
        "Proxy-Authorization": _field(b"Proxy-Authorization: Basic ZXZpbA==", b"ZXZpbA"),
        "TE": _field(b"TE: trailers, chunked", b"TE:", b"chunked"),
        "Trailer": _field(b"Trailer: X-Portal-Email", b"Trailer"),
        "Upgrade to h2c": (
            _head(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
            Forwarded(unseen=(b"Upgrade", b"h2c", b"HTTP2-Settings")),
        ),
        "Upgrade to TLS": (
            _head(b"Connection: Upgrade", b"Upgrade: TLS/1.2"),
            Forwarded(unseen=(b"Upgrade",)),
        ),
        "Upgrade that Connection does not name": _field(b"Upgrade: websocket", b"Upgrade"),
        "Upgrade to a list": (
            _head(b"Connection: Upgrade", b"Upgrade: h2c, websocket"),
            Forwarded(unseen=(b"Upgrade", b"websocket")),
        ),
        "Upgrade twice": (
            _head(b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: websocket"),
            Forwarded(unseen=(b"Upgrade",)),
        ),
        "Upgrade of a POST": (
            _post(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 5") + b"hello",
            Forwarded(body=b"hello", unseen=(b"Upgrade",)),
        ),
        "Upgrade with a body": (
            _head(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 5") + b"hello",
            Forwarded(body=b"hello", unseen=(b"Upgrade",)),
        ),
        "Upgrade in HTTP/1.0": (
            _head(b"Connection: Upgrade", b"Upgrade: websocket", start=b"GET / HTTP/1.0"),
            Forwarded(unseen=(b"Upgrade",), next_status=None),
        ),
        "chunked in upper case": (_post(b"TRANSFER-ENCODING: CHUNKED") + _HELLO, Forwarded(body=b"hello")),
        "chunked without a space": (_post(b"Transfer-Encoding:chunked") + _HELLO, Forwarded(body=b"hello")),
        "chunked with blanks before": (
            _post(b"Transfer-Encoding: \t chunked") + _HELLO,
            Forwarded(body=b"hello"),
        ),
        "chunked GET": (_head(b"Transfer-Encoding: chunked") + _HELLO, Forwarded(body=b"hello")),
        "a length with blanks before": (_post(b"Content-Length: \t 5") + b"hello", Forwarded(body=b"hello")),
        "a request as the body of a GET": (
            _head(b"Content-Length: 25") + b"GET /inner HTTP/1.1\r\nX: y",
            Forwarded(body=b"GET /inner HTTP/1.1\r\nX: y"),
        ),
        "a request as a chunk": (
            _post(b"Transfer-Encoding: chunked") + b"19\r\nGET /inner HTTP/1.1\r\nX: y\r\n0\r\n\r\n",
            Forwarded(body=b"GET /inner HTTP/1.1\r\nX: y"),
        ),
        "the last chunk as the body": (
            _post(b"Content-Length: 5") + b"0\r\n\r\n",
            Forwarded(body=b"0\r\n\r\n", seen=(b"Content-Length: 5\r\n",)),
        ),
        "a POST without a body": (_post(), Forwarded(seen=(b"Content-Length: 0\r\n",))),
        "the end after Connection: close": (_head(b"Connection: close"), Forwarded(next_status=None)),
        "the end after HTTP/1.0": (_head(start=b"GET / HTTP/1.0"), Forwarded(next_status=None)),
        "the end after HTTP/1.0 that would stay": (
            _head(b"Connection: keep-alive", start=b"GET / HTTP/1.0"),
            Forwarded(next_status=None),
        ),
    }.items()
]


def _chunks(name: str, body: bytes, expected: Broken | Forwarded | None = None) -> RequestRow:
    return RequestRow(f"chunks: {name}", _post(b"Transfer-Encoding: chunked") + body, expected or Broken())


_HELLO_ONLY = Forwarded(body=b"hello")

_CHUNKS = [
    _chunks("a space behind the size", b"5 \r\nhello\r\n0\r\n\r\n"),
    _chunks("a space before the size", b" 5\r\nhello\r\n0\r\n\r\n"),
    _chunks("a tab behind the size", b"5\t\r\nhello\r\n0\r\n\r\n"),
    _chunks("hexadecimal with 0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
    _chunks("a plus sign", b"+5\r\nhello\r\n0\r\n\r\n"),
    _chunks("a minus sign", b"-5\r\nhello\r\n0\r\n\r\n"),
    _chunks("minus zero", b"5\r\nhello\r\n-0\r\n\r\n"),
    _chunks("a digit separator", b"0_5\r\nhello\r\n0\r\n\r\n"),
    _chunks("no digit", b"g\r\nhello\r\n0\r\n\r\n"),
    _chunks("no size", b"\r\nhello\r\n0\r\n\r\n"),
    _chunks("no size but an extension", b";a=b\r\nhello\r\n0\r\n\r\n"),
    _chunks("a letter behind the size", b"5x\r\nhello\r\n0\r\n\r\n"),
    _chunks("two sizes", b"5 5\r\nhello\r\n0\r\n\r\n"),
    _chunks("two sizes in a list", b"5,5\r\nhello\r\n0\r\n\r\n"),
    _chunks("64 bits and one", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    _chunks("64 bits", b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    _chunks("too many zeros", b"0" * 400 + b"5\r\nhello\r\n0\r\n\r\n"),
    _chunks("a NUL behind the size", b"5\x00\r\nhello\r\n0\r\n\r\n"),
    _chunks("a vertical tab behind the size", b"5\x0b\r\nhello\r\n0\r\n\r\n"),
    _chunks("digits beyond ASCII", "\uff15\r\nhello\r\n0\r\n\r\n".encode()),
    _chunks("a line feed behind the size", b"5\nhello\r\n0\r\n\r\n"),
    _chunks("a carriage return behind the size", b"5\rhello\r\n0\r\n\r\n"),
    _chunks("CR CR LF behind the size", b"5\r\r\nhello\r\n0\r\n\r\n"),
    _chunks("a bare LF in an extension", b"5;a\nhello\r\n0\r\n\r\n"),
    _chunks("a bare CR in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    _chunks("a NUL in an extension", b"5;a\x00\r\nhello\r\n0\r\n\r\n"),
    _chunks("octets beyond ASCII in an extension", b"5;\xff\r\nhello\r\n0\r\n\r\n"),
    _chunks("an endless extension", b"5;" + b"a" * 20_000),
    _chunks("an endless size", b"5" * 20_000),
    _chunks("more data than said", b"5\r\nhelloX\r\n0\r\n\r\n"),
    _chunks("less data than said", b"6\r\nhello\r\n0\r\n\r\n"),
    _chunks("no line end behind the data", b"5\r\nhello0\r\n\r\n"),
    _chunks("a line feed behind the data", b"5\r\nhello\n0\r\n\r\n"),
    _chunks("a carriage return behind the data", b"5\r\nhello\r0\r\n\r\n"),
    _chunks("LF CR behind the data", b"5\r\nhello\n\r0\r\n\r\n"),
    _chunks("a line feed at the end", b"5\r\nhello\r\n0\r\n\n"),
    _chunks("two line feeds at the end", b"5\r\nhello\r\n0\n\n"),
    _chunks("an end without an end", b"5\r\nhello\r\n0\r\n"),
    _chunks("a trailer without a colon", b"5\r\nhello\r\n0\r\nX\r\n\r\n"),
    _chunks("a trailer with a space before its colon", b"5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
    _chunks("a trailer without a name", b"5\r\nhello\r\n0\r\n: y\r\n\r\n"),
    _chunks("a trailer folded", b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"),
    _chunks("a trailer with a bare LF", b"5\r\nhello\r\n0\r\nX: y\nZ: z\r\n\r\n"),
    _chunks("a trailer with a bare CR", b"5\r\nhello\r\n0\r\nX: y\rZ: z\r\n\r\n"),
    _chunks("a trailer with a NUL", b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n"),
    _chunks("endless trailers", b"0\r\n" + b"X: y\r\n" * 3_000),
    _chunks("an endless trailer", b"0\r\nX: " + b"y" * 20_000),
    _chunks("extensions", b"5;a=b\r\nhello\r\n0;c\r\n\r\n", Forwarded(body=b"hello", unseen=(b"a=b", b";c"))),
    _chunks(
        "a quoted extension", b'5 ; a="b;c"\r\nhello\r\n0\r\n\r\n', Forwarded(body=b"hello", unseen=(b"b;c",))
    ),
    _chunks(
        "a line end in a quoted extension",  # which has no say in where lines end
        b'5;a="\r\nhello\r\n0\r\n\r\n"\r\n',
        Forwarded(body=b"hello", unseen=(b'"',), next_status=400),
    ),
    _chunks(
        "zeros before the size", b"0005\r\nhello\r\n000\r\n\r\n", Forwarded(body=b"hello", unseen=(b"0005",))
    ),
    _chunks("a size in upper case", b"A\r\nhellohello\r\n0\r\n\r\n", Forwarded(body=b"hellohello")),
    _chunks("no data", b"0\r\n\r\n", Forwarded()),
    _chunks("octet by octet", b"1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n", _HELLO_ONLY),
    _chunks("line ends as data", b"4\r\n\r\n\r\n\r\n0\r\n\r\n", Forwarded(body=b"\r\n\r\n")),
    _chunks(
        "a trailer",
        b"5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n",
        Forwarded(body=b"hello", trailers=((b"X-Checksum", b"1"),)),
    ),
    *(
        _chunks(f"a trailer {line.decode()}", b"5\r\nhello\r\n0\r\n" + line + b"\r\n\r\n", _HELLO_ONLY)
        for line in (
            b"Content-Length: 50",
            b"Transfer-Encoding: chunked",
            b"Host: evil.example",
            b"Cookie: a=b",
            b"Authorization: Basic ZXZpbA==",
            b"Connection: close",
            b"Content-Type: text/html",
            b"Trailer: Host",
            b"X-Portal-Email: evil@example.com",
            b"x-portal-user: evil",
            b"X-Forwarded-For: 6.6.6.6",
            b"X_Portal_Email: evil@example.com",
        )
    ),
]

REQUESTS: Final = tuple(_REFUSED + _ABSOLUTE + _FORWARDED + _CHUNKS)
