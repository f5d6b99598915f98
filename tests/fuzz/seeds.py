"""Where fuzzing starts: octets that reach far into each parser."""

from __future__ import annotations

from typing import Final

from tests.corpora.answers import ANSWERS
from tests.corpora.requests import REQUESTS
from tests.edge.test_client_hello import HELLOS

_REQUESTS = [row.octets for row in REQUESTS]
_ANSWERS = [row.octets for row in ANSWERS]
_FRAMES = [
    b"\x81\x05hello",
    b"\x81\x85\0\0\0\0hello",
    b"\x01\x7e\x00\x80" + bytes(128),
    b"\x82\x7f" + (70_000).to_bytes(8, "big"),
    b"\x89\x00\x8a\x00\x88\x02\x03\xe8",
]
_PROXY = [
    b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n",
    b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb",
    b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00",
]

SEEDS: Final[dict[str, list[bytes]]] = {
    "client_hello": list(HELLOS),
    "proxy_protocol": _PROXY,
    "request_head": [octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for octets in _REQUESTS],
    "answer_head": [octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for octets in _ANSWERS],
    "chunked_body": [octets.partition(b"\r\n\r\n")[2] for octets in _REQUESTS + _ANSWERS],
    "frames": _FRAMES,
    "host": [
        b"acme.portal.example",
        b"a.example:8443",
        b"192.0.2.1:80",
        b"[2001:db8::1]:443",
        b"b\xfccher.example",
    ],
}
