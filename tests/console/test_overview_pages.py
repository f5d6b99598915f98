"""The platform's overview, and the explanation of a hostname."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.page_browser import signed_in
from tests.console.test_traffic import visits

if TYPE_CHECKING:
    from tests.console.stand import Stand


# What is kept, and how, is tried on both databases by the tests of the use cases.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_the_overview_adds_all_portals_up(stand: Stand) -> None:
    """What all tenants had is one plot; and what needs attention is said, or that nothing does."""
    await visits(stand, stand.acme.id, 200, 200)
    await visits(stand, stand.globex.id, 503)
    page = await (await signed_in(stand)).get("/overview")
    assert (page.status, page.title) == (200, "Overview")
    assert "<dt>Visits</dt><dd>3</dd>" in page.body
    assert "<dt>Failed (5xx)</dt><dd>1</dd>" in page.body
    assert "Nothing needs attention." in page.body


async def test_a_hostname_is_explained(stand: Stand) -> None:
    """Whose it is, what is presented, and what becomes of a request, with the first thing that is wrong."""
    browser = await signed_in(stand, read_only=True)
    page = await browser.get("/explain?host=https://ACME.portal.example:8443/x&path=/invoices")
    assert page.status == 200
    assert 'href="/tenants/acme/settings"' in page.body
    assert "What becomes of a request for <code>/invoices</code>" in page.body
    assert 'class="warning"' in page.body  # it has no certificate
    unknown = await browser.get("/explain?host=nobody.example")
    assert "No tenant has it." in unknown.body


@pytest.mark.parametrize(
    ("query", "code"), [("host=a..b", "bad_hostname"), ("host=a.example&path=x y", "bad_path")]
)
async def test_what_cannot_be_explained_is_told_at_its_field(stand: Stand, query: str, code: str) -> None:
    """A hostname or a path that is none: the code in the summary, and no explanation."""
    page = await (await signed_in(stand)).get(f"/explain?{query.replace(' ', '%20')}")
    assert page.status == 200
    assert page.codes == [code]
    assert "What becomes of a request" not in page.body


@pytest.mark.parametrize("path", ["/overview", "/explain"])
async def test_a_tenants_operator_has_no_such_pages(stand: Stand, path: str) -> None:
    """They tell of everybody's."""
    assert (await (await signed_in(stand, stand.acme)).get(path)).status == 403
