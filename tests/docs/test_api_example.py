"""The session of docs/api.md, executed as it stands there; and its tables, held to the code."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from router.console.api.idempotency import KEPT
from router.console.api.openapi import codes_of
from router.console.budgets import CALLS
from router.console.scopes import PLATFORMS_OWN, Scope

if TYPE_CHECKING:
    from tests.console.stand import Stand

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
ADA, BOB = ("ada@initech.test", "C-1"), ("bob@initech.test", "C-2")

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def session(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Be a program that does what the page says, with a token for all tenants."""
    monkeypatch.setenv("ROUTER", stand.url)
    monkeypatch.setenv("TOKEN", await stand.new_token(None, *Scope))
    [source] = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    made: dict[str, Any] = {}
    exec(source, made)  # noqa: S102 - executing it is the test
    return made


async def test_the_session_sets_up_a_tenant(stand: Stand, session: dict[str, Any]) -> None:
    """The portal is there, as it was wanted, and its people are asked in."""
    set_up = partial(session["set_up"], "Initech", "initech", "http://127.0.0.1:9", [ADA, BOB])
    invited = await asyncio.to_thread(set_up)
    assert sorted(invited) == [ADA[0], BOB[0]]
    tenant = (await stand.registry.get("initech")).tenant
    assert (tenant.branding.name, tenant.allow_registration) == ("Initech", True)
    assert str(tenant.branding.theme_colour).lower() == "#0b6e4f"


async def test_a_lost_answer_makes_nothing_twice(
    stand: Stand, session: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is sent again with its key, and is answered as it was the first time."""
    call, sent = session["call"], list[str]()

    def losing(*given: Any, **headers: str) -> Any:  # noqa: ANN401 - whatever it answers
        answer = call(*given, **headers)
        if "Idempotency_Key" in headers:
            sent.append(headers["Idempotency_Key"])
            if len(sent) == 1:
                raise ConnectionResetError
        return answer

    monkeypatch.setitem(session, "call", losing)
    wish = {"email": ADA[0], "customer": ADA[1]}
    made = await asyncio.to_thread(session["make"], "/tenants/acme/invitations", wish)
    assert made["email"] == ADA[0]
    assert len(sent) == 2
    assert len(set(sent)) == 1
    listed = await asyncio.to_thread(lambda: list(session["each"]("/tenants/acme/invitations")))
    assert [each["id"] for each in listed] == [made["id"]]


async def test_a_change_is_made_to_what_somebody_else_left(
    session: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is second reads again: both changes are there in the end."""
    call, meant = session["call"], list[str]()

    def disturbed(method: str, *given: Any, **headers: str) -> Any:  # noqa: ANN401 - the same
        if method == "PATCH" and not meant:
            meant.append(headers["If_Match"])
            call("PATCH", given[0], {"name": "Acme Inc."}, If_Match="*")
        return call(method, *given, **headers)

    monkeypatch.setitem(session, "call", disturbed)
    told = await asyncio.to_thread(lambda: session["change"]("/tenants/acme", theme_colour="#123456"))
    assert (told["name"], told["theme_colour"].lower()) == ("Acme Inc.", "#123456")
    assert len(meant) == 1


async def test_the_session_hears_what_is_wrong(session: dict[str, Any]) -> None:
    """By the code, and the field."""
    with pytest.raises(session["Problem"], match="invalid_body") as caught:
        await asyncio.to_thread(session["make"], "/tenants/acme/invitations", {"email": "ada"})
    faults: Any = caught.value
    assert {each["pointer"] for each in faults.errors} == {"#/email", "#/customer"}


async def test_the_scopes_are_those_of_the_code(stand: Stand) -> None:
    """The table has each of them, and says which are for all tenants only."""
    rows = dict(re.findall(r"^\| `([a-z:-]+)` \| (.+) \|$", PAGE, re.MULTILINE))
    assert set(rows) == set(Scope)
    assert {scope for scope, said in rows.items() if "for all tenants only" in said} == PLATFORMS_OWN


async def test_the_codes_are_those_of_the_code(stand: Stand) -> None:
    """What every operation may fail with is on the page, with its status."""
    told = {
        (int(status), code)
        for status, codes in re.findall(r"^\| (\d{3}) \| (.+?) \|", PAGE, re.MULTILINE)
        for code in re.findall(r"`(\w+)`", codes)
    }
    known = set()
    for operation in stand.operations:
        known |= {(status, code) for status, codes in codes_of(operation).items() for code in codes}
    assert told <= known
    generic = {"invalid_body", "invalid_query", "if_match_needed", "json_only", "internal", "token_needed"}
    assert generic <= {code for _, code in told}
    for code in ("idempotency_key_reused", "idempotency_key_in_use", "already_done"):
        assert f"`{code}`" in PAGE


async def test_the_numbers_are_those_of_the_code(stand: Stand) -> None:
    """How often, and for how long."""
    assert f"may make {CALLS.limit} calls a minute" in PAGE
    assert f'"api-calls";q={CALLS.limit};w={CALLS.window}' in PAGE
    assert f"within {KEPT // 3600} hours" in PAGE.replace("\n", " ")
