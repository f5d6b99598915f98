"""What the API promises of every call, over real TLS and through a real edge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.journeys.api import call, new_token

if TYPE_CHECKING:
    from tests.journeys.node import Node

WISH = b'{"email": "eve@acme.test", "customer": "C-1009"}'


@pytest.fixture(scope="module")
def token(node: Node) -> str:
    """Make a token of the platform's."""
    return new_token(node, "invitations", "audit:read", "users:read")


@pytest.mark.parametrize(("path", "kind"), [("/", "text/html"), ("/openapi.json", "application/json")])
def test_the_documentation_is_told_without_a_token(node: Node, path: str, kind: str) -> None:
    """The page and the document, with what lets them be kept."""
    answer = call(node, "GET", path)
    assert answer.status == 200
    assert answer.field("content-type") == f"{kind}; charset=utf-8"
    assert answer.field("cache-control") == "public, max-age=300"
    assert b"/tenants/{tenant}/invitations" in answer.body
    again = call(node, "GET", path, f"If-None-Match: {answer.field('etag')}")
    assert (again.status, again.body) == (304, b"")


def test_a_call_sent_twice_is_done_once(node: Node, token: str) -> None:
    """The key goes through the edge, and so does the word that the answer is an old one."""
    path, fields = "/tenants/acme/invitations", ("Content-Type: application/json", "Idempotency-Key: k-1")
    first, again = (call(node, "POST", path, *fields, token=token, body=WISH) for _ in range(2))
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert again.field("idempotency-replayed") == "true"
    assert (again.field("ratelimit") or "").startswith('"api-calls";r=')


def test_the_audit_tells_from_where(node: Node, token: str) -> None:
    """The client's address as the edge knows it, in the stream too, which ends as HTTP wants it."""
    answer = call(node, "GET", "/audit.jsonl?action=invitation", token=token)
    lines = [json.loads(line) for line in answer.body.splitlines()]
    mine = [line for line in lines if line["actor"].startswith("token:")]
    assert {(line["action"], line["address"]) for line in mine} == {("invitation.send", "127.0.0.1")}
    listed = json.loads(call(node, "GET", "/audit?action=invitation", token=token).body)
    assert listed["items"] == lines[::-1]
