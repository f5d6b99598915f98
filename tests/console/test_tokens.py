"""Tokens by the API: made, told once, listed and revoked; and nobody gives away what they do not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from router.console.scopes import Scope
from router.storage.audit_trail import AuditFilter

if TYPE_CHECKING:
    from router.tenants.tenant import Tenant
    from tests.console.stand import Answer, Stand

WISH: dict[str, Any] = {"name": "Billing system", "scopes": ["invoice-line"]}
ALL = tuple(Scope)


async def become(stand: Stand, tenant: Tenant | None, *scopes: str) -> None:
    """Call with a token of a tenant, or for all."""
    stand.billing.token = await stand.new_token(tenant, *scopes, name="Maker")


async def make(stand: Stand, **wish: object) -> Answer:
    """Ask for a token."""
    return await stand.billing.call("POST", "tokens", {**WISH, **wish})


async def told(stand: Stand, token_id: str) -> dict[str, Any]:
    """What the list tells of a token."""
    items: list[dict[str, Any]] = (await stand.billing.call("GET", "tokens")).data["items"]
    [token] = [each for each in items if each["id"] == token_id]
    return token


async def test_a_token_is_told_once(stand: Stand) -> None:
    """It opens what it was made for; lists tell all of it but the token itself."""
    await become(stand, None, *ALL)
    made = await make(stand, tenant="acme", days=7)
    assert made.status == 201
    secret = made.data["token"]
    listed = await told(stand, made.data["id"])
    assert listed == {name: value for name, value in made.data.items() if name != "token"}
    assert (listed["tenant"], listed["scopes"], listed["state"]) == ("acme", ["invoice-line"], "valid")
    assert listed["expires_at"] == "2027-01-22T08:00:00Z"
    assert listed["last_used_at"] is None
    stand.billing.token = secret
    assert (await stand.billing.post("acme/invoice-line", {"customer": "C-1"})).status == 200
    await stand.finder.flush()
    await become(stand, None, *ALL)
    assert (await told(stand, listed["id"]))["last_used_at"] == "2027-01-15T08:00:00Z"


async def test_the_secret_is_not_told_again(stand: Stand) -> None:
    """A call that is sent again with its key has been done; nothing that was kept of it opens anything."""
    await become(stand, None, *ALL)
    key = {"Idempotency-Key": "1", "Content-Type": "application/json"}
    made = await stand.billing.post("../tokens", WISH, key)
    again = await stand.billing.post("../tokens", WISH, key)
    assert made.status == 201
    assert (again.status, again.code) == (409, "already_done")
    assert made.data["token"].encode() not in again.body
    assert len([each for each in await stand.tokens.list() if each.name == WISH["name"]]) == 1


async def test_a_tenants_token_manages_that_tenants(stand: Stand) -> None:
    """It makes tokens for its tenant alone, whether it says so or not, and sees and revokes no others."""
    others = await stand.tokens.list()
    await stand.new_token(None, *ALL, name="Platform's")
    await stand.new_token(stand.globex, name="Globex's")
    await become(stand, stand.acme, *ALL)
    assert (await make(stand)).data["tenant"] == "acme"
    assert (await make(stand, tenant="acme")).data["tenant"] == "acme"
    refused = await make(stand, tenant="globex")
    assert (refused.status, refused.code) == (404, "tenant_not_found")
    listed = (await stand.billing.call("GET", "tokens")).data["items"]
    assert {each["tenant"] for each in listed} == {"acme"}
    assert len(listed) == len(others) + 3
    for token in await stand.tokens.list():
        if token.slug != "acme":
            answer = await stand.billing.call("DELETE", f"tokens/{token.id}")
            assert (answer.status, answer.code) == (404, "token_not_found")
            assert stand.tokens.state(token) == "valid"


@pytest.mark.parametrize(
    ("has", "wants", "status"),
    [
        ({"tokens:write", "users:read"}, ["users:read"], 201),
        ({"tokens:write", "users:read"}, ["users:read", "users:write"], 403),
        ({"tokens:write"}, ["tokens:write"], 201),
        ({"tokens:write"}, ["tenants:manage"], 403),
    ],
)
async def test_nobody_gives_away_what_they_lack(
    stand: Stand, has: set[str], wants: list[str], status: int
) -> None:
    """A token cannot make one that may do more than itself."""
    await become(stand, None, *sorted(has))
    answer = await make(stand, scopes=wants)
    assert answer.status == status
    if status == 403:
        assert answer.code == "insufficient_scope"


async def test_a_tenants_token_has_nothing_of_the_platforms_own(stand: Stand) -> None:
    """Such scopes would open nothing; who asks for them is told so."""
    await become(stand, None, *ALL)
    answer = await make(stand, tenant="acme", scopes=["users:read", "domains:vouch"])
    assert (answer.status, answer.code) == (422, "bad_scope")


@pytest.mark.parametrize(
    ("wish", "pointer", "code"),
    [
        ({"scopes": []}, "#/scopes", "bad_value"),
        ({"scopes": ["root"]}, "#/scopes/0", "bad_value"),
        ({"days": 0}, "#/days", "bad_value"),
        ({"days": 3651}, "#/days", "bad_value"),
        ({"tenant": "a\0b"}, "#/tenant", "not_printable"),
        ({"tenant_id": "tnt_1"}, "#/tenant_id", "unknown_field"),
    ],
)
async def test_bad_wishes(stand: Stand, wish: dict[str, object], pointer: str, code: str) -> None:
    """Each names the field that is at fault."""
    await become(stand, None, *ALL)
    answer = await make(stand, **wish)
    assert answer.status == 422
    assert [(each["pointer"], each["code"]) for each in answer.data["errors"]] == [(pointer, code)]


async def test_a_name_must_be_one(stand: Stand) -> None:
    """Of what is shown, and not too long."""
    await become(stand, None, *ALL)
    for name in ("", " ", "x" * 81, "a\tb\x7f"):
        answer = await make(stand, name=name)
        assert (answer.status, answer.code) == (422, "bad_name")


async def test_a_revoked_token_opens_nothing(stand: Stand) -> None:
    """Within a second on every worker; again is no fault, and is not noted twice."""
    await become(stand, None, *ALL)
    made = (await make(stand, tenant="acme")).data
    for _ in range(2):
        assert (await stand.billing.call("DELETE", f"tokens/{made['id']}")).status == 204
    await stand.settled()
    listed = await told(stand, made["id"])
    assert (listed["state"], listed["revoked_at"]) == ("revoked", "2027-01-15T08:00:00Z")
    lines = [line async for line in stand.use_cases.audit_trail.stream(AuditFilter(action="token.revoke"))]
    assert [(line.subject, line.address) for line in lines] == [(made["id"], "203.0.113.7")]
    stand.billing.token = made["token"]
    assert (await stand.billing.post("acme/invoice-line", {"customer": "C-1"})).status == 401


async def test_pages_tell_each_once(stand: Stand) -> None:
    """The newest first, those of one second too, whatever is made meanwhile."""
    await become(stand, None, *ALL)
    for number in range(6):
        stand.now += number % 2
        await stand.new_token(stand.acme, name=f"T{number}")
    all_of_them = [each.id for each in await stand.tokens.list()]
    seen, query = [], "tokens?limit=3"
    while True:
        piece = (await stand.billing.call("GET", query)).data
        seen += [each["id"] for each in piece["items"]]
        if piece["next"] is None:
            break
        query = f"tokens?limit=3&after={piece['next']}"
        await stand.new_token(stand.acme, name="Later")
    assert seen == all_of_them


async def test_a_cursor_of_something_else_is_refused(stand: Stand) -> None:
    """As is what is no cursor at all."""
    await become(stand, None, *ALL)
    for cursor in ("x", "WzFd", "%C3%A9"):
        answer = await stand.billing.call("GET", f"tokens?after={cursor}")
        assert (answer.status, answer.code) == (422, "bad_cursor")
