"""The platform's calls of the API, over real TLS and through a real edge: what a stand cannot show."""

from __future__ import annotations

import json
import os
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from router.console.tokens import Tokens
from router.storage.bell import SqliteBell
from router.storage.database import Database
from tests.journeys.node import DOMAIN

if TYPE_CHECKING:
    from tests.journeys.node import Answer, Node

ADMIN = f"admin.{DOMAIN}"
SCOPES = ("tenants:read", "tenants:write")


@pytest.fixture(scope="module")
def token(node: Node) -> str:
    """Make a token of the platform's."""

    async def add() -> str:
        database = Database(node.settings.database_url)
        bell = SqliteBell(node.settings.database_url)
        try:
            tokens = Tokens(database, bell)
            return (await tokens.add("Test", SCOPES, days=1, tenant_id=None, actor="test"))[0]
        finally:
            await bell.close()
            await database.close()

    made: str = node.operate(add())
    return made


def call(node: Node, token: str, method: str, path: str, body: bytes = b"") -> Answer:
    """Call the API."""
    fields = [
        f"{method} /api/v1{path} HTTP/1.1",
        f"Host: {ADMIN}",
        f"Authorization: Bearer {token}",
        "If-Match: *",
        f"Content-Length: {len(body)}",
    ]
    with node.connect(ADMIN) as client:
        return client.ask("\r\n".join(fields).encode() + b"\r\n\r\n" + body)


def told(answer: Answer) -> Any:  # noqa: ANN401 - JSON is anything
    """Read the document."""
    return json.loads(answer.body)


def test_explain_asks_the_running_worker(node: Node, token: str) -> None:
    """Its certificate is the one that handshakes get, its upstreams are connected to, nothing is wrong."""
    answer = call(node, token, "GET", f"/explain?host={node.host}&path=/orders")
    assert answer.status == 200
    found = told(answer)
    assert (found["tenant"]["portal_address"], found["certificate"]["covers"]) == ("acme", True)
    assert [each["fault"] for each in found["upstreams"]] == [None]
    assert found["wrong"] is None
    deeds = [each["does"] for each in found["decisions"]]
    assert deeds == ["to_https", "to_sign_in", "refused", "forwarded"]


def test_attention_looks_at_the_running_worker(node: Node, token: str) -> None:
    """It answers a list."""
    answer = call(node, token, "GET", "/attention")
    assert (answer.status, told(answer)["next"]) == (200, None)


def test_a_picture_may_be_larger_than_other_bodies(node: Node, token: str) -> None:
    """A logo of half a MiB comes through the edge, and is served at the portal; a larger body is not read."""
    noise = Image.frombytes("RGB", (420, 420), os.urandom(420 * 420 * 3))
    written = BytesIO()
    noise.save(written, "PNG")
    assert len(written.getvalue()) > 500_000
    answer = call(node, token, "PUT", "/tenants/acme/images/logo", written.getvalue())
    assert answer.status == 200, answer.body
    url = told(answer)["branding"]["logo"]["url"]
    with node.connect() as client:
        path = url.removeprefix(f"https://{node.host}")
        shown = client.ask(node.get(path, signed_in=False))
    assert (shown.status, shown.field("content-type")) == (200, "image/jpeg")
    assert call(node, token, "DELETE", "/tenants/acme/images/logo").status == 200
