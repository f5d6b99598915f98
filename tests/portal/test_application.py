"""What holds for every answer of the portal."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from router.tenants.form import TenantForm
from tests.portal.stand import Browser, serving

if TYPE_CHECKING:
    from tests.portal.stand import Stand

PATHS = ("/-/sign-in", "/-/sign-out", "/-/signed-out", "/-/nothing", "/", "/-/static/none.css", "/-/sign-in/")
HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "strict-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Server": "tenant-router",
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PROPFIND", "DELETE"])
async def test_every_answer_is_protected(browser: Browser, method: str) -> None:
    """Pages, redirects and errors alike are not stored, not framed, not sniffed, and run nothing."""
    for path in PATHS:
        answer = await browser.send(method, path, headers={})
        assert answer.status < 500
        assert HEADERS.items() <= dict(answer.headers).items()
        policy = answer.headers["Content-Security-Policy"]
        for said in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action"):
            assert said in policy
        assert "unsafe" not in policy
        assert "script" not in policy


async def test_a_wrong_method_is_said_with_what_is_right(browser: Browser) -> None:
    """405 names the methods there are."""
    answer = await browser.send("DELETE", "/-/sign-in", headers={})
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET,HEAD,POST"
    assert "Acme Energy" in answer.text


async def test_a_page_is_in_the_tenants_colours(stand: Stand, browser: Browser) -> None:
    """The page names the tenant, brings its palette, and links to nothing of any other site."""
    page = await browser.get("/-/sign-in")
    assert "<strong>Acme Energy</strong>" in page.text
    assert "--fill:#0b6e4f" in page.text
    assert "//" not in re.sub(r"data:image/svg[^\"]*", "", page.text)


async def test_a_name_cannot_be_markup(stand: Stand, browser: Browser) -> None:
    """A tenant's name is text wherever it stands, whoever chose it."""
    name = "</title><script>alert(1)</script>"
    await stand.registry.change("acme", TenantForm(name=name), actor="test")
    await stand.settled()
    for path in ("/-/sign-in", "/-/signed-out", "/-/nothing"):
        page = await browser.get(path)
        assert "&lt;/title&gt;&lt;script&gt;" in page.text
        assert "<script" not in page.text


async def test_static_files_are_kept_for_ever(browser: Browser) -> None:
    """A file whose address bears its fingerprint is immutable and has the right type."""
    outdated = await browser.get("/-/static/default/portal.css")
    body = outdated.text.encode()
    answer = await browser.get(f"/-/static/default/portal-{sha256(body).hexdigest()[:16]}.css")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Content-Type"].startswith("text/css")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_an_outdated_fingerprint_gets_what_there_is(browser: Browser) -> None:
    """A page of the version before an upgrade keeps its look, and nothing wrong is kept."""
    answer = await browser.get("/-/static/default/portal-0123456789abcdef.css")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert "var(--fill)" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "default/../../../pyproject.toml",
        "default/%2e%2e/theme.toml",
        "..%2f..%2fetc/passwd",
        "default/theme.toml",
        "default/none-0123456789abcdef.css",
        "%00",
        "default/portal.css%00",
    ],
)
async def test_nothing_else_is_served_as_a_file(browser: Browser, path: str) -> None:
    """Only files that a theme has can be had: addresses are looked up and never put together."""
    assert (await browser.get("/-/static/" + path)).status == 404


async def test_the_keys_are_published(stand: Stand, browser: Browser) -> None:
    """The JWK Set holds public keys only and may be kept for minutes."""
    await stand.signing_keys.ensure(1_800_000_000)
    answer = await browser.get("/.well-known/portal-jwks.json")
    keys = json.loads(answer.text)["keys"]
    assert len(keys) == 2
    assert all(key["kty"] == "EC" and "d" not in key for key in keys)
    assert answer.headers["Content-Type"].startswith("application/jwk-set+json")
    assert answer.headers["Cache-Control"] == "public, max-age=300"


async def test_a_suspended_portal_is_closed(stand: Stand, browser: Browser) -> None:
    """Every page of a suspended tenant is a 503 that says so in the tenant's own look."""
    await stand.registry.suspend("acme", actor="test")
    await stand.settled()
    answer = await browser.get("/-/sign-in")
    assert answer.status == 503
    assert "This portal is closed" in answer.text
    assert "Acme Energy" in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Router-Host": ""}, 400),
        ({"X-Router-Host": "10.0.0.1"}, 400),
        ({"X-Router-Host": "a b"}, 400),
        ({"X-Router-Host": "nobody.portal.localhost"}, 404),
        ({"X-Router-Host": "globex.portal.localhost"}, 404),
        ({"X-Router-Tenant": "tnt_other"}, 404),
    ],
)
async def test_what_does_not_come_through_the_edge_is_nobodys(
    browser: Browser, headers: dict[str, str], status: int
) -> None:
    """Without the edge's word, or where the directory says otherwise, a neutral page answers."""
    answer = await browser.get("/-/sign-in", headers)
    assert answer.status == status
    assert "Acme" not in answer.text


async def test_a_fault_of_our_own_is_a_page(stand: Stand, browser: Browser) -> None:
    """A handler that breaks is a themed 500 that tells the customer nothing of the fault."""

    async def broken(_request: object) -> None:
        raise ZeroDivisionError("a secret of the implementation")

    for resource in stand.application.router.resources():
        for route in resource:
            if resource.canonical == "/-/signed-out":
                route._handler = broken  # type: ignore[assignment]  # noqa: SLF001 - no page of ours breaks by itself
    answer = await browser.get("/-/signed-out")
    assert answer.status == 500
    assert "secret" not in answer.text
    assert "req-1" in answer.text


async def test_two_hostnames_are_two_looks(stand: Stand) -> None:
    """The same worker answers each hostname in its own tenant's colours."""
    async with serving(stand) as client:
        acme, globex = [
            (await Browser(client, tenant).get("/-/sign-in")).text for tenant in (stand.acme, stand.globex)
        ]
    assert ("Acme Energy" in acme, "Globex" in acme) == (True, False)
    assert ("Acme Energy" in globex, "Globex" in globex) == (False, True)
