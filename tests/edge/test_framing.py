"""Where a body ends: each rule of RFC 9112 section 6, read as strictly as a proxy can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.edge.framing import CHUNKED, NO_BODY, UNTIL_CLOSE, BadFraming, answer_body, request_body

if TYPE_CHECKING:
    from collections.abc import Callable

BAD_LENGTHS = [
    pytest.param([b"5", b"5"], id="twice, alike"),
    pytest.param([b"5", b"6"], id="twice"),
    pytest.param([b"5, 5"], id="a list"),
    pytest.param([b""], id="empty"),
    pytest.param([b"+5"], id="a plus"),
    pytest.param([b"-5"], id="negative"),
    pytest.param([b"5x"], id="a letter behind"),
    pytest.param([b"0x5"], id="hexadecimal"),
    pytest.param([b"05"], id="a leading zero"),
    pytest.param([b"00"], id="two zeros"),
    pytest.param([b"5 "], id="a space behind"),
    pytest.param([b" 5"], id="a space before"),
    pytest.param([b"5\t"], id="a tab"),
    pytest.param([b"5_0"], id="what Python's int() takes"),
    pytest.param([b"5.0"], id="a fraction"),
    pytest.param([b"5e3"], id="an exponent"),
    pytest.param(["\N{ARABIC-INDIC DIGIT FIVE}".encode()], id="another script's five"),
    pytest.param([b"1" + b"0" * 18], id="too long for anybody's counter"),
    pytest.param([b"18446744073709551617"], id="2^64 + 1"),
]

BAD_CODINGS = [
    pytest.param([b"chunked", b"chunked"], id="twice"),
    pytest.param([b"chunked, chunked"], id="twice in a list"),
    pytest.param([b"gzip, chunked"], id="gzip before"),
    pytest.param([b"chunked, identity"], id="identity behind"),
    pytest.param([b"gzip"], id="gzip"),
    pytest.param([b"identity"], id="identity"),
    pytest.param([b""], id="empty"),
    pytest.param([b"chunked "], id="a space behind"),
    pytest.param([b"\x0bchunked"], id="a vertical tab"),
    pytest.param([b"xchunked"], id="xchunked"),
    pytest.param([b"chunked;q=1"], id="a parameter"),
    pytest.param([b'"chunked"'], id="quoted"),
    pytest.param(["chun\N{KELVIN SIGN}ed".encode()], id="a Kelvin sign"),
]


@pytest.mark.parametrize(
    ("lengths", "codings", "http10", "body"),
    [
        ([], [], False, NO_BODY),
        ([], [], True, NO_BODY),
        ([b"0"], [], False, NO_BODY),
        ([b"5"], [], False, 5),
        ([b"5"], [], True, 5),
        ([b"9" * 18], [], False, 10**18 - 1),
        ([], [b"chunked"], False, CHUNKED),
        ([], [b"Chunked"], False, CHUNKED),
        ([], [b"CHUNKED"], False, CHUNKED),
    ],
)
def test_a_request_has_one_framing(
    lengths: list[bytes], codings: list[bytes], body: int, *, http10: bool
) -> None:
    """No field is no body; one plain number is a length; a lone chunked, in any case, is chunked."""
    assert request_body(lengths, codings, http10=http10) == body


@pytest.mark.parametrize(
    ("lengths", "codings", "status", "to_head", "body"),
    [
        ([], [], 200, False, UNTIL_CLOSE),
        ([b"5"], [], 200, False, 5),
        ([b"0"], [], 200, False, NO_BODY),
        ([], [b"chunked"], 200, False, CHUNKED),
        ([], [], 200, True, NO_BODY),
        ([b"5"], [], 200, True, NO_BODY),
        ([], [b"chunked"], 200, True, NO_BODY),
        ([], [], 204, False, NO_BODY),
        ([b"5"], [], 204, False, NO_BODY),
        ([], [], 304, False, NO_BODY),
        ([b"5"], [], 304, False, NO_BODY),
        ([], [b"chunked"], 304, False, NO_BODY),
        ([b"5"], [], 205, False, 5),
        ([b"5"], [], 404, False, 5),
    ],
)
def test_an_answer_has_one_framing(
    lengths: list[bytes], codings: list[bytes], status: int, body: int, *, to_head: bool
) -> None:
    """No field lasts until the close; to HEAD, with 204 and with 304 there is no body, whatever they say."""
    assert answer_body(lengths, codings, http10=False, status=status, to_head=to_head) == body


@pytest.mark.parametrize("lengths", BAD_LENGTHS)
def test_a_doubtful_length_is_refused(lengths: list[bytes]) -> None:
    """A Content-Length that two recipients could read in two ways ends the connection, either way."""
    with pytest.raises(BadFraming):
        request_body(lengths, [], http10=False)
    with pytest.raises(BadFraming):
        answer_body(lengths, [], http10=False, status=200, to_head=False)


@pytest.mark.parametrize("codings", BAD_CODINGS)
def test_any_coding_but_a_lone_chunked_is_refused(codings: list[bytes]) -> None:
    """A Transfer-Encoding that somebody might not know to be chunked ends the connection, either way."""
    with pytest.raises(BadFraming):
        request_body([], codings, http10=False)
    with pytest.raises(BadFraming):
        answer_body([], codings, http10=False, status=200, to_head=False)


@pytest.mark.parametrize("length", [b"0", b"5", b""])
def test_both_fields_are_refused(length: bytes) -> None:
    """Content-Length beside Transfer-Encoding is refused, not resolved (RFC 9112 section 6.1)."""
    with pytest.raises(BadFraming):
        request_body([length], [b"chunked"], http10=False)
    with pytest.raises(BadFraming):
        answer_body([length], [b"chunked"], http10=False, status=200, to_head=False)


def test_http_1_0_knows_no_chunks() -> None:
    """Transfer-Encoding in HTTP/1.0 is a framing that its recipients do not know (RFC 9112 section 6.1)."""
    with pytest.raises(BadFraming):
        request_body([], [b"chunked"], http10=True)
    with pytest.raises(BadFraming):
        answer_body([], [b"chunked"], http10=True, status=200, to_head=False)


@pytest.mark.parametrize(("status", "to_head"), [(200, True), (204, False), (304, False)])
def test_no_body_is_no_excuse(status: int, *, to_head: bool) -> None:
    """An answer whose framing would be doubtful is doubted even where it has no body."""
    for lengths, codings in (([b"5", b"6"], []), ([b"5"], [b"chunked"]), ([], [b"gzip"])):
        with pytest.raises(BadFraming):
            answer_body(lengths, codings, http10=False, status=status, to_head=to_head)


VALUES = st.lists(
    st.one_of(st.binary(max_size=8), st.sampled_from([b"5", b"0", b"chunked", b"5, 5"])), max_size=3
)


def accepted(judge: Callable[[], int]) -> bool:
    """Whether a framing is accepted; anything but a refusal fails the test."""
    try:
        judge()
    except BadFraming:
        return False
    return True


@given(
    lengths=VALUES,
    codings=VALUES,
    http10=st.booleans(),
    status=st.sampled_from([200, 204, 304, 500]),
    to_head=st.booleans(),
)
def test_whatever_is_accepted_reads_in_one_way(
    *, lengths: list[bytes], codings: list[bytes], http10: bool, status: int, to_head: bool
) -> None:
    """Of arbitrary values, what is accepted is nothing, one canonical number, or one plain chunked."""
    request = accepted(lambda: request_body(lengths, codings, http10=http10))
    answer = accepted(lambda: answer_body(lengths, codings, http10=http10, status=status, to_head=to_head))
    assert request == answer
    if not request:
        return
    if codings:
        assert (lengths, [coding.lower() for coding in codings], http10) == ([], [b"chunked"], False)
    elif lengths:
        assert lengths == [str(int(lengths[0])).encode()]


@given(st.integers(0, 10**18 - 1))
def test_every_plain_number_is_a_length(length: int) -> None:
    """What we write ourselves, we read."""
    assert request_body([str(length).encode()], [], http10=False) == length
