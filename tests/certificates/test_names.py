from __future__ import annotations

import pytest

from router.certificates.names import covers, wildcard_over

NAMES = frozenset({"example.com", "*.portal.example"})


@pytest.mark.parametrize(
    ("hostname", "expected"),
    [
        ("example.com", True),
        ("www.example.com", False),
        ("a.portal.example", True),
        ("a.b.portal.example", False),
        ("portal.example", False),
        ("xportal.example", False),
        ("*.portal.example", True),
    ],
)
def test_a_wildcard_stands_for_exactly_one_label(hostname: str, expected: bool) -> None:  # noqa: FBT001 - a table
    """A certificate answers for its names, and a wildcard for one label below it, no more."""
    assert covers(NAMES, hostname) is expected


def test_a_single_label_has_no_wildcard() -> None:
    """Nothing above a single label could be meant."""
    assert wildcard_over("localhost") is None
    assert not covers({"*.", "*.localhost"}, "localhost")
