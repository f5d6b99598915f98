"""Tenants by the API: listed, made, changed, switched off, deleted; on both databases."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from sqlalchemy import select

from router.console.scopes import PLATFORMS_OWN, SCOPES_OF, Role, Scope
from router.storage.schema import audit

if TYPE_CHECKING:
    from tests.console.stand import Stand

WISH: dict[str, Any] = {
    "portal_address": "initech",
    "name": "Initech",
    "theme_colour": "#0B6E4F",
    "upstreams": ["http://127.0.0.1:9 weight=3"],
}


@pytest.fixture
async def stand(stand: Stand) -> Stand:
    """Who calls may do everything, to every tenant."""
    await stand.call_as(Role.PLATFORM_OPERATOR)
    return stand


def faults(answer: Any) -> dict[str, str]:  # noqa: ANN401 - an answer
    """The code of each field at fault."""
    return {error["pointer"]: error["code"] for error in answer.data["errors"]}


async def test_a_tenant_is_made(stand: Stand) -> None:
    """201 with everything about it, its address and its version; then it is shown the same."""
    made = await stand.billing.call("POST", "tenants", {**WISH, "branding": {"greeting": "Hello"}})
    assert (made.status, made.headers["ETag"]) == (201, '"v1"')
    told = made.data
    assert told["hostname"] == "initech.portal.example"
    assert told["portal_url"] == "https://initech.portal.example:8443/"
    assert (told["theme_colour"], told["upstreams"]) == ("#0b6e4f", ["http://127.0.0.1:9 weight=3"])
    assert (told["external_domain"], told["allow_registration"]) == ("", False)
    assert (told["branding"]["greeting"], told["branding"]["logo"]) == ("Hello", None)
    assert told["cname_target"].endswith(".customers.portal.example")
    shown = await stand.billing.call("GET", "tenants/initech")
    assert (shown.status, shown.headers["ETag"], shown.data) == (200, '"v1"', told)


async def test_each_field_at_fault_is_named(stand: Stand) -> None:
    """All of them at once, each with its code and a sentence; nothing is made."""
    wish = WISH | {
        "portal_address": "www",
        "theme_colour": "green",
        "upstreams": ["http://127.0.0.1:9", "ftp://x"],
        "forwarding": {"health_interval": 1},
        "branding": {"support_email": "nobody", "theme": "gone"},
        "external_domain": "co.uk",
    }
    answer = await stand.billing.call("POST", "tenants", wish)
    assert (answer.status, answer.code) == (422, "reserved_name")
    assert faults(answer) == {
        "#/portal_address": "reserved_name",
        "#/theme_colour": "bad_colour",
        "#/forwarding/health_interval": "bad_health_interval",
        "#/branding/support_email": "bad_email",
        "#/external_domain": "public_suffix",
        "#/upstreams/1": "bad_upstream",
    }
    assert all(error["detail"].endswith(".") for error in answer.data["errors"])
    assert (await stand.billing.call("GET", "tenants/www")).status == 404


@pytest.mark.parametrize("field", ["id", "status", "version", "hostname", "slug", "cname_target"])
async def test_nothing_else_can_be_set(stand: Stand, field: str) -> None:
    """What is read-only is no field of a wish."""
    answer = await stand.billing.call("POST", "tenants", {**WISH, field: "x"})
    assert (answer.status, faults(answer)) == (422, {f"#/{field}": "unknown_field"})
    answer = await stand.billing.call("PATCH", "tenants/acme", {field: "x"}, version="*")
    assert (answer.status, faults(answer)) == (422, {f"#/{field}": "unknown_field"})


async def test_a_new_tenant_needs_a_few_fields(stand: Stand) -> None:
    """What is missing is told by name."""
    answer = await stand.billing.call("POST", "tenants", {"portal_address": "initech"})
    assert faults(answer) == {
        "#/name": "missing_field",
        "#/theme_colour": "missing_field",
        "#/upstreams": "missing_field",
    }


async def test_an_address_is_given_once(stand: Stand) -> None:
    """409 by the field for one that is taken, and for one that was somebody's, unless that is meant."""
    taken = await stand.billing.call("POST", "tenants", WISH | {"portal_address": "acme"})
    assert (taken.status, taken.code, faults(taken)) == (
        409,
        "slug_taken",
        {"#/portal_address": "slug_taken"},
    )
    assert (await stand.billing.call("DELETE", "tenants/globex", version="*")).status == 204
    wish = WISH | {"portal_address": "globex"}
    assert (await stand.billing.call("POST", "tenants", wish)).code == "slug_given_up"
    wish["take_over_portal_address"] = True
    assert (await stand.billing.call("POST", "tenants", wish)).status == 201


async def test_a_change_is_of_what_is_named(stand: Stand) -> None:
    """The rest stays; saying the same again is no change, and the version stays with it."""
    change = {"theme_colour": "#8A1C7C", "forwarding": {"keep_host": False}, "branding": {"greeting": "Hi"}}
    before = (await stand.billing.call("GET", "tenants/acme")).data
    answer = await stand.billing.call("PATCH", "tenants/acme", change, version=1)
    assert (answer.status, answer.headers["ETag"]) == (200, '"v2"')
    after = answer.data
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"theme_colour", "forwarding", "branding", "version", "updated_at"}
    assert (after["forwarding"]["keep_host"], after["branding"]["greeting"]) == (False, "Hi")
    again = await stand.billing.call("PATCH", "tenants/acme", change, version=2)
    assert (again.status, again.data) == (200, after)


async def test_what_is_told_can_be_said(stand: Stand) -> None:
    """All that a tenant is told to be, put into a change, changes nothing."""
    await stand.billing.call(
        "PATCH", "tenants/acme", {"external_domain": "billing.acme.example"}, version="*"
    )
    shown = await stand.billing.call("GET", "tenants/acme")
    told = shown.data
    read_only = {"id", "portal_address", "status", "hostname", "portal_url", "cname_target"}
    read_only |= {"version", "created_at", "updated_at"}
    same = {name: value for name, value in shown.data.items() if name not in read_only}
    for picture in ("logo", "favicon"):
        del same["branding"][picture]
    answer = await stand.billing.call("PATCH", "tenants/acme", same, version=told["version"])
    assert (answer.status, answer.data) == (200, told)
    gone = await stand.billing.call("PATCH", "tenants/acme", {"external_domain": ""}, version="*")
    assert gone.data["external_domain"] == ""


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "tenants/acme", {"name": "Second"}),
        ("POST", "tenants/acme/suspend", None),
        ("POST", "tenants/acme/resume", None),
        ("DELETE", "tenants/acme", None),
        ("DELETE", "tenants/acme/images/logo", None),
    ],
)
async def test_the_second_of_two_is_told(stand: Stand, method: str, path: str, body: object) -> None:
    """Who changes what somebody else changed meanwhile gets a 412; who says no version, a 428."""
    await stand.billing.call("PATCH", "tenants/acme", {"name": "First"}, version=1)
    answer = await stand.billing.call(method, path, body, version=1)
    assert (answer.status, answer.code) == (412, "changed_meanwhile")
    answer = await stand.billing.call(method, path, body)
    assert (answer.status, answer.code) == (428, "if_match_needed")
    assert (await stand.billing.call("GET", "tenants/acme")).data["name"] == "First"


async def test_a_portal_is_switched_off_and_on(stand: Stand) -> None:
    """Each is a new version, and again is no change."""
    off = await stand.billing.call("POST", "tenants/acme/suspend", version=1)
    assert (off.data["status"], off.headers["ETag"]) == ("suspended", '"v2"')
    assert (await stand.billing.call("POST", "tenants/acme/suspend", version=2)).headers["ETag"] == '"v2"'
    on = await stand.billing.call("POST", "tenants/acme/resume", version="*")
    assert (on.data["status"], on.headers["ETag"]) == ("active", '"v3"')


async def test_who_asked_is_in_the_audit(stand: Stand) -> None:
    """The token, from where, and what was and is."""
    await stand.billing.call("PATCH", "tenants/acme", {"name": "First"}, version=1)
    async with stand.database.read() as connection:
        lines = await connection.execute(select(audit).where(audit.c.action == "tenant.change"))
        [line] = lines.mappings().all()
    assert line["actor"].startswith("token:tok_")
    assert (line["address"], line["tenant_id"]) == ("203.0.113.7", stand.acme.id)
    assert line["detail"] == {"name": {"from": "Acme & Söhne", "to": "First"}}


async def test_the_list_goes_on_where_it_ended(stand: Stand) -> None:
    """Page by page, in the order that was asked for."""
    for number in range(3):
        await stand.billing.call("POST", "tenants", WISH | {"portal_address": f"initech-{number}"})
    for sort in ("slug", "-name", "updated_at"):
        whole = (await stand.billing.call("GET", f"tenants?sort={sort}")).data
        assert (len(whole["items"]), whole["next"]) == (5, None)
        found, path = [], f"tenants?sort={sort}&limit=2"
        page = (await stand.billing.call("GET", path)).data
        while page["next"]:
            found += page["items"]
            page = (await stand.billing.call("GET", f"{path}&after={page['next']}")).data
        assert found + page["items"] == whole["items"]


async def test_the_list_is_searched(stand: Stand) -> None:
    """By a part of a name in whatever capitals, and by status."""
    found = (await stand.billing.call("GET", "tenants?search=S%C3%96HNE")).data["items"]
    assert [each["portal_address"] for each in found] == ["acme"]
    found = (await stand.billing.call("GET", "tenants?status=suspended")).data["items"]
    assert found == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("after=AAAA", "bad_cursor"),
        ("sort=version", "invalid_query"),
        ("status=gone", "invalid_query"),
        ("limit=0", "invalid_query"),
        ("search=a%00", "bad_search"),
    ],
)
async def test_a_query_is_judged(stand: Stand, query: str, code: str) -> None:
    """What the list cannot be asked for is said."""
    answer = await stand.billing.call("GET", f"tenants?{query}")
    assert (answer.status, answer.code) == (422, code)


async def test_a_cursor_is_of_its_order(stand: Stand) -> None:
    """That of another order names no place here."""
    cursor = (await stand.billing.call("GET", "tenants?limit=1&sort=updated_at")).data["next"]
    answer = await stand.billing.call("GET", f"tenants?sort=name&after={cursor}")
    assert (answer.status, answer.code) == (422, "bad_cursor")


def png() -> bytes:
    """A picture."""
    written = BytesIO()
    Image.new("RGB", (40, 20), "#0B6E4F").save(written, "PNG")
    return written.getvalue()


@pytest.mark.parametrize("kind", ["logo", "favicon"])
async def test_a_picture_is_sent_as_it_is(stand: Stand, kind: str) -> None:
    """It is told with its address at the portal, and can be taken away."""
    put = await stand.billing.call("PUT", f"tenants/acme/images/{kind}", png(), version=1)
    assert (put.status, put.headers["ETag"]) == (200, '"v2"')
    told = put.data["branding"][kind]
    assert told["content_type"] == "image/png"
    assert told["url"].startswith("https://acme.portal.example:8443/-/image/")
    gone = await stand.billing.call("DELETE", f"tenants/acme/images/{kind}", version=2)
    assert gone.data["branding"][kind] is None


async def test_a_picture_is_judged(stand: Stand) -> None:
    """What is none, or too large, or for no such place."""
    for octets, status, code in (
        (b"", 422, "bad_picture"),
        (b"GIF89a", 422, "bad_picture"),
        (bytes((2 << 20) + 1), 413, "body_too_large"),
    ):
        answer = await stand.billing.call("PUT", "tenants/acme/images/logo", octets, version="*")
        assert (answer.status, answer.code) == (status, code)
        assert "errors" not in answer.data
    answer = await stand.billing.call("PUT", "tenants/acme/images/banner", png(), version="*")
    assert (answer.status, answer.code) == (404, "no_such_image")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "tenants", WISH),
        ("POST", "tenants/acme/suspend", None),
        ("POST", "tenants/acme/resume", None),
        ("DELETE", "tenants/acme", None),
        ("PATCH", "tenants/acme", {"forwarding": {"requests_per_second": 5}}),
    ],
)
async def test_what_is_the_platforms_is_not_a_tenants(
    stand: Stand, method: str, path: str, body: object
) -> None:
    """Its own operator neither adds, suspends nor deletes it, nor changes the limit it is kept within."""
    await stand.call_as(Role.TENANT_OPERATOR, stand.acme)
    answer = await stand.billing.call(method, path, body, version="*")
    assert (answer.status, answer.code) == (403, "insufficient_scope")


async def test_what_is_a_tenants_is_its_own(stand: Stand) -> None:
    """Its operator changes its settings; the limit may be said as it is."""
    await stand.call_as(Role.TENANT_OPERATOR, stand.acme)
    change = {"name": "Ours", "upstreams": ["http://127.0.0.1:7"], "forwarding": {"requests_per_second": 0}}
    answer = await stand.billing.call("PATCH", "tenants/acme", change, version=1)
    assert (answer.status, answer.data["name"]) == (200, "Ours")


async def test_another_tenant_is_not_there(stand: Stand) -> None:
    """Neither in the list, nor by name, nor to be changed: as one that never was."""
    await stand.call_as(Role.TENANT_OPERATOR, stand.acme)
    found = (await stand.billing.call("GET", "tenants?search=o")).data["items"]
    assert [each["portal_address"] for each in found] == []
    assert len((await stand.billing.call("GET", "tenants")).data["items"]) == 1
    for method, rest in (("GET", ""), ("PATCH", ""), ("PUT", "/images/logo")):
        for slug in ("globex", "nobody"):
            answer = await stand.billing.call(method, f"tenants/{slug}{rest}", {}, version="*")
            assert (answer.status, answer.code) == (404, "tenant_not_found")


async def test_a_domain_needs_its_own_scope(stand: Stand) -> None:
    """Who may change settings may not thereby claim a hostname."""
    scopes = SCOPES_OF[Role.PLATFORM_OPERATOR] - PLATFORMS_OWN - {Scope.DOMAINS_WRITE}
    stand.billing.token = await stand.new_token(stand.acme, *scopes)
    for change in ({"external_domain": "billing.acme.example"}, {"behind_cdn": True}):
        answer = await stand.billing.call("PATCH", "tenants/acme", change, version="*")
        assert (answer.status, answer.code) == (403, "insufficient_scope")


async def test_a_name_that_no_database_takes_is_unknown(stand: Stand) -> None:
    """A NUL in the path is a tenant that there is not."""
    answer = await stand.billing.call("GET", "tenants/a%00b")
    assert answer.status == 404
