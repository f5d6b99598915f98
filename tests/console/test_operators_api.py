"""Operators through the API: managed by who may, for their own tenant, and to nobody's gain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from router.console.scopes import SCOPES_OF, Role
from tests.console.page_browser import PASSWORD
from tests.console.test_operators import add

if TYPE_CHECKING:
    from tests.console.stand import Stand

ALL = tuple(SCOPES_OF[Role.PLATFORM_OPERATOR])
OWN = tuple(SCOPES_OF[Role.TENANT_OPERATOR])


async def as_platform(stand: Stand) -> None:
    """Call with a token that may do everything."""
    stand.billing.token = await stand.new_token(None, *ALL, name="Platform")


async def as_acme(stand: Stand) -> None:
    """Call with a token that may do everything to Acme."""
    stand.billing.token = await stand.new_token(stand.acme, *OWN, name="Acme")


async def made(stand: Stand, email: str, **wish: object) -> Any:  # noqa: ANN401 - JSON is anything
    """Add an operator."""
    answer = await stand.billing.call("POST", "operators", {"email": email, **wish})
    assert answer.status == 201, answer.data
    return answer.data


async def test_the_life_of_an_operator(stand: Stand) -> None:
    """Added with a link that works, shown, changed by version, removed."""
    await as_platform(stand)
    await add(stand, "root@example.com")
    ada = await made(stand, "Ada@example.com", tenant="acme", read_only=True)
    assert (ada["email"], ada["role"], ada["state"]) == ("ada@example.com", "tenant-reader", "invited")
    token = ada["link"].removeprefix("https://admin.portal.example:8443/welcome?t=")
    await stand.use_cases.operator_sign_in.welcome(token, PASSWORD)
    path = f"operators/{ada['id']}"
    shown = await stand.billing.call("GET", path)
    assert (shown.data["state"], shown.headers["ETag"]) == ("active", '"v1"')
    changed = await stand.billing.call("PATCH", path, {"read_only": False}, version=1)
    assert (changed.data["role"], changed.headers["ETag"]) == ("tenant-operator", '"v2"')
    assert (await stand.billing.call("PATCH", path, {"disabled": True}, version=1)).status == 412
    assert (await stand.billing.call("PATCH", path, {"disabled": True})).status == 428
    disabled = await stand.billing.call("PATCH", path, {"disabled": True}, version="*")
    assert disabled.data["state"] == "disabled"
    assert (await stand.billing.call("POST", f"{path}/link")).code == "operator_disabled"
    enabled = await stand.billing.call("PATCH", path, {"disabled": False}, version="*")
    assert enabled.data["state"] == "active"
    linked = await stand.billing.call("POST", f"{path}/link")
    assert linked.data["link"] != ada["link"]
    assert (await stand.billing.call("DELETE", path)).status == 204
    assert (await stand.billing.call("GET", path)).code == "no_such_operator"


async def test_lists_are_paged_and_of_ones_own(stand: Stand) -> None:
    """By e-mail address; of one tenant for who is bound to it, or asks for it."""
    for name, tenant in (("cyd", None), ("ada", stand.acme), ("bob", stand.globex), ("dan", stand.acme)):
        await add(stand, f"{name}@example.com", tenant.id if tenant is not None else None)
    await as_platform(stand)
    first = (await stand.billing.call("GET", "operators?limit=3")).data
    rest = (await stand.billing.call("GET", f"operators?limit=3&after={first['next']}")).data
    assert [each["email"][:3] for each in first["items"] + rest["items"]] == ["ada", "bob", "cyd", "dan"]
    assert rest["next"] is None
    of_acme = (await stand.billing.call("GET", "operators?tenant=acme")).data
    assert [each["email"][:3] for each in of_acme["items"]] == ["ada", "dan"]
    assert (await stand.billing.call("GET", "operators?after=nonsense")).code == "bad_cursor"
    await as_acme(stand)
    assert (await stand.billing.call("GET", "operators")).data == of_acme
    assert (await stand.billing.call("GET", "operators?tenant=globex")).code == "tenant_not_found"


async def test_another_tenants_operators_do_not_exist(stand: Stand) -> None:
    """Neither they, nor the platform's, whatever is asked; one's own tenant's are made as one's own."""
    root, bob = await add(stand, "root@example.com"), await add(stand, "bob@example.com", stand.globex.id)
    await as_acme(stand)
    for other in (root.id, bob.id, "opr_none"):
        for method, path, body, version in (
            ("GET", f"operators/{other}", None, None),
            ("PATCH", f"operators/{other}", {"disabled": False}, "*"),
            ("PATCH", f"operators/{other}", {"disabled": True}, "*"),
            ("DELETE", f"operators/{other}", None, None),
            ("POST", f"operators/{other}/link", None, None),
        ):
            answer = await stand.billing.call(method, path, body, version=version)
            assert (answer.status, answer.code) == (404, "no_such_operator")
    refused = await stand.billing.call("POST", "operators", {"email": "eve@example.com", "tenant": "globex"})
    assert (refused.status, refused.code) == (404, "tenant_not_found")
    assert (await made(stand, "eve@example.com"))["tenant"] == "acme"


@pytest.mark.parametrize("bound", [False, True])
async def test_nobody_makes_who_may_do_more(stand: Stand, bound: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """A token that manages operators and nothing else makes, lets in and links none who could."""
    await add(stand, "root@example.com")
    owner = stand.acme if bound else None
    other = await add(stand, "ada@example.com", stand.acme.id)
    stand.billing.token = await stand.new_token(owner, "operators:read", "operators:write", name="Narrow")
    for method, path, body, version in (
        ("POST", "operators", {"email": "eve@example.com"}, None),
        ("POST", "operators", {"email": "eve@example.com", "read_only": True}, None),
        ("POST", "operators", {"email": "eve@example.com", "tenant": "acme"}, None),
        ("PATCH", f"operators/{other.id}", {"read_only": False}, "*"),
        ("POST", f"operators/{other.id}/link", None, None),
    ):
        answer = await stand.billing.call(method, path, body, version=version)
        assert (answer.status, answer.code) == (403, "insufficient_scope")
    keeps_out = await stand.billing.call("PATCH", f"operators/{other.id}", {"disabled": True}, version="*")
    assert keeps_out.status == 200


async def test_what_cannot_be(stand: Stand) -> None:
    """The last platform operator, an address that is taken, one that is none, a field that is unknown."""
    root = await add(stand, "root@example.com")
    await as_platform(stand)
    path = f"operators/{root.id}"
    assert (await stand.billing.call("DELETE", path)).code == "last_operator"
    for change in ({"disabled": True}, {"read_only": True}):
        refused = await stand.billing.call("PATCH", path, change, version="*")
        assert (refused.status, refused.code) == (409, "last_operator")
    for wish, code in (
        ({"email": "root@example.com"}, "email_taken"),
        ({"email": "root"}, "invalid_body"),
        ({"email": "x@example.com", "tenant": "nobody"}, "tenant_not_found"),
        ({"email": "x@example.com", "role": "platform-operator"}, "invalid_body"),
    ):
        assert (await stand.billing.call("POST", "operators", wish)).code == code
