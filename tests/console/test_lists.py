"""Cursors: they lead on from where a piece ended, and whatever else is sent as one is refused."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.console.api.lists import cursor_of, piece, place_of
from router.errors import BadInput

_PRINTABLE = st.text(st.characters(codec="utf-8"), max_size=300).filter(str.isprintable)


@given(_PRINTABLE, st.integers(0, 2**53 - 1))
def test_a_cursor_names_its_place(name: str, number: int) -> None:
    """What went in comes out, in characters that a URL takes as they are."""
    cursor = cursor_of(name, number)
    assert place_of(cursor, str, int) == (name, number)
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def _encoded(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "é",
        "?",
        "AAAA",
        _encoded({}),
        _encoded([1, "a"]),
        _encoded(["a"]),
        _encoded(["a", True]),
        _encoded(["a", 1.0]),
        _encoded(["a", 2**60]),
        _encoded(["a\0", 1]),
        _encoded(["\ud800", 1]),
        urlsafe_b64encode(b"[" * 300).decode(),
        _encoded(["a" * 2000, 1]),
    ],
    ids=str,
)
def test_anything_else_is_no_cursor(cursor: str) -> None:
    """Garbage, another list's place, and what PostgreSQL could not compare with."""
    with pytest.raises(BadInput) as caught:
        place_of(cursor, str, int)
    assert caught.value.code == "bad_cursor"


@given(st.text())
def test_no_text_breaks_it(raw: str) -> None:
    """A cursor is somebody else's text: it is read, or refused."""
    try:
        [place] = place_of(raw, str)
    except BadInput:
        return
    assert isinstance(place, str)


def test_the_last_piece_has_no_next() -> None:
    """The cursor is the place of the last row told; a list that is at its end has none."""
    assert piece([1, 2, 3], 3, lambda row: (row,)) == ([1, 2, 3], None)
    assert piece([1, 2, 3], 2, lambda row: (row,)) == ([1, 2], cursor_of(2))
    assert piece([], 2, lambda row: (row,)) == ([], None)
