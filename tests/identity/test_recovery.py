from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from router.errors import BadInput, Conflict, NotFound, Unavailable
from router.identity.links import LIVES, Link
from router.identity.sign_in import WRONG, Refused
from router.identity.user import User
from tests.identity.conftest import ADDRESS, GOOD
from tests.storage.statements import statements

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.clock import Clock
    from tests.identity.conftest import Worker
    from tests.outages import Outage

MARY = "mary@acme.test"
NEW = "another-good-one-77"


async def _forgot(worker: Worker, email: str = MARY, *, address: str = ADDRESS) -> Refused | None:
    return await worker.recovery.forgot("tnt_1", email, "en", address)


async def _token(worker: Worker) -> str:
    assert await _forgot(worker) is None
    return (await worker.mail("reset")).token


async def _reset(worker: Worker, token: str, password: str = NEW, *, tenant: str = "tnt_1") -> User:
    return await worker.recovery.reset(tenant, token, password, language="en", address=ADDRESS)


async def test_who_forgot_sets_another_password(worker: Worker, clock: Clock) -> None:
    """The mail's link sets another password: it signs in, the former one does not, and a mail says so."""
    token = await _token(worker)
    mail = await worker.mail("reset")
    assert (mail.recipient, mail.facts["expires_at"]) == (MARY, clock() + LIVES["reset"])
    assert isinstance(await worker.recovery.look("tnt_1", token), Link)
    await _reset(worker, token)
    assert await worker.attempt(MARY) == WRONG
    assert isinstance(await worker.attempt(MARY, NEW), str)
    told = await worker.mail("password-changed")
    assert (told.recipient, told.facts) == (MARY, {"at": int(clock()), "address": ADDRESS})
    assert await worker.audited() == ["user.add", "user.reset"]


async def test_reset_ends_every_session(worker: Worker, new_worker: Callable[..., Worker]) -> None:
    """Whoever was signed in is not, on every worker."""
    tokens, other = [await worker.signed_in(), await worker.signed_in()], new_worker()
    for token in tokens:
        assert await other.sessions.find(token) is not None
    await _reset(worker, await _token(worker))
    for each in (worker, other):
        await each.caught_up()
        assert [await each.sessions.find(token) for token in tokens] == [None, None]


async def test_reset_link_is_good_once(worker: Worker) -> None:
    """A second use is told that the link was used, and changes nothing."""
    token = await _token(worker)
    await _reset(worker, token)
    with pytest.raises(Conflict) as caught:
        await _reset(worker, token, "yet-another-good-88")
    assert caught.value.code == "link_used"
    assert isinstance(await worker.attempt(MARY, NEW), str)


async def test_of_parallel_resets_one_wins(worker: Worker) -> None:
    """Of five at once one sets its password, and the account has that one."""
    token = await _token(worker)
    outcomes = await asyncio.gather(
        *(_reset(worker, token, f"{NEW}-{turn}") for turn in range(5)), return_exceptions=True
    )
    [winner] = [turn for turn, outcome in enumerate(outcomes) if isinstance(outcome, User)]
    assert isinstance(await worker.attempt(MARY, f"{NEW}-{winner}"), str)


async def test_newer_reset_voids_the_older(worker: Worker, clock: Clock) -> None:
    """Of two mails, the latest one's link is good."""
    first = await _token(worker)
    clock.now += 1
    second = await _token(worker)
    with pytest.raises(Conflict) as caught:
        await _reset(worker, first)
    assert caught.value.code == "link_voided"
    await _reset(worker, second)


async def test_reset_expires_after_an_hour(worker: Worker, clock: Clock) -> None:
    """An hour later the link says that it expired."""
    token = await _token(worker)
    clock.now += 3600
    with pytest.raises(Conflict) as caught:
        await _reset(worker, token)
    assert caught.value.code == "link_expired"


async def test_reset_is_bound_to_the_tenant(
    worker: Worker, add_tenant: Callable[[str], Awaitable[None]]
) -> None:
    """At another tenant's hostname the link was never there."""
    await add_tenant("tnt_2")
    await worker.users.add("tnt_2", MARY, "C-1", GOOD, actor="test")
    token = await _token(worker)
    assert await worker.recovery.look("tnt_2", token) == "unknown"
    with pytest.raises(NotFound):
        await _reset(worker, token, tenant="tnt_2")
    await _reset(worker, token)


async def test_changed_password_voids_the_link(worker: Worker) -> None:
    """A link that was sent for the former password opens nothing once there is another one."""
    token = await _token(worker)
    session = await worker.session()
    changed = await worker.account.change_password(session, GOOD, NEW, language="en", address=ADDRESS)
    assert isinstance(changed, str)
    assert await worker.recovery.look("tnt_1", token) == "voided"


@pytest.mark.parametrize("password", ["short", "password1", "x" * 1_000_000, "my blue fjord"])
async def test_refused_password_leaves_the_link_good(worker: Worker, password: str) -> None:
    """A bad password is refused before anything is hashed, and the link is good for a better one."""
    token = await _token(worker)
    with pytest.raises(BadInput):
        await _reset(worker, token, password)
    await _reset(worker, token)


async def test_decomposed_password_is_the_same_password(worker: Worker) -> None:
    """A password set in one Unicode form is right in the other (NFC; ASVS 6.2.8), and case is kept."""
    await _reset(worker, await _token(worker), "Zoe\u0308-et-les-cafe\u0301s")
    assert isinstance(await worker.attempt(MARY, "Zo\u00eb-et-les-caf\u00e9s"), str)
    assert await worker.attempt(MARY, "zo\u00eb-et-les-caf\u00e9s") == WRONG


async def test_disabled_user_gets_no_link_and_uses_none(worker: Worker, clock: Clock) -> None:
    """A disabled user is not written to, and a link from before does not let them in."""
    token = await _token(worker)
    mary = (await worker.users.of_tenant("tnt_1"))[0]
    await worker.users.disable(mary.id, actor="test")
    with pytest.raises(Conflict) as caught:
        await _reset(worker, token)
    assert caught.value.code == "user_disabled"
    clock.now += 1
    assert await _forgot(worker) is None
    assert len(await worker.mails()) == 1


async def test_unknown_address_is_not_written_to(worker: Worker) -> None:
    """Nothing is sent to an address that is nobody's, and the answer is the same."""
    assert await _forgot(worker, "nobody@acme.test") is None
    assert await worker.mails() == []


async def test_the_answer_costs_the_same_whoever_is_known(worker: Worker) -> None:
    """Before the answer, the same statements are made and nothing is hashed, for known, unknown, disabled."""
    disabled = await worker.users.add("tnt_1", "joe@acme.test", "C-2", GOOD, actor="test")
    await worker.users.disable(disabled.id, actor="test")
    made = []
    for email in (MARY, "nobody@acme.test", "joe@acme.test"):
        with statements(worker.database) as seen:
            assert await _forgot(worker, email) is None
            made.append(
                [statement for statement in seen if "FROM tenants" in statement or "users" in statement]
            )
        await worker.errands.settled()
    assert made[0] == made[1] == made[2]
    assert len(made[0]) == 1
    assert worker.passwords.verified == []


async def test_strangers_asking_is_bounded_and_the_owner_is_not_locked_out(worker: Worker) -> None:
    """A hundred asks from as many networks send three mails; the owner's own network still gets one."""
    await worker.signed_in()
    for turn in range(100):
        assert await _forgot(worker, address=f"203.0.113.{turn}") is None
        await worker.errands.settled()
    assert len(await worker.mails()) == 3
    assert await _forgot(worker) is None
    assert len(await worker.mails()) == 4


@pytest.mark.parametrize("strangers", [0, 3, 100], ids=["nobody asked", "some asked", "many asked"])
@pytest.mark.parametrize("forgotten", [False, True], ids=["cache", "database"])
async def test_known_and_unknown_addresses_are_throttled_alike(
    worker: Worker,
    strangers: int,
    forgotten: bool,  # noqa: FBT001 - a table
) -> None:
    """How often one may ask tells nothing of an address, nor of from where its owner signs in."""
    joe = await worker.users.add("tnt_1", "joe@acme.test", "C-2", GOOD, actor="test")
    await worker.users.disable(joe.id, actor="test")
    if forgotten:
        mary = next(user for user in await worker.users.of_tenant("tnt_1") if user.email == MARY)
        await worker.sessions.start("tnt_1", mary, address=ADDRESS, user_agent="", now=worker.clock())
    else:
        await worker.signed_in()
    made = {}
    for email in (MARY, "nobody@acme.test", "joe@acme.test"):
        for turn in range(strangers):
            await _forgot(worker, email, address=f"198.51.100.{turn}")
            await worker.errands.settled()
        made[email] = await _asked_six_times(worker, email)
    assert made[MARY] == made["nobody@acme.test"] == made["joe@acme.test"]
    answers = [answer for answer, _ in made[MARY]]
    assert answers[:4] == [None] * 4
    assert answers[4] == answers[5]
    assert answers[4] is not None
    assert len(await worker.mails()) == (3 + 2 if strangers else 4)  # five an hour are all that anyone gets


async def _asked_six_times(worker: Worker, email: str) -> list[tuple[Refused | None, int]]:
    """Ask from the owner's own network: what was answered, and how many statements that took."""
    made = []
    for _ in range(6):
        with statements(worker.database) as seen:
            answer = await _forgot(worker, email)
        told = answer and replace(answer, sentence="", retry_after=None)  # windows are staggered by account
        made.append((told, sum("FROM tenants" in each or "users" in each for each in seen)))
        await worker.errands.settled()
    return made


async def test_one_network_asks_for_many_addresses_so_often(worker: Worker) -> None:
    """Spraying addresses from one network ends after fifty."""
    answers = []
    for turn in range(60):
        answers.append(await _forgot(worker, f"m{turn}@acme.test"))
        await worker.errands.settled()
    assert sum(answer is None for answer in answers) == 50


async def test_bad_address_is_said(worker: Worker) -> None:
    """What is no e-mail address is refused with a code, line ends included."""
    for raw in ("mary", "a@x@y.test", "mary@acme.test\r\nBcc: all@acme.test", "m\u0430ry@acme.test"):
        with pytest.raises(BadInput) as caught:
            await _forgot(worker, raw)
        assert caught.value.code == "bad_email"


async def test_reset_makes_the_place_known(worker: Worker) -> None:
    """After a reset its owner signs in from there, although strangers have used the account's budget up."""
    for turn in range(110):
        await worker.attempt(MARY, "wrong-one", address=f"203.0.113.{turn}")
    assert isinstance(await worker.attempt(MARY), Refused)
    await _reset(worker, await _token(worker))
    assert isinstance(await worker.attempt(MARY, NEW), str)


async def test_outage_is_not_answered_with_a_promise(worker: Worker, outage: Outage) -> None:
    """With the database away nobody is told that a mail is on its way."""
    await worker.caught_up()
    async with outage():
        with pytest.raises(Unavailable):
            await _forgot(worker)
