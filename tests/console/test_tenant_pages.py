"""The platform's pages of tenants, and the audit's: lists, a new one, switching off, deleting."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from router.tenants.form import TenantForm
from tests.console.page_browser import PageBrowser, Shown, signed_in
from tests.console.stand import open_stand

if TYPE_CHECKING:
    from router.storage.database import Database
    from tests.console.stand import Stand

# What is kept, and how, is tried on both databases by the tests of the use cases.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

WISH = {
    "portal_address": "initech",
    "name": "Initech",
    "theme_colour": "#123456",
    "upstreams": "http://127.0.0.1:9",
}


async def test_tenants_are_searched(stand: Stand) -> None:
    """Part of a name finds its tenant and no other; what nobody is called finds none, and says so."""
    browser = await signed_in(stand)
    everybody = await browser.get("/tenants")
    assert (everybody.status, everybody.title) == (200, "Tenants")
    assert "/tenants/acme/settings" in everybody.body
    assert "/tenants/globex/settings" in everybody.body
    found = await browser.get("/tenants?search=GLOB")
    assert "/tenants/globex/settings" in found.body
    assert "/tenants/acme/settings" not in found.body
    assert "No tenant is like that." in (await browser.get("/tenants?search=nobody")).body


async def test_a_long_list_comes_in_pieces(stand: Stand) -> None:
    """Sixty tenants: fifty, then the others, each told once."""
    for number in range(58):
        form = TenantForm(name=f"Tenant {number}", theme_colour="#123456", upstreams=["http://127.0.0.1:9"])
        await stand.registry.add(f"t-{number:02}", form, actor="test")
    browser = await signed_in(stand)
    first = await browser.get("/tenants?sort=name")
    (onward,) = [part.split('"')[0] for part in first.body.split('href="') if "after=" in part.split('"')[0]]
    second = await browser.get(onward.replace("&amp;", "&"))
    told = [page.body.count('/settings">') for page in (first, second)]
    assert told == [50, 10]
    assert "Back to the beginning" in second.body


@pytest.mark.parametrize(
    "query", ["after=garbage", "after=W10", "search=%00", "sort=-updated_at&after=WyJhIiwiYiJd"]
)
async def test_nonsense_is_told(stand: Stand, query: str) -> None:
    """A cursor that is none and a search for what is no character: a sentence, and no tenants."""
    page = await (await signed_in(stand)).get(f"/tenants?{query}")
    assert page.status == 200
    assert 'class="warning" role="alert"' in page.body


async def test_a_new_tenant_answers_at_once(stand: Stand) -> None:
    """What is typed is made, and the browser is led to its settings."""
    browser = await signed_in(stand)
    answer = await browser.post("/new-tenant", WISH | {"allow_registration": "yes"}, page="/new-tenant")
    assert (answer.status, answer.location) == (303, "/tenants/initech/settings?done=added")
    made = (await stand.registry.get("initech")).tenant
    assert (made.branding.name, made.branding.theme_colour, made.allow_registration) == (
        "Initech",
        "#123456",
        True,
    )
    assert [upstream.url for upstream in made.upstreams] == ["http://127.0.0.1:9"]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("portal_address", "", "portal_address_missing"),
        ("portal_address", "Not A Name", "bad_slug"),
        ("portal_address", "acme", "slug_taken"),
        ("name", "", "name_missing"),
        ("theme_colour", "green", "bad_colour"),
        ("upstreams", "ftp://erp", "bad_upstream"),
    ],
)
async def test_a_fault_is_told_at_its_field(stand: Stand, field: str, value: str, code: str) -> None:
    """The form comes again with the code, what was typed stands in it, and nothing was made."""
    browser = await signed_in(stand)
    answer = await browser.post("/new-tenant", WISH | {field: value}, page="/new-tenant")
    assert answer.status in (409, 422)
    assert answer.codes == [code]
    assert f'href="#{field}"' in answer.body
    assert len(await stand.registry.list()) == 2


async def test_all_faults_of_a_new_tenant_are_told_at_once(stand: Stand) -> None:
    """What is missing, what is wrong, each wrong line, and a name that is taken: one answer, in its order."""
    browser = await signed_in(stand)
    typed = {"portal_address": "acme", "name": "", "theme_colour": "green", "upstreams": "ftp://erp\nhttp://"}
    answer = await browser.post("/new-tenant", typed, page="/new-tenant")
    expected = ["name_missing", "slug_taken", "bad_colour", "bad_upstream", "bad_upstream"]
    assert (answer.status, answer.codes) == (422, expected)
    for field in typed:
        assert f'id="{field}-fault"' in answer.body
    assert len(await stand.registry.list()) == 2
    nothing = await browser.post("/new-tenant", dict.fromkeys(typed, ""), page="/new-tenant")
    assert nothing.codes == [
        "name_missing",
        "portal_address_missing",
        "theme_colour_missing",
        "missing_field",
    ]
    assert 'id="upstreams-fault"' in nothing.body


@pytest.mark.parametrize("has_default", [False, True], ids=["none-by-default", "the-platforms"])
async def test_an_upstream_is_needed_where_the_platform_has_none(
    database: Database, *, has_default: bool
) -> None:
    """The field is marked so, and needed so: exactly where the platform does not forward by itself."""
    async with open_stand(database, has_default_upstreams=has_default) as stand:
        browser = await signed_in(stand)
        page = await browser.get("/new-tenant")
        [area] = re.findall(r'<label for="upstreams">.*?<textarea[^>]*>', page.body, re.DOTALL)
        assert ("(optional)" in area, " required" in area.partition("<textarea")[2]) == (
            has_default,
            not has_default,
        )
        assert ("ROUTER_DEFAULT_UPSTREAMS" in area) is has_default
        answer = await browser.post("/new-tenant", WISH | {"upstreams": ""}, page="/new-tenant")
        assert (answer.status == 303) is has_default


async def test_a_portal_is_switched_off_and_on(stand: Stand) -> None:
    """Suspending and resuming, each told by a notice."""
    browser = await signed_in(stand)
    off = await _press(browser, "suspend")
    assert (off.location, (await browser.get(off.location)).notice[:26]) == (
        "/tenants/acme/state?done=suspended",
        "The portal is switched off",
    )
    assert (await stand.registry.get("acme")).tenant.status == "suspended"
    await _press(browser, "resume")
    assert (await stand.registry.get("acme")).tenant.status == "active"


async def test_a_page_that_is_out_of_date_changes_nothing(stand: Stand) -> None:
    """Who suspends what somebody else has changed meanwhile is told, and it goes on."""
    browser = await signed_in(stand)
    version = (await browser.get("/tenants/acme/state")).value("version")
    await stand.registry.change("acme", TenantForm(name="Acme Ltd"), actor="test")
    answer = await browser.post("/tenants/acme/suspend", {"version": version}, page="/tenants/acme/state")
    assert answer.status == 409
    assert (await stand.registry.get("acme")).tenant.status == "active"


async def test_deleting_wants_the_short_name(stand: Stand) -> None:
    """Another name deletes nothing; the right one deletes the tenant and leads to the list."""
    browser, page = await signed_in(stand), "/tenants/acme/delete"
    version = (await browser.get(page)).value("version")
    wrong = await browser.post(page, {"slug": "globex", "version": version}, page=page)
    assert (wrong.status, wrong.codes) == (422, ["not_the_short_name"])
    right = await browser.post(page, {"slug": "acme", "version": version}, page=page)
    assert (right.status, right.location) == (303, "/tenants?done=deleted")
    assert [record.tenant.slug for record in await stand.registry.list()] == ["globex"]


PLATFORMS = ("/tenants", "/new-tenant", "/audit", "/tenants/acme/state", "/tenants/acme/delete")


@pytest.mark.parametrize("path", PLATFORMS)
async def test_a_tenants_operator_has_no_such_pages(stand: Stand, path: str) -> None:
    """What is the platform's is refused to who is bound to a tenant."""
    browser = await signed_in(stand, stand.acme)
    assert (await browser.get(path)).status == 403


async def test_a_reader_changes_nothing(stand: Stand) -> None:
    """Who may only read sees the list without its button, and is refused what changes something."""
    browser = await signed_in(stand, read_only=True)
    assert "/new-tenant" not in (await browser.get("/tenants")).body
    assert (await browser.post("/new-tenant", WISH)).status == 403
    assert (await browser.post("/tenants/acme/suspend", {"version": "1"})).status == 403
    assert (await stand.registry.get("acme")).tenant.status == "active"


async def test_the_audit_tells_how_it_was_and_is(stand: Stand) -> None:
    """A change is a line with who did it, from where, and from what to what."""
    browser = await signed_in(stand, email="ada@platform.example")
    await _press(browser, "suspend")
    page = await browser.get("/audit?action=tenant")
    assert "operator:ada@platform.example" in page.body
    assert "from 192.0.2.7" in page.body
    assert "tenant.suspend" in page.body
    assert "tenant.suspend" not in (await browser.get("/audit?actor=test")).body


async def test_a_tenants_audit_is_its_own(stand: Stand) -> None:
    """Who is bound to a tenant reads what was done to it, and nothing else."""
    browser = await signed_in(stand, stand.acme)
    await stand.registry.suspend("globex", actor="test")
    page = await browser.get("/tenants/acme/audit")
    assert page.status == 200
    assert "tenant.add" in page.body
    assert "tenant.suspend" not in page.body
    assert (await browser.get("/tenants/globex/audit")).status == 404


async def _press(browser: PageBrowser, what: str) -> Shown:
    page = "/tenants/acme/state"
    version = (await browser.get(page)).value("version")
    return await browser.post(f"/tenants/acme/{what}", {"version": version}, page=page)
