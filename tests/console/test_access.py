"""The door of the API: whose token, for what, about whom; and that nothing else opens it."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from router.console.budgets import CALLS, GUESSES
from router.storage.schema import registration_links, tokens

if TYPE_CHECKING:
    from tests.console.stand import Answer, Stand

LINE = "acme/invoice-line"
WISH = {"customer": "C-1001"}
WELL_FORMED = "trt_" + "A" * 43


async def written(stand: Stand) -> int:
    """How many registration links there are: what a refused call must not make."""
    async with stand.database.read() as connection:
        return len((await connection.execute(select(registration_links.c.id))).all())


def challenge(answer: Answer) -> str:
    """What the answer says of how to ask (RFC 9110 section 11.6.1)."""
    return answer.headers["WWW-Authenticate"]


async def test_a_valid_token_is_let_in(stand: Stand) -> None:
    """By the scheme's name in any case (RFC 9110 section 11.1)."""
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = await stand.billing.post(LINE, WISH, {"Authorization": f"{scheme} {stand.token}"})
        assert answer.status == 200


@pytest.mark.parametrize(
    "field",
    ["", "Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "Bearer a b", "Bearer trt_é", "Token x", "trt_x"],
)
async def test_no_token_is_asked_for_one(stand: Stand, field: str) -> None:
    """401 with a challenge that names no error, for none was shown (RFC 6750 section 3.1)."""
    answer = await stand.billing.post(LINE, WISH, {"Authorization": field})
    assert (answer.status, answer.code) == (401, "token_needed")
    assert challenge(answer) == 'Bearer realm="tenant-router"'
    assert await written(stand) == 0


async def test_unknown_expired_and_malformed_are_one_answer(stand: Stand) -> None:
    """Whatever is wrong with a token, its sender learns only that it opens nothing."""
    expired = await stand.new_token(stand.acme, days=1)
    assert (await shown(stand, expired)).status == 200
    stand.now += 86_400
    unknown = await shown(stand, WELL_FORMED)
    assert (unknown.status, unknown.code) == (401, "invalid_token")
    assert 'error="invalid_token"' in challenge(unknown)
    for other in (expired, "trt_short", WELL_FORMED + "=", stand.token.swapcase(), stand.token[:-1]):
        answer = await shown(stand, other)
        assert (answer.status, answer.body) == (401, unknown.body)


async def shown(stand: Stand, token: str) -> Answer:
    """Ask for a line with another token."""
    return await stand.billing.post(LINE, WISH, {"Authorization": f"Bearer {token}"})


async def test_a_revoked_token_opens_nothing_within_a_second(stand: Stand) -> None:
    """Also where it was in memory a moment ago."""
    assert (await shown(stand, stand.token)).status == 200
    [token] = await stand.tokens.list()
    await stand.tokens.revoke(token.id, actor="test")
    async with asyncio.timeout(1):
        await stand.settled()
    refused = await shown(stand, stand.token)
    assert (refused.status, refused.code) == (401, "invalid_token")


@pytest.mark.parametrize("query", ["access_token={}", "token={}", "a=b&key={}", "access_token=x", "token"])
async def test_a_token_in_the_query_is_refused(stand: Stand, query: str) -> None:
    """Even beside a good one in its place: it has been in somebody's log (THREATS 81)."""
    answer = await stand.billing.post(f"{LINE}?{query.format(stand.token)}", WISH)
    assert (answer.status, answer.code) == (400, "token_in_query")
    assert stand.token.encode() not in answer.body
    assert await written(stand) == 0


async def test_other_queries_do_no_harm(stand: Stand) -> None:
    """What is not understood is ignored."""
    assert (await stand.billing.post(f"{LINE}?dry=1", WISH)).status == 200


@pytest.mark.parametrize("slug", ["globex", "nobody", "Acme", "acme%20", "a" * 300, "..", "%00"])
@pytest.mark.parametrize(
    ("method", "rest"),
    [("POST", "invoice-line"), ("DELETE", "registration-links/reg_1"), ("POST", "invitations")],
)
async def test_another_tenant_does_not_exist(stand: Stand, slug: str, method: str, rest: str) -> None:
    """Whether it is somebody else's or nobody's, the answer is the same but for the name (THREATS 78)."""
    answer = await stand.billing.send(method, f"{slug}/{rest}", {"Content-Type": "application/json"}, b"{}")
    assert answer.status == 404
    assert answer.code in ("tenant_not_found", "not_found")
    if answer.code == "tenant_not_found":
        assert b"There is no tenant" in answer.body


async def test_a_tenant_that_is_gone_and_one_that_is_anothers_read_alike(stand: Stand) -> None:
    """The bodies differ in nothing but the name that was asked for."""
    others = await stand.billing.post("globex/invoice-line", WISH)
    nobodys = await stand.billing.post("glubex/invoice-line", WISH)
    assert others.body.replace(b"globex", b"glubex") == nobodys.body


async def test_the_platforms_token_speaks_for_all(stand: Stand) -> None:
    """Without a tenant of its own, a token is good for each; for one that is not there, 404."""
    stand.billing.token = await stand.new_token(None)
    assert (await stand.billing.post("acme/invoice-line", WISH)).status == 200
    assert (await stand.billing.post("globex/invoice-line", WISH)).status == 200
    assert (await stand.billing.post("nobody/invoice-line", WISH)).code == "tenant_not_found"


@pytest.mark.parametrize(
    ("scope", "method", "rest", "body"),
    [
        ("invitations", "POST", "invoice-line", b'{"customer":"C-1"}'),
        ("invitations", "DELETE", "registration-links/reg_1", b""),
        ("invoice-line", "POST", "invitations", b'{"customer":"C-1","email":"a@b.example"}'),
    ],
)
async def test_a_scope_opens_its_own(stand: Stand, scope: str, method: str, rest: str, body: bytes) -> None:
    """403, with the scope that it takes (RFC 6750 section 3.1)."""
    stand.billing.token = await stand.new_token(stand.acme, scope)
    answer = await stand.billing.send(method, f"acme/{rest}", {"Content-Type": "application/json"}, body)
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in challenge(answer)
    assert await written(stand) == 0


async def test_a_token_has_a_budget_of_its_own(stand: Stand) -> None:
    """Past it: 429 with the seconds to wait, for this token alone, until the window ends."""
    other = await stand.new_token(stand.acme)
    [token_id] = [token.id for token in await stand.tokens.list() if token.name == "Billing"]
    for _ in range(CALLS.limit):
        await stand.budgets.spend(token_id)
    refused = await stand.billing.post(LINE, WISH)
    assert (refused.status, refused.code) == (429, "too_many_requests")
    assert (await shown(stand, other)).status == 200
    stand.now += int(refused.headers["Retry-After"])
    assert (await stand.billing.post(LINE, WISH)).status == 200


async def test_every_answer_to_a_token_says_what_is_left(stand: Stand) -> None:
    """Done or refused alike, in structured fields, and down to none; nothing is told to who has no token."""
    done = await stand.billing.post(LINE, WISH)
    assert done.headers["RateLimit-Policy"] == f'"api-calls";q={CALLS.limit};w=60'
    assert done.headers["RateLimit"].startswith(f'"api-calls";r={CALLS.limit - 1};t=')
    assert 1 <= int(done.headers["RateLimit"].rpartition("=")[2]) <= CALLS.window
    refused = await stand.billing.post("nobody/invoice-line", WISH)
    assert refused.headers["RateLimit"].startswith(f'"api-calls";r={CALLS.limit - 2};t=')
    [token_id] = [token.id for token in await stand.tokens.list()]
    for _ in range(CALLS.limit):
        await stand.budgets.spend(token_id)
    ended = await stand.billing.post(LINE, WISH)
    assert ended.headers["RateLimit"] == f'"api-calls";r=0;t={ended.headers["Retry-After"]}'
    assert "RateLimit" not in (await shown(stand, WELL_FORMED)).headers


async def test_guessing_ends(stand: Stand) -> None:
    """A network that sends wrong tokens is told to wait; a token in use goes on from there all the same."""
    assert (await stand.billing.post(LINE, WISH)).status == 200
    guesses = [await shown(stand, "trt_" + secrets.token_urlsafe(32)) for _ in range(GUESSES.limit + 1)]
    assert [answer.status for answer in guesses] == [401] * GUESSES.limit + [429]
    assert (await stand.billing.post(LINE, WISH)).status == 200
    stand.billing.address = "198.51.100.1"
    assert (await shown(stand, WELL_FORMED)).status == 401


async def test_the_last_use_is_written_down(stand: Stand) -> None:
    """Lazily: what was used since is written in one go, never back in time."""
    await stand.billing.post(LINE, WISH)
    stand.now += 10
    await stand.billing.post(LINE, WISH)
    await stand.finder.flush()
    [token] = await stand.tokens.list()
    assert token.last_used_at == int(stand.now)
    async with stand.database.read() as connection:
        assert await connection.scalar(select(tokens.c.last_used_at)) == int(stand.now)
