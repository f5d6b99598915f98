"""Where WebSocket frames begin and end, in whatever pieces they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.edge.frames import GOING_AWAY, POLICY, FrameTracker, close_frame

_CLOSE = 0x8


def frame(
    payload: bytes, *, opcode: int = 0x2, masked: bool = False, fin: bool = True, longer: int = 0
) -> bytes:
    """Write a frame as RFC 6455 section 5.2 has it; ``longer`` asks for a longer form of the length."""
    size = len(payload)
    form = max(longer, 0 if size < 126 else 1 if size < 65_536 else 2)
    length = (bytes([size]), b"\x7e" + size.to_bytes(2, "big"), b"\x7f" + size.to_bytes(8, "big"))[
        form if form < 2 and size < 65_536 else 2
    ]
    mask = b"\x12\x34\x56\x78" if masked else b""
    first = bytes([(0x80 if fin else 0) | opcode, length[0] | (0x80 if masked else 0)])
    return first + length[1:] + mask + payload


_FRAMES = st.lists(
    st.builds(
        frame,
        st.binary(max_size=300),
        opcode=st.sampled_from([0x0, 0x1, 0x2, 0x9, 0xA]),
        masked=st.booleans(),
        fin=st.booleans(),
        longer=st.integers(min_value=0, max_value=2),
    ),
    max_size=6,
)


def fed(*pieces: bytes) -> FrameTracker:
    """A tracker that has seen ``pieces``."""
    tracker = FrameTracker()
    for piece in pieces:
        tracker.feed(piece)
    return tracker


_SAMPLES = [
    pytest.param(b"\x81\x05Hello", id="a text, unmasked"),
    pytest.param(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", id="a text, masked"),
    pytest.param(b"\x01\x03Hel\x80\x02lo", id="a text in two fragments"),
    pytest.param(b"\x89\x05Hello\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", id="a ping and its pong"),
    pytest.param(b"\x82\x7e\x01\x00" + bytes(256), id="256 octets"),
    pytest.param(b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" + bytes(65_536), id="64 KiB"),
    pytest.param(b"\x89\x00", id="nothing in it"),
    pytest.param(b"\x89\x80\x00\x00\x00\x00", id="nothing in it, masked"),
]
"""The examples of RFC 6455 section 5.7, and the emptiest frames."""


@pytest.mark.parametrize("octets", _SAMPLES)
def test_a_whole_message_leaves_room(octets: bytes) -> None:
    """After the last octet of a frame another could begin; after any other but the first, none could."""
    assert fed(octets).between
    assert not fed(octets[:1]).between
    assert not fed(octets[:-1]).between


@given(_FRAMES, st.data())
def test_every_boundary_and_no_other(frames: list[bytes], data: st.DataObject) -> None:
    """However the octets are cut, the tracker is between frames exactly where one ends."""
    octets = b"".join(frames)
    ends = {sum(map(len, frames[:count])) for count in range(len(frames) + 1)}
    cuts = sorted(data.draw(st.sets(st.integers(min_value=0, max_value=len(octets)))) | {len(octets)})
    tracker, at = FrameTracker(), 0
    for cut in cuts:
        tracker.feed(octets[at:cut])
        at = cut
        assert tracker.between is (at in ends)
    assert not tracker.closing


@given(_FRAMES, st.binary(max_size=123), st.booleans(), st.data())
def test_a_close_frame_is_seen_in_any_pieces(
    before: list[bytes],
    reason: bytes,
    masked: bool,  # noqa: FBT001 - Hypothesis passes it
    data: st.DataObject,
) -> None:
    """After a close frame nothing may follow, and before its header has come nobody knows."""
    whole = b"".join(before)
    close = frame(b"\x03\xe8" + reason, opcode=_CLOSE, masked=masked)
    cut = data.draw(st.integers(min_value=0, max_value=len(close)))
    tracker = fed(whole, close[:cut])
    assert tracker.closing is (cut >= (6 if masked else 2))
    tracker.feed(close[cut:])
    assert tracker.closing
    assert tracker.between


def test_a_payload_that_looks_like_a_close_frame_is_none() -> None:
    """What is in a message is never taken for a header."""
    assert not fed(frame(close_frame(POLICY, masked=False) * 20)).closing


def test_the_longest_frame_is_followed_without_being_kept() -> None:
    """A frame of 2^63 - 1 octets is counted, not collected."""
    tracker = fed(b"\x82\x7f\x7f" + b"\xff" * 7)
    piece = bytes(65_536)
    for _ in range(100):
        tracker.feed(piece)
    assert not tracker.between
    assert tracker._left == 2**63 - 1 - 100 * 65_536  # noqa: SLF001 - all that is kept of them
    assert tracker._header == b""  # noqa: SLF001


@pytest.mark.parametrize("code", [GOING_AWAY, POLICY])
@pytest.mark.parametrize("masked", [False, True])
def test_our_close_frame_is_one(code: int, *, masked: bool) -> None:
    """FIN, opcode 8, a payload of two octets: the code; masked as a client's must be, unmasked to clients."""
    octets = close_frame(code, masked=masked)
    assert octets[0] == 0x88
    assert octets[1] == (0x82 if masked else 0x02)
    assert octets[-2:] == code.to_bytes(2, "big")
    assert len(octets) == (8 if masked else 4)
    if masked:
        key, payload = octets[2:6], octets[6:]
        assert bytes(each ^ key[place % 4] for place, each in enumerate(payload)) == code.to_bytes(2, "big")
    tracker = fed(octets)
    assert tracker.closing
    assert tracker.between


@given(_FRAMES, st.integers(min_value=0, max_value=7), st.integers(min_value=0, max_value=2000))
def test_what_is_left_begins_with_a_frame(frames: list[bytes], count: int, cut: int) -> None:
    """No more frames are begun than said; one that is under way is followed to its end."""
    octets = b"".join(frames)
    first = octets[: min(cut, len(octets))]
    tracker = fed(first)
    ends = {sum(map(len, frames[:number])) for number in range(len(frames) + 1)}
    under_way = not tracker.between
    taken = len(first) + tracker.feed(octets[len(first) :], count)
    assert taken == len(octets) or (taken in ends and tracker.between)
    begun = sum(len(first) <= end < taken for end in ends)
    assert begun <= count + under_way


def test_frames_that_bring_nothing_are_counted() -> None:
    """Empty ones and control frames; a message is what a WebSocket is for."""
    nothing = [frame(b""), frame(b"", opcode=0, fin=False), frame(b"hi", opcode=0x9), frame(b"", opcode=0xA)]
    assert fed(*nothing).bare == 4
    assert fed(b"".join(nothing)).bare == 4
    assert fed(frame(b"x"), frame(b"x", masked=True), frame(bytes(200))).bare == 0
