"""AnswerHead: what an upstream's answer says of itself, or the reason not to believe it.

PURE. llhttp (by httptools) splits the head; the framing is judged as strictly as a request's, because an
answer that can be read in two ways would reach somebody else's visit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import httptools

from router.edge.framing import NO_BODY, BadFraming, answer_body
from router.edge.headers import (
    ANSWER_VERDICTS,
    Header,
    Kind,
    connection_options,
    may_set_cookie,
    without_named,
)

MAX_FIELDS: Final = 200
SWITCHING: Final = 101
_FINAL: Final = 200
_MIN_STATUS: Final = 100
_MAX_STATUS: Final = 599


class BadAnswer(Exception):  # noqa: N818 - it is what came, not what we did
    """The upstream answered something that is not passed on; ``str()`` of it is for the log."""


@dataclass(slots=True, eq=False)
class AnswerHead:
    """The head of one answer. ``body`` is as in framing.py; ``length`` is Content-Length as it was sent.

    ``keep_alive`` says whether the connection may carry another visit; ``websocket`` whether the upstream
    switches protocols.
    """

    status: int
    reason: bytes
    kept: list[Header]
    body: int
    length: bytes | None
    keep_alive: bool
    websocket: bool
    dropped_cookies: int

    @property
    def interim(self) -> bool:
        """Whether a final answer is still to come (RFC 9110 section 15.2)."""
        return self.status < _FINAL and self.status != SWITCHING


# A member of an enumeration costs 40 ns to look up in its class, and these are needed for each field.
_KEEP, _DROP, _SET_COOKIE, _CONNECTION = Kind.KEEP, Kind.DROP, Kind.SET_COOKIE, Kind.CONNECTION
_CONTENT_LENGTH, _TRANSFER_ENCODING, _UPGRADE = Kind.CONTENT_LENGTH, Kind.TRANSFER_ENCODING, Kind.UPGRADE


class _Head:
    """Collects what httptools calls out."""

    __slots__ = ("complete", "fields", "kept", "reason")

    def __init__(self) -> None:
        self.reason = b""
        self.kept: list[Header] = []
        self.fields: dict[Kind, list[bytes]] = {}
        self.complete = False

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        kind = ANSWER_VERDICTS[name]
        if kind is _KEEP:
            self.kept.append((name, value))
        elif kind is not _DROP:
            self.fields.setdefault(kind, []).append(value)
            if kind is _SET_COOKIE:
                self.kept.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True


_NOTHING: Final[list[bytes]] = []


def read_answer(head: bytes, *, to_head: bool, cookie_domain: bytes | None) -> AnswerHead:
    """Make the AnswerHead from a whole head, empty line included. Raises ``BadAnswer``.

    ``to_head`` says that a HEAD request was asked. ``cookie_domain`` is the platform's domain, which a
    tenant's upstream may set no cookie for; none for our own planes.
    """
    parser, found = _parse(head)
    status, fields, kept = parser.get_status_code(), found.fields, found.kept
    http10 = parser.get_http_version() == "1.0"
    lengths = fields.get(_CONTENT_LENGTH, _NOTHING)
    codings = fields.get(_TRANSFER_ENCODING, _NOTHING)
    try:
        body = answer_body(lengths, codings, http10=http10, status=status, to_head=to_head)
    except BadFraming as fault:
        raise BadAnswer(str(fault)) from fault
    keep_alive = not http10
    if _CONNECTION in fields:
        options = connection_options(b",".join(fields[_CONNECTION]))
        kept = without_named(kept, options)
        keep_alive = b"keep-alive" in options if http10 else b"close" not in options
    dropped = 0
    if cookie_domain is not None and _SET_COOKIE in fields:
        before = len(kept)
        kept = [field for field in kept if _may_pass(field, cookie_domain)]
        dropped = before - len(kept)
    return AnswerHead(
        status=status,
        reason=_printable(found.reason),
        kept=kept,
        body=NO_BODY if status < _FINAL else body,
        length=lengths[0] if lengths else None,
        keep_alive=keep_alive,
        websocket=status == SWITCHING and fields.get(_UPGRADE, [b""])[0].lower() == b"websocket",
        dropped_cookies=dropped,
    )


@lru_cache(maxsize=256)
def _printable(reason: bytes) -> bytes:
    """The reason phrase, unless it holds what a phrase may not (RFC 9112 section 4); then the standard's."""
    return reason if reason.isascii() and reason.decode().isprintable() else b""


def _parse(head: bytes) -> tuple[httptools.HttpResponseParser, _Head]:
    found = _Head()
    parser = httptools.HttpResponseParser(found)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # a 101; whether it was asked for is judged by the exchange
    except httptools.HttpParserError as fault:
        raise BadAnswer("a malformed head") from fault
    # llhttp takes empty lines before the first one, and RTSP.
    if not found.complete or not head.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")):
        raise BadAnswer("a malformed head")
    if not _MIN_STATUS <= parser.get_status_code() <= _MAX_STATUS or len(found.kept) > MAX_FIELDS:
        raise BadAnswer("an impossible status, or too many fields")
    return parser, found


def _may_pass(field: Header, cookie_domain: bytes) -> bool:
    return field[0].lower() != b"set-cookie" or may_set_cookie(field[1], cookie_domain)
