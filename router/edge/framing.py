"""How long a message's body is: judged once, from its head, with no room for two opinions.

PURE. RFC 9112 section 6, read as strictly as a proxy can: where two recipients could disagree, the message
is refused. A body is one of ``NO_BODY`` (0), a length in octets, ``CHUNKED``, or, for answers only,
``UNTIL_CLOSE``.
"""

from __future__ import annotations

from typing import Final

NO_BODY: Final = 0
CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

_MAX_DIGITS = 18  # 999 petabytes; more would overflow somebody's counter
_WITHOUT_BODY = frozenset({204, 304})


class BadFraming(Exception):  # noqa: N818 - it is what came, not what we did
    """The head allows more than one reading of where the body ends."""


def request_body(lengths: list[bytes], codings: list[bytes], *, http10: bool) -> int:
    """Judge a request by the values of its framing fields, as sent. Raises ``BadFraming``."""
    if codings:
        if lengths:
            raise BadFraming("both Content-Length and Transfer-Encoding")
        _check_coding(codings, http10=http10)
        return CHUNKED
    return _length(lengths) if lengths else NO_BODY


def answer_body(
    lengths: list[bytes], codings: list[bytes], *, http10: bool, status: int, to_head: bool
) -> int:
    """Judge an answer, which has no body when it answers HEAD or says 204 or 304. Raises ``BadFraming``.

    The framing fields are judged all the same: an answer that would be doubtful with a body is doubtful.
    """
    if codings:
        if lengths:
            raise BadFraming("both Content-Length and Transfer-Encoding")
        _check_coding(codings, http10=http10)
        body = CHUNKED
    elif lengths:
        body = _length(lengths)
    else:
        body = UNTIL_CLOSE
    return NO_BODY if to_head or status in _WITHOUT_BODY else body


def _check_coding(codings: list[bytes], *, http10: bool) -> None:
    if http10:
        raise BadFraming("Transfer-Encoding in HTTP/1.0")
    if len(codings) != 1 or codings[0].lower() != b"chunked":
        raise BadFraming("a Transfer-Encoding other than one plain chunked")


def _length(lengths: list[bytes]) -> int:
    value = lengths[0]
    if len(lengths) != 1:
        raise BadFraming("more than one Content-Length")
    if not value.isdigit() or len(value) > _MAX_DIGITS or (value[0] == ord("0") and len(value) > 1):
        raise BadFraming("a Content-Length that is not a plain number")
    return int(value)
