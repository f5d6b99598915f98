"""Calls with an Idempotency-Key: done once, answered each time as the first time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from router.console.api.idempotency import CLAIMED, KEPT, Claim, Idempotency, asked
from router.console.problems import Refused
from router.errors import Unavailable
from router.identity.invitations import Invitations
from router.storage.schema import idempotency_keys, outbox

if TYPE_CHECKING:
    from router.storage.database import Database
    from tests.console.stand import Answer, Stand

INVITATIONS = "acme/invitations"
ADA = {"email": "ada@acme.test", "customer": "C-1001"}
BOB = {"email": "bob@acme.test", "customer": "C-1002"}
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"


async def invite(stand: Stand, wish: object, key: str = KEY, **headers: str) -> Answer:
    """Invite somebody, with a key."""
    return await stand.billing.post(INVITATIONS, wish, {"Idempotency-Key": key, **headers})


async def mails(stand: Stand) -> int:
    """How many mails wait: one for each time that it was done."""
    async with stand.database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(outbox)) or 0


async def test_again_is_answered_as_the_first_time(stand: Stand) -> None:
    """The same octets, marked; and it was done once."""
    first, again = await invite(stand, ADA), await invite(stand, ADA)
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await mails(stand) == 1


async def test_without_a_key_it_is_done_each_time(stand: Stand) -> None:
    """The key is the caller's choice."""
    for _ in range(2):
        assert (await stand.billing.post(INVITATIONS, ADA)).status == 201
    assert await mails(stand) == 2


async def test_a_key_means_one_call(stand: Stand) -> None:
    """Another body or another path with it is a mistake, which does nothing."""
    assert (await invite(stand, ADA)).status == 201
    other = await invite(stand, BOB)
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert await mails(stand) == 1
    assert (await invite(stand, BOB, "another")).status == 201


async def test_keys_are_each_tokens_own(stand: Stand) -> None:
    """Nobody is answered what somebody else was."""
    assert (await invite(stand, ADA)).status == 201
    stand.billing.token = await stand.new_token(stand.acme)
    theirs = await invite(stand, BOB)
    assert (theirs.status, theirs.data["email"]) == (201, "bob@acme.test")


async def test_parallel_calls_are_done_once(stand: Stand) -> None:
    """One of them does it; the others are told to wait, or how it went."""
    answers = await asyncio.gather(*(invite(stand, ADA) for _ in range(12)))
    done = [answer for answer in answers if answer.status == 201]
    assert [answer.headers.get("Idempotency-Replayed") for answer in done].count(None) == 1
    assert len({answer.body for answer in done}) == 1
    others = [answer for answer in answers if answer not in done]
    assert {(answer.status, answer.code) for answer in others} <= {(409, "idempotency_key_in_use")}
    assert await mails(stand) == 1


@pytest.mark.parametrize("key", ["x" * 256, "é", "a\tb"])
async def test_what_is_no_key_is_refused(stand: Stand, key: str) -> None:
    """1 to 255 printable ASCII characters, before anything is done."""
    answer = await invite(stand, ADA, key)
    assert (answer.status, answer.code) == (400, "bad_idempotency_key")
    assert await mails(stand) == 0


async def test_the_longest_key_is_a_key(stand: Stand) -> None:
    """Any printable characters will do, in quotes (RFC 8941) or without."""
    assert (await invite(stand, ADA, '"' + "~ " * 126 + '"')).status == 201


async def test_what_was_refused_may_be_mended(stand: Stand) -> None:
    """A call that is at fault has used no key up."""
    assert (await invite(stand, {"email": "nobody"})).status == 422
    assert (await invite(stand, ADA)).status == 201


async def test_what_failed_is_done_the_next_time(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a 503 or a 500 nothing is kept: the same call with the same key is done."""
    for fault, status in ((Unavailable("database_unavailable", "Away."), 503), (RuntimeError("broken"), 500)):

        async def fail(*_: object, fault: Exception = fault, **__: object) -> None:
            raise fault

        with monkeypatch.context() as patched:
            patched.setattr(Invitations, "invite", fail)
            assert (await invite(stand, ADA)).status == status
    answer = await invite(stand, ADA)
    assert (answer.status, "Idempotency-Replayed" in answer.headers) == (201, False)


async def test_an_answer_is_kept_for_a_day(stand: Stand) -> None:
    """Then the key is free, also for another call; and nothing is left of it in the database."""
    await invite(stand, ADA)
    stand.now += KEPT - 1
    assert (await invite(stand, ADA)).headers["Idempotency-Replayed"] == "true"
    assert await stand.idempotency.prune() == 0
    stand.now += 1
    assert (await invite(stand, BOB)).status == 201
    stand.now += KEPT
    assert await stand.idempotency.prune() == 1


async def test_neither_key_nor_body_is_stored(stand: Stand) -> None:
    """Only digests of them, and the answer."""
    await invite(stand, ADA)
    async with stand.database.read() as connection:
        [row] = (await connection.execute(select(idempotency_keys))).all()
    assert KEY not in repr(row)
    assert (len(row.key), len(row.request)) == (64, 64)


async def test_a_claim_whose_worker_died_runs_out(database: Database) -> None:
    """For a minute the call is said to be going on; then one takes it over."""
    now = 1_800_000_000
    idempotency = Idempotency(database, clock=lambda: now)
    wanted = asked("tok_1", KEY, b"POST")
    lost = await idempotency.claim(wanted)
    now += CLAIMED - 1
    with pytest.raises(Refused) as caught:
        await idempotency.claim(wanted)
    assert (caught.value.status, caught.value.code) == (409, "idempotency_key_in_use")
    now += 1
    found = await asyncio.gather(*(idempotency.claim(wanted) for _ in range(5)), return_exceptions=True)
    assert sum(not isinstance(each, Exception) for each in found) == 1
    assert lost not in found


async def test_a_claim_that_ran_out_writes_nothing(database: Database) -> None:
    """Who comes back late neither frees nor answers what another one does now."""
    now = 1_800_000_000
    idempotency = Idempotency(database, clock=lambda: now)
    wanted = asked("tok_1", KEY, b"POST")
    late = await idempotency.claim(wanted)
    assert isinstance(late, Claim)
    now += CLAIMED
    await idempotency.claim(wanted)
    await idempotency.release(late)
    with pytest.raises(Refused):
        await idempotency.claim(wanted)


def test_digests_tell_parts_apart() -> None:
    """No two calls share a digest because what is in them runs together."""
    assert asked("p", "k", b"ab", b"c") != asked("p", "k", b"a", b"bc")
    assert asked("p", "k", b"ab").request != asked("p", "l", b"ab").request
