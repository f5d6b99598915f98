"""A head whose fields were the last one's is read by its request line alone, with the same result."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.edge.visit import Arrival, Door, Refused, Visit, read_visit

LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"GET /a?b=c HTTP/1.1",
        b"HEAD /a HTTP/1.1",
        b"GET /a#b HTTP/1.1",
        b"GET  /a HTTP/1.1",
        b"GET /a HTTP/1.0",
        b"GET //a HTTP/1.1",
        b"GET /a\x7f HTTP/1.1",
        b"GET http://acme.portal.example/x HTTP/1.1",
        b"POST /a HTTP/1.1",
        b"get /a HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"GET /\\..\\x HTTP/1.1",
    ]
) | st.binary(max_size=30).map(lambda raw: b"GET /" + raw.replace(b"\r\n", b"") + b" HTTP/1.1")

FIELDS = st.sampled_from(
    [
        b"Host: acme.portal.example\r\nAccept: text/html\r\nCookie: a=b; __Host-portal-session=t\r\n\r\n",
        b"Host: acme.portal.example\r\nConnection: close\r\n\r\n",
        b"Host: acme.portal.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"Host: acme.portal.example\r\nContent-Length: 3\r\n\r\n",
        b"Host: acme.portal.example\r\nExpect: 100-continue\r\n\r\n",
        b"Host: globex.portal.example\r\nX-Portal-User: evil\r\n\r\n",
        b"Accept: no host\r\n\r\n",
    ]
)


def _facts(head: bytes, arrival: Arrival) -> list[object]:
    try:
        visit = read_visit(head, arrival)
    except Refused as refusal:
        return [refusal.status, refusal.code]
    return [getattr(visit, each.name) for each in fields(Visit) if each.name != "id"]


@given(st.lists(st.tuples(LINES, FIELDS), min_size=2, max_size=6))
def test_a_known_connection_reads_as_a_new_one(heads: list[tuple[bytes, bytes]]) -> None:
    """Whatever came before on the connection, a head is read as it would be on a new one."""
    known = Arrival("c", Door.HTTP, "192.0.2.1")
    for line, block in heads:
        head = line + b"\r\n" + block
        assert _facts(head, known) == _facts(head, Arrival("c", Door.HTTP, "192.0.2.1"))


def test_repeated_visits_are_told_apart() -> None:
    """Each visit of a connection has an id of its own, repeated or not."""
    arrival = Arrival("c", Door.HTTP, "192.0.2.1")
    head = b"GET / HTTP/1.1\r\nHost: acme.portal.example\r\n\r\n"
    assert [read_visit(head, arrival).id for _ in range(3)] == ["c-1", "c-2", "c-3"]


def test_a_head_is_not_remembered_for_its_looks() -> None:
    """A POST with the fields of the GET before it is a POST, and a bad target is refused after a good one."""
    arrival = Arrival("c", Door.HTTP, "192.0.2.1")
    block = b"\r\nHost: acme.portal.example\r\n\r\n"
    assert read_visit(b"GET /a HTTP/1.1" + block, arrival).method == b"GET"
    assert read_visit(b"POST /a HTTP/1.1" + block, arrival).method == b"POST"
    with pytest.raises(Refused):
        read_visit(b"GET /a#b HTTP/1.1" + block, arrival)


def test_a_method_has_its_own_reading_of_the_fields() -> None:
    """Fields that ask for a WebSocket in a GET ask for nothing in the HEAD before it."""
    arrival = Arrival("c", Door.HTTP, "192.0.2.1")
    block = b"\r\nHost: acme.portal.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert not read_visit(b"HEAD /live HTTP/1.1" + block, arrival).websocket
    assert read_visit(b"GET /live HTTP/1.1" + block, arrival).websocket
