"""The example of docs/registration-check.md, executed as it stands there, and asked by the router."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc.errors import JoseError

from router.identity.call_out import CallOut
from router.identity.signing_keys import SigningKeys
from router.identity.tenant_facts import TenantFacts
from router.storage.changes import ChangeFeed, PollBell
from router.storage.sealing import Sealer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router.storage.database import Database

PAGE = Path(__file__).parents[2] / "docs" / "registration-check.md"
ISSUER = "https://portal.example"
KNOWN = {("acme", "C-1001"): ["Ada@Example.com"]}


class Check:
    """A backend that does what the page says."""

    def __init__(self) -> None:
        self.example: dict[str, Any] = {}
        self.url = ""
        self.refused: list[Exception] = []
        self.asked: list[tuple[str, bytes]] = []

    async def answer(self, request: web.Request) -> web.Response:
        """Hand the question to the example."""
        authorization, body = request.headers.get("Authorization", ""), await request.read()
        self.asked.append((authorization, body))
        try:
            text = await asyncio.to_thread(self.judge, authorization, body)
        except (JoseError, ValueError) as fault:
            self.refused.append(fault)
            return web.Response(status=401)
        return web.Response(text=text, content_type="application/json")

    def judge(self, authorization: str, body: bytes) -> str:
        """Ask the example itself."""
        return str(self.example["belongs"](authorization, body, lambda *key: KNOWN.get(key, [])))


@pytest.fixture
async def keys(database: Database) -> SigningKeys:
    """The platform's signing keys."""
    made = SigningKeys(database, Sealer([bytes(32)]), PollBell(), ChangeFeed(database, PollBell()))
    await made.ensure(time.time())
    return made


@pytest.fixture
async def check(keys: SigningKeys, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Check]:
    """Serve the example, and the real keys' document."""
    check = Check()

    async def document(_request: web.Request) -> web.Response:
        return web.json_response(keys.jwks())

    application = web.Application()
    application.router.add_get("/.well-known/portal-jwks.json", document)
    application.router.add_post("/belongs", check.answer)
    async with TestServer(application, host="127.0.0.1") as server:
        check.url = str(server.make_url("/belongs"))
        monkeypatch.setenv("CHECK_ISS", ISSUER)
        monkeypatch.setenv("CHECK_AUD", check.url)
        monkeypatch.setenv("PORTAL_JWKS_URL", str(server.make_url("/.well-known/portal-jwks.json")))
        text = PAGE.read_text("utf-8")
        [example] = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        exec(example, check.example)  # noqa: S102 - executing it is the test
        yield check


async def _confirmed(
    keys: SigningKeys, check: Check, customer: str, email: str, issuer: str = ISSUER
) -> bool:
    call_out = CallOut(keys, issuer, forbidden=None, pauses=())
    tenant = TenantFacts("tnt_1", "acme", "Acme", "en", allow_registration=True, registration_check=check.url)
    return await call_out.confirm(tenant, customer, email)


async def test_example_answers_the_router(keys: SigningKeys, check: Check) -> None:
    """It says yes for the customer's address in any case, and no for another's or an unknown customer."""
    assert await _confirmed(keys, check, "C-1001", "ada@example.com")
    assert not await _confirmed(keys, check, "C-1001", "eve@example.com")
    assert not await _confirmed(keys, check, "C-9", "ada@example.com")
    assert check.refused == []


async def test_example_refuses_others(keys: SigningKeys, check: Check) -> None:
    """Another platform's token, none at all, and a token that was sent for another question are refused."""
    assert not await _confirmed(keys, check, "C-1001", "ada@example.com", "https://other.example")
    assert len(check.refused) == 1
    await _confirmed(keys, check, "C-1001", "ada@example.com")
    authorization, body = check.asked[-1]
    with pytest.raises(ValueError, match="another question"):
        check.judge(authorization, body.replace(b"C-1001", b"C-1002"))
    with pytest.raises((JoseError, ValueError)):
        check.judge("", body)
