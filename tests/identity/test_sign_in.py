from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from router.identity.passwords import Passwords
from router.identity.sign_in import WRONG, Refused
from router.identity.throttle import ACCOUNT, NETWORK, PAIR, Allowed
from router.identity.throttling import Throttle
from tests.identity.conftest import ADDRESS, GOOD

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.storage.cache import Cache
    from tests.clock import Clock
    from tests.identity.conftest import Worker


def _throttled(answer: object) -> bool:
    return isinstance(answer, Refused) and answer.code == "too_many_attempts"


async def test_right_password_starts_a_session(worker: Worker) -> None:
    """The right address, in any case, and password give a token, and the token a session of that user."""
    token = await worker.signed_in("MARY@acme.test")
    session = await worker.sessions.find(token)
    assert session is not None
    assert (session.tenant_id, session.email, session.customer) == ("tnt_1", "mary@acme.test", "C-1001")


@pytest.mark.parametrize("case", ["unknown", "known", "disabled", "no address", "other tenant"])
async def test_refusals_are_alike_and_cost_alike(worker: Worker, case: str) -> None:
    """Whoever is refused gets the same answer after exactly one verification, whatever the reason."""
    mary = (await worker.users.of_tenant("tnt_1"))[0]
    email, password, tenant = "mary@acme.test", "wrong-anvil-93", "tnt_1"
    match case:
        case "unknown":
            email = "joe@acme.test"
        case "disabled":
            await worker.users.disable(mary.id, actor="test")
            password = GOOD
        case "no address":
            email = "not an address"
        case "other tenant":
            tenant, password = "tnt_2", GOOD
    answer = await worker.sign_in.attempt(tenant, email, password, ADDRESS, "a browser")
    assert answer == WRONG
    assert worker.passwords.verified == [mary.password_hash if case == "known" else None]


async def test_overlong_password_gets_the_same_answer(worker: Worker) -> None:
    """A megabyte of password is refused as any wrong one is."""
    assert await worker.attempt("mary@acme.test", "x" * 1_000_000) == WRONG
    assert await worker.attempt("joe@acme.test", "x" * 1_000_000) == WRONG


async def test_session_fixation_is_impossible(worker: Worker) -> None:
    """Each sign-in makes a token of its own, and the one that the browser came with is dead afterwards."""
    first = await worker.signed_in()
    second = await worker.sign_in.attempt(
        "tnt_1", "mary@acme.test", GOOD, ADDRESS, "a browser", previous=first
    )
    assert isinstance(second, str)
    assert second != first
    assert await worker.sessions.find(first) is None
    assert await worker.sessions.find(second) is not None


async def test_failed_attempt_leaves_the_present_session_alone(worker: Worker) -> None:
    """A wrong password does not sign anybody out."""
    token = await worker.signed_in()
    answer = await worker.sign_in.attempt(
        "tnt_1", "mary@acme.test", "wrong-anvil-93", ADDRESS, "a browser", previous=token
    )
    assert answer == WRONG
    assert await worker.sessions.find(token) is not None


async def test_user_disabled_during_verification_is_kept_out(worker: Worker) -> None:
    """A user who is disabled, or given another password, between verification and session gets none."""
    mary = (await worker.users.of_tenant("tnt_1"))[0]

    class Interrupted(Passwords):
        async def verify(self, stored: str | None, text: str) -> bool:
            right = await super().verify(stored, text)
            await worker.users.set_password(mary.id, "another-good-one-77", actor="test")
            return right

    slow = Interrupted(memory_kib=1024, passes=1)
    sign_in = worker.signing_in_with(slow)
    assert await sign_in.attempt("tnt_1", "mary@acme.test", GOOD, ADDRESS, "a browser") == WRONG
    assert await worker.sessions.of_user(mary.id) == []
    slow.close()


async def test_hash_is_renewed_at_sign_in(worker: Worker) -> None:
    """After the parameters changed, a sign-in keeps the password and renews its hash, ending no session."""
    before = (await worker.users.of_tenant("tnt_1"))[0]
    stronger = Passwords(memory_kib=2048, passes=1)
    sign_in = worker.signing_in_with(stronger)
    token = await sign_in.attempt("tnt_1", "mary@acme.test", GOOD, ADDRESS, "a browser")
    after = (await worker.users.of_tenant("tnt_1"))[0]
    assert after.password_hash != before.password_hash
    assert not stronger.outdated(after.password_hash)
    assert isinstance(token, str)
    assert await worker.sessions.find(token) is not None
    assert isinstance(await sign_in.attempt("tnt_1", "mary@acme.test", GOOD, ADDRESS, "-"), str)
    stronger.close()


async def test_parallel_burst_is_counted_once_each(new_worker: Callable[..., Worker], cache: Cache) -> None:
    """Of fifty attempts at once, exactly the budget is verified and every other one is told to wait."""
    worker = new_worker(cache)
    answers = await asyncio.gather(*(worker.attempt("joe@acme.test", f"guess-{n}-anvil") for n in range(50)))
    assert len(worker.passwords.verified) == PAIR.limit
    assert sum(map(_throttled, answers)) == 50 - PAIR.limit
    waits = [answer.retry_after for answer in answers if isinstance(answer, Refused) and _throttled(answer)]
    assert all(wait is not None and 1 <= wait <= PAIR.window for wait in waits)


async def test_throttling_is_the_same_for_who_does_not_exist(worker: Worker) -> None:
    """A known and an unknown account are told to wait after the same number of attempts."""
    for email in ("mary@acme.test", "joe@acme.test"):
        answers = [await worker.attempt(email, "wrong-anvil-93") for _ in range(PAIR.limit + 1)]
        assert [_throttled(answer) for answer in answers] == [False] * PAIR.limit + [True]


async def test_success_gives_the_short_budget_back(worker: Worker) -> None:
    """Somebody who signs in often is never told to wait."""
    for _ in range(PAIR.limit * 2):
        await worker.signed_in()


async def test_waiting_as_told_helps(worker: Worker, clock: Clock) -> None:
    """After the seconds that the refusal names, the right password is let in."""
    for _ in range(PAIR.limit):
        await worker.attempt("mary@acme.test", "wrong-anvil-93")
    refused = await worker.attempt("mary@acme.test")
    assert isinstance(refused, Refused)
    assert refused.retry_after is not None
    clock.now += refused.retry_after
    await worker.signed_in()


async def test_thousand_failures_from_everywhere_lock_nobody_out(worker: Worker) -> None:
    """Strangers get 100 attempts a day on an account between them; the owner's known address stays free."""
    await worker.signed_in()
    answers = [
        await worker.attempt("mary@acme.test", "wrong-anvil-93", address=f"198.51.{n // 250}.{n % 250}")
        for n in range(1000)
    ]
    granted = ACCOUNT.limit - 1  # the owner's first sign-in was counted too: nobody was known before it
    assert answers.count(WRONG) == granted
    assert sum(map(_throttled, answers)) == 1000 - granted
    await worker.signed_in()


async def test_one_stranger_spends_only_a_little(worker: Worker) -> None:
    """A thousand attempts from one address leave the account open to everybody else's right password."""
    for _ in range(200):
        await worker.attempt("mary@acme.test", "wrong-anvil-93", address="198.51.100.1")
    assert isinstance(await worker.attempt("mary@acme.test", address="203.0.113.9"), str)


async def test_known_place_is_known_without_the_cache(
    worker: Worker, new_worker: Callable[..., Worker]
) -> None:
    """After the cache was flushed, or on another worker, a place with a session is known all the same."""
    await worker.signed_in()
    forgetful = new_worker()
    for n in range(ACCOUNT.limit):
        await forgetful.attempt("mary@acme.test", "wrong-anvil-93", address=f"198.51.100.{n}")
    assert _throttled(await forgetful.attempt("mary@acme.test", address="203.0.113.9"))
    await forgetful.signed_in()


async def test_spraying_from_one_network_is_stopped(worker: Worker) -> None:
    """One network gets so many attempts, however many accounts it tries and addresses of its /64 it uses."""
    answers = [
        await worker.attempt(f"user{n}@acme.test", "wrong-anvil-93", address=f"2001:db8::{n:x}")
        for n in range(NETWORK.limit + 20)
    ]
    assert answers.count(WRONG) == NETWORK.limit
    assert all(map(_throttled, answers[NETWORK.limit :]))


async def test_processes_that_count_for_themselves_share_the_budget(worker: Worker, cache: Cache) -> None:
    """Without Redis, each of four workers grants a quarter of what strangers may try on an account."""
    throttle = Throttle(cache, worker.sessions.addresses, counters=4)
    now = worker.clock()
    verdicts = [await throttle.spend("tnt_1", "joe@acme.test", f"198.51.100.{n}", now) for n in range(100)]
    assert verdicts.count(Allowed()) == ACCOUNT.limit // 4


async def test_counters_of_two_tenants_are_apart(worker: Worker) -> None:
    """Failures at one tenant's portal do not slow the same address down at another's."""
    for _ in range(PAIR.limit + 1):
        await worker.attempt("mary@acme.test", "wrong-anvil-93")
    answer = await worker.sign_in.attempt("tnt_2", "mary@acme.test", GOOD, ADDRESS, "a browser")
    assert answer == WRONG
