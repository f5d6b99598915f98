"""YAML as files of tenants use it: nothing is guessed, and what is wrong is told by its line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.cli.yaml_file import dump_yaml, parse_yaml
from router.errors import BadInput


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("a: no", {"a": "no"}),
        ("a: ON", {"a": "ON"}),
        ("a: true\nb: false", {"a": True, "b": False}),
        ("a: 12\nb: '12'\nc: 012", {"a": 12, "b": "12", "c": "012"}),
        ("a: 1_000\nb: 1.5\nc: 0x1F", {"a": "1_000", "b": "1.5", "c": "0x1F"}),
        ("a: 12:30:45\nb: 2026-01-01", {"a": "12:30:45", "b": "2026-01-01"}),
        ("a: #0B6E4F", {"a": None}),
        ("a: '#0B6E4F'", {"a": "#0B6E4F"}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ("[a, {b: c}]", ["a", {"b": "c"}]),
        ("", None),
        ("---\na: b\n...\n", {"a": "b"}),
    ],
)  # fmt: skip
def test_a_text_is_a_text(text: str, content: object) -> None:
    """YAML's surprises are none: only true, false and whole numbers are not texts."""
    assert parse_yaml(text).content == content


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3", "Line 3: “a” stands here a second time."),
        ("a:\n  b: 1\n  'b': 2", "Line 3: “b” stands here a second time."),
        ("a: &x 1\nb: *x", "Line 1: an anchor"),
        ("a: b\nc: *x", "Line 2: "),
        ("a: !!python/object/apply:os.system [id]", "Line 1: a tag (!) is not read."),
        ("a: !!set {b}", "Line 1: a tag"),
        ("? [a]\n: b", "Line 1: a name is a plain text."),
        ("a: b\n---\nc: d", "Line 2: "),
        ("a: [b", "Line "),
        ("a: \x00", "The file: it has a character that YAML does not allow."),
        ("[" * 200_000, "Line 1: it is nested too deeply."),
        ("- " * 200_000, "Line 1: it is nested too deeply."),
    ],
    ids=range(12),
)
def test_what_is_not_read_is_told_by_its_line(text: str, told: str) -> None:
    """No key twice, no alias that grows, no tag that makes things, no depth that ends the process."""
    with pytest.raises(BadInput) as caught:
        parse_yaml(text)
    assert caught.value.code == "bad_yaml"
    assert caught.value.sentence.startswith(told)


def test_a_part_is_found_by_its_line() -> None:
    """What is missing is looked for where it would be."""
    document = parse_yaml("a:\n- b: 1\n  c: 2\n- d: 3\n")
    assert document.line(("a", 0, "c")) == 3
    assert document.line(("a", 1)) == 4
    assert document.line(("a", 1, "x", "y")) == 4
    assert document.line(()) == 1


_TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Co", "Cn", "Zl", "Zp")) | st.just("\n"), max_size=40
)
_SAMPLES = st.sampled_from(
    ["no", "~", "null", "1", "0o7", "1e3", "#0B6E4F", "a: b", " a ", "- a", "!x", "&a", "*a"]
)
_VALUES: st.SearchStrategy[Any] = st.booleans() | st.integers(-(10**14), 10**14) | _TEXTS | _SAMPLES


@given(st.dictionaries(_TEXTS.filter(lambda key: "\n" not in key), _VALUES | st.lists(_VALUES, max_size=3)))
def test_what_is_written_is_read_as_the_same(content: dict[str, Any]) -> None:
    """Whatever a tenant's fields hold survives the way through a file."""
    assert parse_yaml(dump_yaml(content)).content == content
