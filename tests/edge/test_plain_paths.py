"""Paths that say the same to everybody, and those that a backend might read differently (THREATS 49)."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.edge.heads import visit


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"/help",
        b"/help/",
        b"/-/sign-in",
        b"/a/b.c/d-e_f~g",
        b"/.well-known/portal-jwks.json",
        b"/.hidden/..name/name../...",
        b"/a%20b",
        b"/%41%c3%a9%E2%82%AC%f0%9f%98%80",
        b"/%E9t%E9",  # Latin-1, as old applications send it
        b"/%e0%a4%85",
        b"/a;b=c",
        b"/a:b@c!$&'()*+,=",
        b"/%3f%23%26",
        b'/"<>^`{|}',
        b"/a?../..;/%2e%2e/\\//",  # a query is no path
    ],
)
def test_plain_paths(path: bytes) -> None:
    """Names in any encoding that stays a name, and one parameter at the very end, read the same to all."""
    assert visit(target=path).reads_plainly


@pytest.mark.parametrize(
    "path",
    [
        b"//",
        b"//evil.example/",
        b"/help//x",
        b"/help//",
        b"/.",
        b"/..",
        b"/./x",
        b"/../x",
        b"/help/../x",
        b"/help/.",
        b"/help/..",
        b"/help/..;/x",
        b"/help/.;a/x",
        b"/help/..;",
        b"/help;a=b/../x",
        b"/help;a=b/x",
        b"/help;/x",
        b"/;/x",
        b"/help\\..\\x",
        b"/help/..\\x",
        b"/\\evil.example/",
        b"/help/..%2fx",
        b"/help/..%2Fx",
        b"/help%2f..%2fx",
        b"/help/%2e%2e/x",
        b"/help/%2E%2e/x",
        b"/help/.%2e/x",
        b"/help/%2e./x",
        b"/help/%2e",
        b"/help/..%5cx",
        b"/help/..%5Cx",
        b"/help/..%3b/x",
        b"/help/..%3B/x",
        b"/help/%252e%252e/x",
        b"/help/..%252fx",
        b"/help/%25",
        b"/help/%c0%ae%c0%ae/x",
        b"/help/..%C0%AFx",
        b"/help/..%c1%9cx",
        b"/help/..%e0%80%afx",
        b"/help/..%E0%80%AFx",
        b"/help/..%f0%80%80%afx",
        b"/help/%u002e%u002e/x",
        b"/help/%",
        b"/help/%2",
        b"/help/%2g",
        b"/help/%zz",
        b"/help/%00",
        b"/help%00.css",
        b"/help/x%0d%0aSet-Cookie:%20a",
        b"/help/..%09/x",
        b"/help/%1f",
        b"/help/%7F",
    ],
)
def test_paths_that_read_differently(path: bytes) -> None:
    """Dot segments, empty ones, backslashes, parameters in the middle, encoded delimiters, nonsense."""
    assert not visit(target=path).reads_plainly


_OVERLONG = {
    b"\xc0\xae": b".",
    b"\xc0\xaf": b"/",
    b"\xc1\x9c": b"\\",
    b"\xe0\x80\xae": b".",
    b"\xe0\x80\xaf": b"/",
    b"\xf0\x80\x80\xaf": b"/",
}


def liberal(path: bytes) -> list[bytes]:
    """The segments as the most forgiving backend reads them: it decodes, and takes everything for a slash."""
    text = unquote_to_bytes(path)
    for octets, meaning in _OVERLONG.items():
        text = text.replace(octets, meaning)
    text = text.partition(b"\x00")[0].replace(b"\\", b"/")
    text = re.sub(rb";[^/]*", b"", text)
    segments: list[bytes] = []
    *middle, last = text.split(b"/")[1:]
    for segment in middle:
        if segment == b"..":
            segments = segments[:-1]
        elif segment not in (b"", b"."):
            segments.append(segment)
    return [*segments, last]


def literal(path: bytes) -> list[bytes]:
    """The segments as they were sent, each decoded, without the parameter of the last."""
    *middle, last = path.split(b"/")[1:]
    return [unquote_to_bytes(segment) for segment in [*middle, last.partition(b";")[0]]]


FRAGMENTS = st.sampled_from(
    [
        *(
            b"/",
            b"//",
            b"/.",
            b"/..",
            b"/a",
            b"/help",
            b"/-/",
            b"a",
            b".",
            b"..",
            b";",
            b";x",
            b"\\",
            b"%",
            b"%2",
        ),
        *(
            b"%2e",
            b"%2E",
            b"%2f",
            b"%2F",
            b"%5c",
            b"%3b",
            b"%25",
            b"%252e",
            b"%41",
            b"%c3%a9",
            b"%00",
            b"%0a",
        ),
        *(b"%c0%ae", b"%c0%af", b"%c1%9c", b"%e0%80%ae", b"%e0%80%af", b"%f0%80%80%af", b"%e0%a4%85", b"%zz"),
    ]
)
PATHS = st.lists(FRAGMENTS, max_size=8).map(lambda some: b"/" + b"".join(some))
# Every octet that llhttp lets stand in a target, the question mark apart.
ANY_PATHS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="?#")).map(
    lambda text: b"/" + text.encode()
)


@settings(max_examples=1000, deadline=None)
@given(st.one_of(PATHS, ANY_PATHS))
@example(b"/help/..;/x")
@example(b"/help/%e0%80%ae%e0%80%ae/x")
def test_a_plain_path_is_the_same_to_everybody(path: bytes) -> None:
    """Decoded once and normalised in every way we know of, a plain path has the segments that were sent.

    So what is public by the path as it was sent is public by any other reading, and so are our own paths.
    """
    if visit(target=path).reads_plainly:
        assert liberal(path) == literal(path)


@given(st.lists(st.from_regex(rb"[A-Za-z0-9_~-]{1,10}", fullmatch=True)))
def test_ordinary_paths_are_plain(segments: list[bytes]) -> None:
    """The rule is no hindrance to ordinary addresses."""
    assert visit(target=b"/" + b"/".join(segments)).reads_plainly
