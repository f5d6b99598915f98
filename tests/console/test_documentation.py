"""The API's documentation: a sound OpenAPI document and a page, made from what is really done."""

from __future__ import annotations

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession
from openapi_spec_validator import OpenAPIV31SpecValidator

import router
from router.console.api.openapi import codes_of, name_of

if TYPE_CHECKING:
    from tests.console.stand import Stand

# Neither is asked of any database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

ROOT = "../"


@pytest.fixture
async def document(stand: Stand) -> dict[str, Any]:
    """The document as whoever has no token gets it."""
    stand.billing.token = ""
    answer = await stand.billing.send("GET", f"{ROOT}openapi.json", {"Authorization": ""})
    assert answer.status == 200
    found: dict[str, Any] = answer.data
    return found


async def test_the_document_is_sound(document: dict[str, Any]) -> None:
    """By the schema of OpenAPI 3.1, and every reference in it leads somewhere."""
    OpenAPIV31SpecValidator(document).validate()


async def test_every_operation_is_in_it(stand: Stand, document: dict[str, Any]) -> None:
    """And no other; each with the scope that it takes, and a name of its own."""
    told = {
        (method.upper(), path): each
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    }
    assert set(told) == {(each.method, each.path) for each in stand.operations}
    assert len({each["operationId"] for each in told.values()}) == len(told)
    for operation in stand.operations:
        assert told[operation.method, operation.path]["security"] == [{"token": [operation.scope]}]


async def test_headers_are_in_it(stand: Stand, document: dict[str, Any]) -> None:
    """What a call may carry, and what its answer does."""
    for operation in stand.operations:
        told = document["paths"][operation.path][operation.method.lower()]
        headers = {each["name"] for each in told["parameters"] if each["in"] == "header"}
        assert ("Idempotency-Key" in headers) == operation.creates
        assert ("If-Match" in headers) == operation.versioned
        done = next(each for status, each in told["responses"].items() if status.startswith("2"))
        assert {"RateLimit", "RateLimit-Policy"} <= set(done["headers"])


_STATUSES = {"NotFound": 404, "Conflict": 409, "BadInput": 422, "Unavailable": 503}


async def test_codes_are_told_with_the_status_that_they_come_with(stand: Stand) -> None:
    """What an operation says that it fails with is raised somewhere, as what is answered with that status."""
    source = "\n".join(path.read_text("utf-8") for path in Path(router.__file__).parent.rglob("*.py"))
    raised: dict[str, set[int]] = {}
    for kind, code in re.findall(rf'\b({"|".join(_STATUSES)})\(\s*"(\w+)"', source):
        raised.setdefault(code, set()).add(_STATUSES[kind])
    for status, code in re.findall(r'\bRefused\(\s*(\d{3}),\s*"(\w+)"', source):
        raised.setdefault(code, set()).add(int(status))
    wrong = [
        (operation.path, status, code)
        for operation in stand.operations
        for status, codes in codes_of(operation).items()
        for code in codes
        if code in raised and status not in raised[code] and (status, code) != (412, "changed_meanwhile")
    ]
    assert not wrong, wrong


class Page(HTMLParser):
    """What a page has: its ids, where its links lead, which elements it is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id" and value:
                self.ids.append(value)
            if name in {"href", "src"} and value:
                self.links.append(value)


async def test_the_page_tells_every_operation(stand: Stand) -> None:
    """Each with a place of its own, an example, and what can go wrong."""
    answer = await stand.billing.send("GET", ROOT, {"Authorization": ""})
    html = answer.body.decode()
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert {name_of(each) for each in stand.operations} <= set(page.ids)
    assert html.count("curl ") >= len(stand.operations)
    for code in ("tenant_not_found", "idempotency_key_reused", "token_needed"):
        assert f"<code>{code}</code>" in html


async def test_the_page_needs_nothing_else(stand: Stand) -> None:
    """No script, no other file but the document, no link into nowhere; its policy lets nothing else in."""
    answer = await stand.billing.send("GET", ROOT, {"Authorization": ""})
    page = Page(answer.body.decode())
    assert not page.elements & {"script", "img", "link", "iframe", "object"}
    assert not [name for name in page.attributes if name.startswith("on") or name == "style"]
    assert {link for link in page.links if not link.startswith("#")} == {"openapi.json"}
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    policy = answer.headers["Content-Security-Policy"]
    allowed = dict(each.split(" ", 1) for each in policy.split("; "))
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/=]{44}'", allowed.pop("style-src"))
    assert allowed == dict.fromkeys(("default-src", "frame-ancestors", "base-uri"), "'none'")


@pytest.mark.parametrize("path", ["", "openapi.json"])
async def test_both_may_be_cached(stand: Stand, path: str) -> None:
    """Whoever has them is told so in no octets; whoever asks for their head gets that."""
    first = await stand.billing.send("GET", ROOT + path, {"Authorization": ""})
    assert first.headers["Cache-Control"].startswith("public")
    again = await stand.billing.send("GET", ROOT + path, {"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    changed = await stand.billing.send("GET", ROOT + path, {"If-None-Match": '"other"'})
    assert changed.body == first.body
    head = await stand.billing.send("HEAD", ROOT + path)
    assert (head.status, head.headers["ETag"]) == (200, first.headers["ETag"])


@pytest.mark.parametrize("path", ["", "openapi.json"])
async def test_both_are_small_on_their_way(stand: Stand, path: str) -> None:
    """Compressed for whoever understands that, and the same document."""
    plain = await stand.billing.send("GET", ROOT + path, {"Accept-Encoding": "identity"})
    url = f"{stand.url}/api/v1/{path}"
    async with ClientSession(auto_decompress=False) as client, client.get(url) as zipped:
        assert zipped.headers["Content-Encoding"] == "gzip"
        assert zipped.headers["ETag"] == plain.headers["ETag"]
        body = await zipped.read()
    assert gzip.decompress(body) == plain.body
    assert len(body) < 48 * 1024


async def test_the_root_leads_to_the_page(stand: Stand) -> None:
    """Without its slash too."""
    answer = await stand.billing.send("GET", "../../v1")
    assert (answer.status, answer.headers["Location"]) == (308, "/api/v1/")
