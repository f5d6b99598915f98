"""The platform's calls of the API, over real TLS and through a real edge: what a stand cannot show."""

from __future__ import annotations

import json
import os
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tests.journeys.api import call, new_token

if TYPE_CHECKING:
    from tests.journeys.node import Answer, Node


@pytest.fixture(scope="module")
def token(node: Node) -> str:
    """Make a token of the platform's."""
    return new_token(node, "tenants:read", "tenants:write")


def told(answer: Answer) -> Any:  # noqa: ANN401 - JSON is anything
    """Read the document."""
    return json.loads(answer.body)


def test_explain_asks_the_running_worker(node: Node, token: str) -> None:
    """Its certificate is the one that handshakes get, its upstreams are connected to, nothing is wrong."""
    answer = call(node, "GET", f"/explain?host={node.host}&path=/orders", token=token)
    assert answer.status == 200
    found = told(answer)
    assert (found["tenant"]["portal_address"], found["certificate"]["covers"]) == ("acme", True)
    assert [each["fault"] for each in found["upstreams"]] == [None]
    assert found["wrong"] is None
    deeds = [each["does"] for each in found["decisions"]]
    assert deeds == ["to_https", "to_sign_in", "refused", "forwarded"]


def test_attention_looks_at_the_running_worker(node: Node, token: str) -> None:
    """It answers a list."""
    answer = call(node, "GET", "/attention", token=token)
    assert (answer.status, told(answer)["next"]) == (200, None)


def test_a_picture_may_be_larger_than_other_bodies(node: Node, token: str) -> None:
    """A logo of half a MiB comes through the edge, and is served at the portal; a larger body is not read."""
    noise = Image.frombytes("RGB", (420, 420), os.urandom(420 * 420 * 3))
    written = BytesIO()
    noise.save(written, "PNG")
    assert len(written.getvalue()) > 500_000
    at, logo = "/tenants/acme/images/logo", written.getvalue()
    answer = call(node, "PUT", at, "If-Match: *", token=token, body=logo)
    assert answer.status == 200, answer.body
    url = told(answer)["branding"]["logo"]["url"]
    with node.connect() as client:
        path = url.removeprefix(f"https://{node.host}")
        shown = client.ask(node.get(path, signed_in=False))
    assert (shown.status, shown.field("content-type")) == (200, "image/jpeg")
    assert call(node, "DELETE", at, "If-Match: *", token=token).status == 200
