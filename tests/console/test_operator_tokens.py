"""A token does no more than its operator may today: it is stopped with them, and revoked with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from router.console.scopes import SCOPES_OF, Role, Scope
from router.storage.audit_trail import AuditFilter
from tests.console.page_browser import signed_in

if TYPE_CHECKING:
    from router.console.operator_rows import Operator
    from router.tenants.tenant import Tenant
    from tests.console.stand import Stand

ALL = tuple(Scope)
READING = tuple(sorted(SCOPES_OF[Role.PLATFORM_READER]))


async def operator(stand: Stand, tenant: Tenant | None = None, email: str = "ada@example.com") -> Operator:
    """Somebody beside the last platform operator."""
    owner = tenant.id if tenant is not None else None
    _, made = await stand.use_cases.operators.add(email, tenant_id=owner, read_only=False, actor="test")
    return made


async def token_of(stand: Stand, maker: Operator, *scopes: str, tenant: Tenant | None = None) -> str:
    """A token that an operator answers for."""
    secret, _ = await stand.tokens.add(
        "Theirs",
        scopes or READING,
        days=30,
        tenant_id=tenant.id if tenant is not None else maker.tenant_id,
        actor=maker.actor,
        operator_id=maker.id,
    )
    return secret


async def status(
    stand: Stand, token: str, method: str = "GET", path: str = "tenants/acme"
) -> tuple[int, str]:
    """What a call with a token comes to, once the worker has heard of everything."""
    await stand.settled()
    stand.billing.token = token
    answer = await stand.billing.call(method, path)
    return answer.status, answer.code if answer.status >= 400 else ""


async def test_a_token_stops_with_its_operator(stand: Stand) -> None:
    """401 on every worker while they are disabled, and afterwards it goes on; others' go on throughout."""
    await signed_in(stand)
    ada, bob = await operator(stand), await operator(stand, email="bob@example.com")
    theirs, others = await token_of(stand, ada), await token_of(stand, bob)
    at_the_command_line = await stand.new_token(None, *READING)
    assert await status(stand, theirs) == (200, "")
    await stand.use_cases.operators.change(ada.id, disabled=True, actor="test")
    assert await status(stand, theirs) == (401, "invalid_token")
    assert [each.state(stand.now) for each in await stand.tokens.list() if each.operator_id == ada.id] == [
        "stopped"
    ]
    for token in (others, at_the_command_line):
        assert await status(stand, token) == (200, "")
    await stand.use_cases.operators.change(ada.id, disabled=False, actor="test")
    assert await status(stand, theirs) == (200, "")
    told = [
        line.detail for line in await stand.use_cases.audit_trail.page(AuditFilter(action="operator"), most=2)
    ]
    assert [each.get("tokens_resumed", each.get("tokens_stopped")) for each in told] == [1, 1]


async def test_a_token_is_revoked_with_its_operator(stand: Stand) -> None:
    """For good: somebody of the same address who is asked in later has nothing of it."""
    await signed_in(stand)
    ada = await operator(stand)
    theirs = await token_of(stand, ada)
    assert await status(stand, theirs) == (200, "")
    await stand.use_cases.operators.remove(ada.id, actor="test")
    assert await status(stand, theirs) == (401, "invalid_token")
    await operator(stand)
    assert await status(stand, theirs) == (401, "invalid_token")
    [token] = [each for each in await stand.tokens.list() if each.operator_id == ada.id]
    assert (token.state(stand.now), token.revoked_at) == ("revoked", int(stand.now))
    [line] = await stand.use_cases.audit_trail.page(AuditFilter(action="operator.remove"), most=1)
    assert line.detail["tokens_revoked"] == 1


async def test_a_token_of_nobody_that_there_is_opens_nothing(stand: Stand) -> None:
    """One that was made while its operator was being removed, for example."""
    await signed_in(stand)
    ada = await operator(stand)
    await stand.use_cases.operators.remove(ada.id, actor="test")
    assert await status(stand, await token_of(stand, ada)) == (401, "invalid_token")


async def test_a_token_does_no_more_than_its_operator_may(stand: Stand) -> None:
    """Who only looks by now has tokens that only look, and those make none that do more."""
    await signed_in(stand)
    ada = await operator(stand)
    theirs = await token_of(stand, ada, *ALL)
    assert await status(stand, theirs, "POST", "tenants/acme/domains/a.example/check") == (
        404,
        "claim_not_found",
    )
    await stand.use_cases.operators.change(ada.id, read_only=True, actor="test")
    assert await status(stand, theirs) == (200, "")
    refused = await status(stand, theirs, "POST", "tenants/acme/domains/a.example/check")
    assert refused == (403, "insufficient_scope")
    [token] = [each for each in await stand.tokens.list() if each.operator_id == ada.id]
    assert (token.scopes, token.opens) == (ALL, SCOPES_OF[Role.PLATFORM_READER])


async def test_what_a_token_makes_is_its_operators(stand: Stand) -> None:
    """A token that was made by a token, by the console, or for a tenant, stops with them all the same."""
    browser = await signed_in(stand)
    ada = await operator(stand)
    stand.billing.token = await token_of(stand, ada, *ALL)
    wish: dict[str, Any] = {"name": "Child", "scopes": ["tenants:read"]}
    child = (await stand.billing.call("POST", "tokens", wish)).data["token"]
    for_acme = (await stand.billing.call("POST", "tokens", wish | {"tenant": "acme"})).data["token"]
    assert (
        await browser.post("/tokens", {"name": "By hand", "days": "1", "tenants:read": "yes"}, page="/tokens")
    ).status == 200
    by_hand = next(each for each in await stand.tokens.list() if each.name == "By hand")
    assert by_hand.operator_id not in (None, ada.id)
    page = await browser.get("/operators")
    assert "3 API tokens they made" in page.body
    await stand.use_cases.operators.change(ada.id, disabled=True, actor="test")
    for token in (child, for_acme):
        assert await status(stand, token) == (401, "invalid_token")
    page = await browser.get("/operators")
    assert "3 API tokens stopped" in page.body
    assert "1 API token they made" in page.body
    assert "who made it is disabled" in (await browser.get("/tokens")).body


@pytest.mark.parametrize("of_tenant", [False, True], ids=["platforms", "tenants"])
async def test_the_api_says_how_many_tokens_stop(stand: Stand, *, of_tenant: bool) -> None:
    """With the operator, before and after: neither expired nor revoked ones are counted."""
    await signed_in(stand)
    ada = await operator(stand, stand.acme if of_tenant else None)
    for _ in range(2):
        await token_of(stand, ada, "tenants:read", tenant=stand.acme)
    revoked = next(each for each in await stand.tokens.list() if each.operator_id == ada.id)
    await stand.tokens.revoke(revoked.id, actor="test")
    stand.billing.token = await stand.new_token(None, *ALL)
    shown = await stand.billing.call("GET", f"operators/{ada.id}")
    assert shown.data["tokens"] == 1
    changed = await stand.billing.call("PATCH", f"operators/{ada.id}", {"disabled": True}, version="*")
    assert (changed.data["state"], changed.data["tokens"]) == ("disabled", 1)
    listed = (await stand.billing.call("GET", "operators")).data["items"]
    assert {each["email"]: each["tokens"] for each in listed}[ada.email] == 1
