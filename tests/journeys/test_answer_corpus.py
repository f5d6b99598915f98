"""Malformed, doubtful and odd answers: passed on whole, told as an error, or visibly cut."""

from __future__ import annotations

import ssl
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.corpora.answers import ANSWERS
from tests.corpora.rows import AnswerRow, Cut, Failed, Passed
from tests.journeys.upstream import OK

if TYPE_CHECKING:
    from tests.journeys.node import Answer, Client, Node
    from tests.journeys.upstream import Conversation, RecordingUpstream


def _rows(kind: type) -> list[object]:
    return [pytest.param(row, id=row.name) for row in ANSWERS if isinstance(row.expected, kind)]


def _follow(upstream: RecordingUpstream, row: AnswerRow) -> None:
    """Answer a connection's first request as ``row`` says, the others well; the first connection only."""
    told: list[AnswerRow] = [row]

    def script(conversation: Conversation) -> None:
        if told:
            conversation.read_request()
            conversation.send(told.pop().octets)
            if row.then_closes:
                return
        while True:
            conversation.read_request()
            conversation.send(OK)

    upstream.begin_anew(script)


def _ask(node: Node, row: AnswerRow) -> bytes:
    return node.get("/first").replace(b"GET", row.method, 1)


def _final_answer(client: Client, row: AnswerRow) -> tuple[Answer, bytes]:
    """The final answer, and all octets of heads up to it."""
    heads = b""
    while True:
        answer = client.read_answer(to_head=row.method == b"HEAD")
        heads += answer.head
        if answer.status >= 200:
            return answer, heads


def _check_framing(answer: Answer) -> None:
    lengths, codings = answer.fields("content-length"), answer.fields("transfer-encoding")
    assert len(lengths) + len(codings) <= 1
    assert codings in ([], ["chunked"])


@pytest.mark.parametrize("row", _rows(Passed))
def test_it_is_passed_on(node: Node, upstream: RecordingUpstream, row: AnswerRow) -> None:
    """The client gets it whole with one framing; the connection is reused only where nothing is in doubt."""
    expected = row.expected
    assert isinstance(expected, Passed)
    _follow(upstream, row)
    with node.connect() as client:
        client.send(_ask(node, row))
        answer, heads = _final_answer(client, row)
        assert (answer.status, answer.body) == (expected.status, expected.body)
        _check_framing(answer)
        client.send(node.get("/second"))
        assert client.read_answer().body == b"ok"
    assert len(upstream.contacts) == (1 if expected.reused else 2)
    for octets in expected.seen:
        assert octets in heads
    for octets in expected.unseen:
        assert octets not in heads + answer.body


@pytest.mark.parametrize("row", _rows(Failed))
def test_it_is_told_as_an_error(node: Node, upstream: RecordingUpstream, row: AnswerRow) -> None:
    """The client gets an error of ours and nothing of the answer; the next visit gets another connection."""
    assert isinstance(row.expected, Failed)
    _follow(upstream, row)
    with node.connect() as client:
        client.send(_ask(node, row))
        answer, heads = _final_answer(client, row)
        assert answer.status == row.expected.status
        assert b"hello" not in heads + answer.body
        _check_framing(answer)
        assert client.ask(node.get("/second")).body == b"ok"
    assert len(upstream.contacts) == 2


@pytest.mark.parametrize("row", _rows(Cut))
def test_it_is_visibly_cut(node: Node, upstream: RecordingUpstream, row: AnswerRow) -> None:
    """The client cannot take it for whole, and its connection ends without the goodbye of TLS."""
    _follow(upstream, row)
    with node.connect() as client:
        client.send(_ask(node, row))
        with pytest.raises((ConnectionError, ssl.SSLEOFError)):
            client.read_answer()
        assert client.ended == "cut"
    with node.connect() as client:
        assert client.ask(node.get("/second")).body == b"ok"
    assert len(upstream.contacts) == 2


def test_there_are_enough_of_them() -> None:
    """The corpus has more than 100 answers, no two of one name."""
    assert len(ANSWERS) > 100
    assert max(Counter(row.name for row in ANSWERS).values()) == 1
