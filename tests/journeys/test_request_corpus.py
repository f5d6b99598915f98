"""Malformed and ambiguous requests: refused, or forwarded with exactly one framing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.corpora.requests import REQUESTS
from tests.corpora.rows import COOKIE, Broken, Forwarded, Refused, RequestRow

if TYPE_CHECKING:
    from tests.journeys.node import Node
    from tests.journeys.upstream import RecordingUpstream

_FENCE = b"GET /public/fence HTTP/1.1\r\nHost: acme.portal.example\r\n\r\n"


def _rows(*kinds: type) -> list[object]:
    return [pytest.param(row, id=row.name) for row in REQUESTS if isinstance(row.expected, kinds)]


def _send(node: Node, row: RequestRow) -> tuple[list[int], str]:
    """Send a request with a sound one behind it; the statuses that came, and how the connection ended."""
    smuggled = node.get("/smuggled", b"Connection: close")
    statuses = []
    with node.connect() as client:
        client.send(row.octets.replace(COOKIE, node.cookie) + smuggled)
        try:
            while 431 not in statuses:  # after it, the router listens a while longer to what it throws away
                statuses.append(client.read_answer().status)
        except OSError:
            pass
        return statuses, client.ended


def _pass_fence(node: Node) -> None:
    # Whatever was sent to the upstream before this is on record once this has been answered.
    with node.connect() as client:
        assert client.ask(_FENCE).status == 200


@pytest.mark.parametrize("row", _rows(Refused))
def test_it_is_refused(node: Node, upstream: RecordingUpstream, row: RequestRow) -> None:
    """It is answered with an error and the connection closed; neither it nor what follows reaches anyone."""
    assert isinstance(row.expected, Refused)
    assert _send(node, row) == ([row.expected.status], "" if row.expected.status == 431 else "closed")
    _pass_fence(node)
    assert [request.target for request in upstream.requests] == [b"/public/fence"]
    assert len(upstream.contacts) == 1


@pytest.mark.parametrize("row", _rows(Broken))
def test_a_broken_body_is_never_whole(node: Node, upstream: RecordingUpstream, row: RequestRow) -> None:
    """The upstream never gets the end of it, and what follows is never a request."""
    assert isinstance(row.expected, Broken)
    assert _send(node, row) == ([row.expected.status], "closed")
    _pass_fence(node)
    *broken, fence = upstream.requests
    assert fence.target == b"/public/fence"
    assert [request.whole for request in broken] in ([False], [])
    assert b"/smuggled HTTP/1.1\r\nHost: " not in upstream.seen


@pytest.mark.parametrize("row", _rows(Forwarded))
def test_it_is_forwarded_with_one_framing(node: Node, upstream: RecordingUpstream, row: RequestRow) -> None:
    """The upstream saw one request of the body meant, and nothing of what must not get through."""
    expected = row.expected
    assert isinstance(expected, Forwarded)
    after = [] if expected.next_status is None else [expected.next_status]
    assert _send(node, row) == ([200, *after], "closed")
    first, *others = upstream.requests
    assert (first.target, first.body, first.trailers) == (expected.target, expected.body, expected.trailers)
    assert first.value("X-Portal-Email") == b"ada@example.com"
    assert [request.target for request in others] == [b"/smuggled"] * after.count(200)
    for octets in expected.seen:
        assert octets in upstream.seen
    for octets in expected.unseen:
        assert octets not in upstream.seen


def test_there_are_enough_of_them() -> None:
    """The corpus has more than 300 requests, no two of one name or of the same octets."""
    assert len(REQUESTS) > 300
    assert max(Counter(row.name for row in REQUESTS).values()) == 1
    assert max(Counter(row.octets for row in REQUESTS).values()) == 1
