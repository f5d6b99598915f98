"""The example of docs/backend.md, executed as it stands there."""

from __future__ import annotations

import asyncio
import functools
import json
import re
import time
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from router.identity.assertion import Assertions
from router.identity.session import Session
from router.identity.signing_keys import SigningKeys
from router.storage.changes import ChangeFeed, PollBell
from router.storage.sealing import Sealer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from router.storage.database import Database

PAGE = Path(__file__).parents[2] / "docs" / "backend.md"
ISSUER = "https://portal.example"
AUDIENCE = "http://10.0.0.5:9000"
HOST = "mycompany.portal.example"
NOW = int(time.time())
SESSION = Session(
    key="k",
    id="ses_1",
    tenant_id="tnt_1",
    user_id="usr_1",
    email="mary@acme.test",
    customer="C-1001",
    signed_in_at=NOW,
    seen_at=NOW,
    expires_at=NOW + 3600,
    idle_life=3600,
)

Claims = dict[str, object]


@pytest.fixture
async def keys(database: Database) -> SigningKeys:
    """Make the platform's signing keys."""
    bell = PollBell()
    made = SigningKeys(database, Sealer([bytes(32)]), bell, ChangeFeed(database, bell))
    await made.ensure(time.time())
    return made


@pytest.fixture
async def backend(
    keys: SigningKeys, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[dict[str, str]], Awaitable[Claims]]]:
    """Serve the real document over HTTP, and be a backend that does what the page says."""

    async def document(_request: web.Request) -> web.Response:
        return web.json_response(keys.jwks())

    application = web.Application()
    application.router.add_get("/.well-known/portal-jwks.json", document)
    async with TestServer(application) as server:
        monkeypatch.setenv("PORTAL_ISS", ISSUER)
        monkeypatch.setenv("PORTAL_AUD", AUDIENCE)
        monkeypatch.setenv("PORTAL_JWKS_URL", str(server.make_url("/.well-known/portal-jwks.json")))
        example: dict[str, Any] = {}
        exec(_example(), example)  # noqa: S102 - executing it is the test

        async def who_is_asking(headers: dict[str, str]) -> Claims:
            claims: Claims = await asyncio.to_thread(example["who_is_asking"], headers)
            return claims

        yield who_is_asking


def _example() -> str:
    [example, _] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return str(example)


def _headers(token: str) -> dict[str, str]:
    return {"X-Portal-Jwt-Assertion": token}


async def test_example_verifies_a_real_assertion(
    keys: SigningKeys, backend: Callable[[dict[str, str]], Awaitable[Claims]]
) -> None:
    """What the router signs, the page's example verifies: with the keys it fetched over HTTP."""
    token = Assertions(keys, ISSUER).find(SESSION, "tnt_1", AUDIENCE, HOST, time.time())
    claims = await backend(_headers(token))
    assert claims["sub"] == "usr_1"
    assert claims["customer"] == "C-1001"


async def test_every_claim_is_in_the_page(
    keys: SigningKeys, backend: Callable[[dict[str, str]], Awaitable[Claims]]
) -> None:
    """The page's table names each claim that is sent, and none that is not."""
    token = Assertions(keys, ISSUER).find(SESSION, "tnt_1", AUDIENCE, HOST, time.time())
    table = PAGE.read_text("utf-8").partition("| claim | meaning |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name for cell in rows for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(await backend(_headers(token)))


@pytest.mark.parametrize(
    "case",
    ["issuer", "audience", "expired", "early", "stranger's key", "no signature", "HS256", "garbage", "empty"],
)
async def test_example_refuses_what_is_not_ours(
    keys: SigningKeys, backend: Callable[[dict[str, str]], Awaitable[Claims]], case: str
) -> None:
    """The example refuses each assertion that a backend must not believe, with the errors the page names."""
    with pytest.raises((JoseError, ValueError)):
        await backend(_headers(_forged(case, keys)))


async def test_example_refuses_a_visit_without_assertion(
    backend: Callable[[dict[str, str]], Awaitable[Claims]],
) -> None:
    """Plain headers alone are nobody."""
    with pytest.raises(KeyError):
        await backend({"X-Portal-User": "usr_1", "X-Portal-Email": "mary@acme.test"})


def _forged(case: str, keys: SigningKeys) -> str:
    now = time.time()
    ours = Assertions(keys, ISSUER)
    sign = functools.partial(ours.sign, SESSION, "tnt_1", audience=AUDIENCE, host=HOST)
    good = sign(now=now)
    forgeries = {
        "issuer": Assertions(keys, "https://evil.example").find(SESSION, "tnt_1", AUDIENCE, HOST, now),
        "audience": ours.find(SESSION, "tnt_1", "http://other.example", HOST, now),
        "expired": sign(now=now - 90),
        "early": sign(now=now + 90),
        "stranger's key": _signed_anew(good, "ES256", jwk.ECKey.generate_key("P-256")),
        "no signature": f"{_NONE}.{good.split('.')[1]}.",
        "HS256": _signed_anew(good, "HS256", jwk.OctKey.import_key(str(keys.jwks()["keys"][0]["x"]))),
        "garbage": "a.b.c",
        "empty": "",
    }
    return forgeries[case]


_NONE = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}


def _signed_anew(good: str, algorithm: str, key: jwk.ECKey | jwk.OctKey) -> str:
    header, claims = (json.loads(urlsafe_b64decode(part + "==")) for part in good.split(".")[:2])
    return jwt.encode({**header, "alg": algorithm}, claims, key)
