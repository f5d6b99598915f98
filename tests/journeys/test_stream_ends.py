"""Event streams end with what they belong to, as WebSockets do."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from router.identity.sessions import key_of
from tests.journeys.upstream import PATIENCE

if TYPE_CHECKING:
    from tests.journeys.node import Node
    from tests.journeys.upstream import Conversation, RecordingUpstream

_EVENT = b"9\r\ndata: 1\n\n\r\n"


def test_an_event_stream_ends_with_its_session(node: Node, upstream: RecordingUpstream) -> None:
    """Within a second of a sign-out nothing more passes: the answer is cut, and the upstream let go."""
    let_go = threading.Event()

    def tell(conversation: Conversation) -> None:
        conversation.read_request()
        conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + _EVENT)
        conversation.wait_for_end()
        let_go.set()

    upstream.begin_anew(tell)
    token, _ = node.sign_in("acme", "stream@example.com")
    with node.connect() as client:
        cookie = b"Cookie: __Host-portal-session=" + token.encode()
        client.send(node.get("/events", cookie, signed_in=False))
        client.read_until(_EVENT)
        node.operate(node.sessions.revoke(key_of(token)))
        assert client.read_to_end() == b""
        assert client.ended == "cut"
    assert let_go.wait(PATIENCE)
