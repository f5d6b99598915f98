"""AnswerHead: what an upstream's answer says of itself, or the reason not to believe it.

PURE. llhttp (by httptools) splits the head; the framing is judged as strictly as a request's, because an
answer that can be read in two ways would reach somebody else's visit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httptools

from router.edge.framing import BadFraming, answer_body
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
        if kind is Kind.KEEP:
            self.kept.append((name, value))
        elif kind is Kind.SET_COOKIE:
            self.kept.append((name, value))
            self.fields.setdefault(kind, []).append(value)
        elif kind is not Kind.DROP:
            self.fields.setdefault(kind, []).append(value)

    def on_headers_complete(self) -> None:
        self.complete = True


_NOTHING: Final[list[bytes]] = []


def read_answer(head: bytes, *, to_head: bool, cookie_domain: bytes | None) -> AnswerHead:
    """Make the AnswerHead from a whole head, empty line included. Raises ``BadAnswer``.

    ``to_head`` says that a HEAD request was asked. ``cookie_domain`` is the platform's domain, which a
    tenant's upstream may set no cookie for; none for our own planes.
    """
    parser, found = _parse(head)
    status = parser.get_status_code()
    http10 = parser.get_http_version() == "1.0"
    fields = found.fields
    lengths = fields.get(Kind.CONTENT_LENGTH, _NOTHING)
    try:
        body = answer_body(
            lengths,
            fields.get(Kind.TRANSFER_ENCODING, _NOTHING),
            http10=http10,
            status=status,
            to_head=to_head,
        )
    except BadFraming as fault:
        raise BadAnswer(str(fault)) from fault
    connection = fields.get(Kind.CONNECTION)
    options = connection_options(b",".join(connection)) if connection else frozenset()
    kept = without_named(found.kept, options) if options else found.kept
    dropped = 0
    if cookie_domain is not None and Kind.SET_COOKIE in fields:
        before = len(kept)
        kept = [field for field in kept if _may_pass(field, cookie_domain)]
        dropped = before - len(kept)
    return AnswerHead(
        status=status,
        reason=found.reason if found.reason.isascii() and found.reason.decode().isprintable() else b"",
        kept=kept,
        body=0 if status < _FINAL else body,
        length=lengths[0] if lengths else None,
        keep_alive=b"keep-alive" in options if http10 else b"close" not in options,
        websocket=status == SWITCHING and fields.get(Kind.UPGRADE, [b""])[0].lower() == b"websocket",
        dropped_cookies=dropped,
    )


def _parse(head: bytes) -> tuple[httptools.HttpResponseParser, _Head]:
    found = _Head()
    parser = httptools.HttpResponseParser(found)
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # a 101; whether it was asked for is judged by the exchange
    except httptools.HttpParserError as fault:
        raise BadAnswer("a malformed head") from fault
    if not found.complete or parser.get_http_version() not in ("1.1", "1.0"):
        raise BadAnswer("a malformed head")
    if parser.get_status_code() > _MAX_STATUS or len(found.kept) > MAX_FIELDS:
        raise BadAnswer("an impossible status, or too many fields")
    return parser, found


def _may_pass(field: Header, cookie_domain: bytes) -> bool:
    return field[0].lower() != b"set-cookie" or may_set_cookie(field[1], cookie_domain)
