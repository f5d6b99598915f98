"""The chunked coding: whatever we write we read, in any pieces; what is malformed is refused at once."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.edge.chunked import (
    LAST_CHUNK,
    BadChunk,
    ChunkedDecoder,
    TinyChunks,
    encode_chunk,
    encode_end,
)

if TYPE_CHECKING:
    from router.edge.headers import Header

PIECES = st.lists(st.binary(min_size=1, max_size=300), max_size=8)
CUTS = st.lists(st.integers(0, 4000), max_size=40)
TRAILERS = st.lists(
    st.tuples(
        st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}", fullmatch=True),
        st.from_regex(rb"([!-~\x80-\xff]([\t -~\x80-\xff]{0,20}[!-~\x80-\xff])?)?", fullmatch=True),
    ),
    max_size=5,
)


def decode(wire: bytes, cuts: list[int]) -> tuple[ChunkedDecoder, bytes]:
    """Feed ``wire`` in the pieces that it is cut into; what follows the body is not fed again."""
    decoder = ChunkedDecoder()
    edges = [0, *sorted(cut for cut in cuts if cut < len(wire)), len(wire)]
    data, rest = b"", b""
    for start, end in pairwise(edges):
        if decoder.done:
            rest += wire[start:end]
        else:
            data += decoder.feed(wire[start:end])
            while decoder.rest and not decoder.done:
                data += decoder.feed(decoder.rest)
    decoder.rest += rest
    return decoder, data


def every_octet(wire: bytes) -> list[int]:
    """The cuts that leave single octets."""
    return list(range(len(wire)))


@given(PIECES, TRAILERS, CUTS, st.binary(max_size=50))
def test_what_we_write_we_read(
    pieces: list[bytes], trailers: list[Header], cuts: list[int], rest: bytes
) -> None:
    """Encoded and decoded in any pieces the data is the same, and so are trailers and what follows."""
    wire = b"".join(map(encode_chunk, pieces)) + encode_end(trailers) + rest
    decoder, data = decode(wire, cuts)
    assert decoder.done
    assert data == b"".join(pieces)
    assert decoder.trailers == trailers
    assert decoder.rest == rest


@given(PIECES, TRAILERS)
def test_octet_by_octet_is_the_same(pieces: list[bytes], trailers: list[Header]) -> None:
    """A client that sends single octets is understood as well, and its body ends with the very last one."""
    wire = b"".join(map(encode_chunk, pieces)) + encode_end(trailers)
    decoder = ChunkedDecoder()
    data = b""
    for octet in wire:
        assert not decoder.done
        data += decoder.feed(bytes([octet]))
    assert decoder.done
    assert data == b"".join(pieces)


def test_data_comes_out_as_soon_as_it_came_in() -> None:
    """A chunk is never held back until it is whole: a gigabyte in one chunk needs no gigabyte of memory."""
    decoder = ChunkedDecoder()
    assert decoder.feed(b"40000000\r\nabc") == b"abc"
    assert decoder.feed(b"d" * 100_000) == b"d" * 100_000


@pytest.mark.parametrize(
    ("wire", "data", "trailers", "rest"),
    [
        (b"0\r\n\r\n", b"", [], b""),
        (b"5\r\nhello\r\n0\r\n\r\nGET /", b"hello", [], b"GET /"),
        (b"00005\r\nhello\r\n000\r\n\r\n", b"hello", [], b""),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789", [], b""),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", [], b""),
        (b"5;x=y\r\nhello\r\n0;z\r\n\r\n", b"hello", [], b""),
        (b'5 ; x="a;b"\r\nhello\r\n0\r\n\r\n', b"hello", [], b""),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", [], b""),
        (b"0\r\nX: 1\r\n\r\n", b"", [(b"X", b"1")], b""),
        (b"0\r\nX:\r\nY:\t a b \t\r\n\r\n", b"", [(b"X", b""), (b"Y", b"a b")], b""),
        (b"0\r\n\r\n\r\n", b"", [], b"\r\n"),
    ],
)
def test_chunked_bodies_are_read(wire: bytes, data: bytes, trailers: list[Header], rest: bytes) -> None:
    """Sizes in any case, extensions passed over, trailers kept apart, what follows left alone."""
    for cuts in ([], every_octet(wire)):
        decoder, found = decode(wire, cuts)
        assert (decoder.done, found, decoder.trailers, decoder.rest) == (True, data, trailers, rest)


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"\r\n", id="no size"),
        pytest.param(b";x\r\n", id="an extension without a size"),
        pytest.param(b"x\r\n", id="not hexadecimal"),
        pytest.param(b"0x5\r\n", id="a prefix"),
        pytest.param(b"+5\r\n", id="a plus"),
        pytest.param(b"-5\r\n", id="negative"),
        pytest.param(b" 5\r\n", id="a space before"),
        pytest.param(b"5 \r\n", id="a space behind"),
        pytest.param(b"5_0\r\n", id="what Python's int() takes"),
        pytest.param(b"1000000000000000\r\n", id="a size beyond 2^60"),
        pytest.param(b"FFFFFFFFFFFFFFFFF\r\n", id="a size beyond 2^64"),
        pytest.param(b"5\nhello", id="a bare LF behind the size"),
        pytest.param(b"5;a\nb\r\nhello", id="a bare LF in an extension"),
        pytest.param(b"5\rhello\r\n", id="a bare CR behind the size"),
        pytest.param(b"5;a\rb\r\nhello", id="a bare CR in an extension"),
        pytest.param(b"5;\x00\r\nhello", id="NUL in an extension"),
        pytest.param(b"5;\x80\r\nhello", id="an extension that is not ASCII"),
        pytest.param(b"5\r\nhello0\r\n\r\n", id="no CRLF behind the data"),
        pytest.param(b"5\r\nhello\n0\r\n\r\n", id="LF behind the data"),
        pytest.param(b"5\r\nhello\r0\r\n\r\n", id="CR behind the data"),
        pytest.param(b"5\r\nhelloxx0\r\n\r\n", id="more data than said"),
        pytest.param(b"0\r\n X: 1\r\n\r\n", id="a trailer that begins with a space"),
        pytest.param(b"0\r\nX: 1\r\n y\r\n\r\n", id="a folded trailer"),
        pytest.param(b"0\r\nX : 1\r\n\r\n", id="a space before the colon"),
        pytest.param(b"0\r\n: 1\r\n\r\n", id="a trailer without a name"),
        pytest.param(b"0\r\nX\r\n\r\n", id="a trailer without a colon"),
        pytest.param(b"0\r\nX: 1\n\r\n", id="a bare LF in the trailers"),
        pytest.param(b"0\r\nX: 1\r2\r\n\r\n", id="a bare CR in a trailer"),
        pytest.param(b"0\r\nX: \x00\r\n\r\n", id="NUL in a trailer"),
        pytest.param(b"0\r\n\n", id="LF for the end"),
        pytest.param(b"5;" + b"x" * 300, id="an endless extension"),
        pytest.param(b"0" * 300, id="an endless size"),
        pytest.param(b"0\r\nX: " + b"y" * 8192, id="an endless trailer"),
        pytest.param(b"0\r\n" + b"X: 1\r\n" * 2000, id="endless trailers"),
    ],
)
def test_malformed_bodies_are_refused(wire: bytes) -> None:
    """What another recipient could read in another way is refused, whole or octet by octet."""
    for cuts in ([], every_octet(wire)):
        with pytest.raises(BadChunk):
            decode(wire, cuts)


@given(st.lists(st.binary(max_size=100), max_size=30))
def test_arbitrary_octets_are_read_or_refused(pieces: list[bytes]) -> None:
    """Whatever comes, nothing but BadChunk is raised, and no more data comes out than came in."""
    decoder = ChunkedDecoder()
    fed = given_back = 0
    try:
        for piece in pieces:
            fed += len(piece)
            given_back += len(decoder.feed(piece))
            assert given_back <= fed
            if decoder.done:
                break
    except BadChunk:
        return
    assert given_back + len(decoder.rest) <= fed


@given(PIECES, TRAILERS, st.integers(0, 4000), st.integers(0, 255), CUTS)
def test_a_changed_octet_reads_alike_in_any_pieces(
    pieces: list[bytes], trailers: list[Header], at: int, octet: int, cuts: list[int]
) -> None:
    """However a doubtful body is cut, it is accepted or refused all the same, with the same data."""
    wire = bytearray(b"".join(map(encode_chunk, pieces)) + encode_end(trailers))
    wire[at % len(wire)] = octet
    readings = []
    for cut in ([], cuts):
        try:
            decoder, data = decode(bytes(wire), cut)
            readings.append((decoder.done, data, decoder.trailers, decoder.rest))
        except BadChunk:
            readings.append((False, b"", [], b"refused"))
    assert readings[0] == readings[1]


@pytest.mark.parametrize(
    ("opening", "line"),
    [
        pytest.param(b"5;", b"x" * 250, id="a size line"),
        pytest.param(b"0\r\nX: ", b"y" * 8000, id="a trailer line"),
        pytest.param(b"40000000\r\n", b"z" * 50_000, id="a chunk"),
    ],
)
def test_memory_is_bounded(opening: bytes, line: bytes) -> None:
    """What a decoder keeps for later is one line at the most, never a chunk's data."""
    decoder = ChunkedDecoder()
    decoder.feed(opening)
    for at in range(0, len(line), 100):
        decoder.feed(line[at : at + 100])
        assert len(decoder._buffer) <= 8192  # noqa: SLF001 - what is kept is the claim


@given(st.binary(min_size=1, max_size=5000))
def test_a_chunk_is_its_size_and_its_data(data: bytes) -> None:
    """A size in hexadecimal, CRLF, the data, CRLF; no extension (RFC 9112 section 7.1)."""
    assert encode_chunk(data) == format(len(data), "x").encode() + b"\r\n" + data + b"\r\n"


def test_the_end_without_trailers_is_the_last_chunk() -> None:
    """No trailer section is an empty one."""
    assert encode_end([]) == LAST_CHUNK == b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 100])
def test_no_more_is_done_in_one_go_than_others_can_wait_for(size: int) -> None:
    """However many chunks come at once, a thousand lines are read at a time, and nothing is lost by that."""
    wire = encode_chunk(b"x" * size) * 5_000 + LAST_CHUNK + b"GET /"
    decoder, data, goes = ChunkedDecoder(), b"", 0
    rest = wire
    while not decoder.done:
        before = len(data)
        data += decoder.feed(rest)
        rest = decoder.rest
        goes += 1
        assert len(data) - before <= 512 * size
    assert data == b"x" * size * 5_000
    assert rest == b"GET /"
    assert goes == 10


@pytest.mark.parametrize(
    ("size", "count", "refused"),
    [(1, 16_383, False), (1, 16_384, True), (7, 16_384, True), (8, 100_000, False)],
)
def test_thousands_of_tiny_chunks_are_refused(size: int, count: int, *, refused: bool) -> None:
    """Where a least size is asked for, it is the average over a long stretch that counts, not a chunk."""
    decoder = ChunkedDecoder(least=8)
    wire = encode_chunk(b"x" * size)
    try:
        for _ in range(count):
            decoder.feed(wire)
    except TinyChunks:
        assert refused
    else:
        assert not refused


def test_tiny_chunks_are_nobody_s_fault_where_no_size_is_asked_for() -> None:
    """A backend may write octet by octet: its answers are joined, not refused."""
    decoder, wire = ChunkedDecoder(), encode_chunk(b"x")
    assert b"".join(decoder.feed(wire) for _ in range(40_000)) == b"x" * 40_000
