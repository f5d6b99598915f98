"""What an attacker tried, and must not achieve again: each test is one attack."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.journeys.node import Node
    from tests.journeys.upstream import Conversation, RecordingUpstream

_PIECE = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000


def test_answers_that_are_not_read_do_not_pile_up(node: Node, upstream: RecordingUpstream) -> None:
    """A client that asks and asks, and reads nothing, holds one answer and what the kernel takes."""

    def answer(conversation: Conversation) -> None:
        while True:
            conversation.read_request()
            conversation.send(_PIECE)

    upstream.begin_anew(answer)
    asked = 400
    with node.connect() as greedy, node.connect() as other:
        greedy.send(node.get("/public", signed_in=False) * asked)
        before, quiet = -1, 0
        while quiet < 20:  # visits of somebody else during which nothing more was fetched for the first
            assert other.ask(node.get("/-/no-such-page", signed_in=False)).status == 404
            seen = upstream.seen.count(b"GET /public")
            quiet, before = (quiet + 1 if seen == before else 0), seen
        assert before < asked / 2
        for _ in range(asked):
            assert len(greedy.read_answer().body) == 100_000
