from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from router.hostname import Hostname
from router.portal.error_pages import ErrorPages
from router.portal.rendering import Renderer
from router.portal.themes import Themes
from router.tenants.tenant import Branding, Tenant

if TYPE_CHECKING:
    from pathlib import Path

ACME = Tenant("tnt_1", "acme", Hostname("acme.example"), Branding("Acme & Söhne", "#c2185b"), ())
STATUSES = (400, 401, 403, 404, 405, 408, 413, 414, 421, 429, 431, 500, 501, 502, 503, 504)

RENDERER = Renderer(Themes.load())


@pytest.fixture
def pages() -> ErrorPages:
    """Error pages of the stock theme, nothing remembered yet."""
    return ErrorPages(RENDERER)


@pytest.mark.parametrize("tenant", [None, ACME], ids=["nobody", "acme"])
@pytest.mark.parametrize("status", STATUSES)
def test_a_page_needs_nothing_else(pages: ErrorPages, status: int, tenant: Tenant | None) -> None:
    """The edge can send a page with everything down: it loads nothing from anywhere."""
    body = pages.render(tenant, status).body.decode()
    assert body.startswith("<!doctype html>")
    assert '<link rel="stylesheet"' not in body
    assert "<script" not in body
    assert "url(" not in body
    assert f"Error {status}" in body
    assert body.endswith("</html>")


@pytest.mark.parametrize("tenant", [None, ACME], ids=["nobody", "acme"])
def test_the_policy_allows_exactly_the_style_of_the_page(pages: ErrorPages, tenant: Tenant | None) -> None:
    """The Content-Security-Policy names the hash of the page's own <style>, and nothing may run."""
    page = pages.render(tenant, 502)
    style = re.search(rb"<style>(.*?)</style>", page.body, re.DOTALL)
    assert style is not None
    digest = b64encode(sha256(style[1]).digest())
    assert b"style-src 'self' 'sha256-" + digest + b"'; " in page.csp
    assert page.csp.startswith(b"default-src 'none'; ")
    assert b"\r" not in page.body


def test_every_status_has_its_own_words(pages: ErrorPages) -> None:
    """A customer is told what happened and not a number alone."""
    said = {re.findall(r"<h1>(.*?)</h1>", pages.render(ACME, status).body.decode())[0] for status in STATUSES}
    assert len(said) >= len(STATUSES) - 1


@given(st.integers(400, 599))
def test_any_status_has_a_page(status: int) -> None:
    """Statuses without words of their own get those of their class."""
    assert b"<h1>" in ErrorPages(RENDERER).render(ACME, status).body


def test_a_tenants_page_is_the_tenants(pages: ErrorPages) -> None:
    """The page bears the tenant's name, escaped, and its colour."""
    body = pages.render(ACME, 404).body.decode()
    assert "Acme &amp; Söhne" in body
    assert "--fill:#c2185b" in body


def test_a_strangers_page_is_always_the_same(pages: ErrorPages) -> None:
    """What an unknown host gets tells nothing and does not even differ between visits."""
    assert pages.render(None, 404, request_id="one") == pages.render(None, 404, request_id="two")


def test_a_change_of_the_tenant_changes_the_page(pages: ErrorPages) -> None:
    """A remembered page is of one version of a tenant."""
    before = pages.render(ACME, 404)
    after = pages.render(replace(ACME, branding=Branding("Acme", "#0b6e4f"), version=2), 404)
    assert before != after
    assert b"--fill:#0b6e4f" in after.body


def test_a_tenants_language_is_for_whom_nobody_else_spoke(pages: ErrorPages) -> None:
    """Without a wish of the visitor's the page is in the tenant's language; remembered pages do not mix."""
    german = replace(ACME, branding=replace(ACME.branding, language="de"))
    bodies = [
        pages.render(german, 404, **said).body
        for said in ({}, {"accept": "it"}, {"accept": "fr"}, {"accept": "fr", "cookie": "es"}, {})
    ]
    spoken = [re.findall(rb'<html lang="(..)">', body)[0] for body in bodies]
    assert spoken == [b"de", b"de", b"fr", b"es", b"de"]


def test_the_reference_is_this_visits(pages: ErrorPages) -> None:
    """The number that support asks for is that of the visit, on remembered pages too."""
    bodies = [pages.render(ACME, 502, request_id=f"req_{number}").body for number in (1, 2)]
    assert b"req_1" in bodies[0]
    assert b"req_2" in bodies[1]
    assert bodies[0].replace(b"req_1", b"req_2") == bodies[1]


@pytest.mark.parametrize("request_id", ["", "<b>", "x" * 65])
def test_without_a_number_none_is_mentioned(pages: ErrorPages, request_id: str) -> None:
    """A page without a usable reference does not ask anybody to mention one."""
    assert b"mention" in pages.render(ACME, 502, request_id="req_1").body
    assert b"mention" not in pages.render(ACME, 502, request_id=request_id).body


@given(st.text(max_size=80), st.text(max_size=80))
def test_what_is_put_in_cannot_be_markup(request_id: str, return_to: str) -> None:
    """Neither a reference nor a return target can add anything to a page, whoever chose it."""
    pages = ErrorPages(RENDERER)
    tags = re.findall(rb"<[^>]*>", pages.render(ACME, 401).body)
    found = re.findall(rb"<[^>]*>", pages.render(ACME, 401, request_id=request_id, return_to=return_to).body)
    if len(found) > len(tags):  # the reference is a paragraph of its own
        tags = re.findall(rb"<[^>]*>", pages.render(ACME, 401, request_id="x").body)
    assert len(found) == len(tags)
    assert sum(one != other for one, other in zip(tags, found, strict=True)) <= 1


@pytest.mark.parametrize(
    ("return_to", "leads"),
    [
        ("/invoices?a=1&b=2", "/invoices%3Fa%3D1%26b%3D2"),
        ("//evil.example", "/"),
        ('/"><script>', "/%22%3E%3Cscript%3E"),
    ],
)
def test_after_a_session_ended_the_way_back_is_local(pages: ErrorPages, return_to: str, leads: str) -> None:
    """The 401 page leads to the sign-in page and from there back, within this host."""
    body = pages.render(ACME, 401, return_to=return_to).body.decode()
    assert f'href="/-/sign-in?return={leads}"' in body


def test_a_suspended_portal_says_so(pages: ErrorPages) -> None:
    """A closed portal is not said to come back in a moment, and offers nothing to press."""
    body = pages.render(replace(ACME, status="suspended", version=3), 503).body.decode()
    assert "This portal is closed" in body
    assert 'class="button"' not in body


def test_memory_is_bounded() -> None:
    """Ever new versions of tenants do not fill the memory, and what was forgotten is made again."""
    pages = ErrorPages(RENDERER, capacity=4)
    first = pages.render(ACME, 404)
    for version in range(2, 20):
        pages.render(replace(ACME, version=version), 404)
    assert len(pages._pages) == 4  # noqa: SLF001 - the bound itself is the claim
    assert pages.render(ACME, 404) == first


def test_a_theme_that_breaks_still_answers(tmp_path: Path) -> None:
    """Whatever a theme's template does, the default theme's page is there, and the log has the cause once."""
    (tmp_path / "broken" / "templates").mkdir(parents=True)
    (tmp_path / "broken" / "theme.toml").write_text('title = "Broken"')
    (tmp_path / "broken" / "templates" / "error.html").write_text("{{ 1 / 0 }}")
    pages = ErrorPages(Renderer(Themes.load(tmp_path)))
    with capture_logs() as lines:
        page = pages.render(replace(ACME, branding=replace(ACME.branding, theme="broken")), 502)
        pages.render(replace(ACME, branding=replace(ACME.branding, theme="broken")), 502, accept="de")
    assert b"<h1>The service did not answer properly</h1>" in page.body
    assert b"--fill:#c2185b" in page.body
    assert [line["event"] for line in lines] == ["theme_failed"]
