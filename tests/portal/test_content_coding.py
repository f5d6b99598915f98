from __future__ import annotations

import pytest

from router.portal.content_coding import accepts_gzip


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("br, gzip;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip ; q=0.000", False),
        ("gzip;q=1.000", True),
        ("*", True),
        ("*;q=0", False),
        ("*, gzip;q=0", False),
        ("*;q=0, gzip", True),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=2", False),
        ("gzip;level=9", False),
        ("gzipped", False),
        (",, ,gzip", True),
    ],
)
def test_gzip_is_sent_to_whoever_takes_it(header: str, accepted: bool) -> None:  # noqa: FBT001 - a table
    """The client's weights count (RFC 9110 section 12.5.3); what cannot be read is no leave."""
    assert accepts_gzip(header) is accepted
