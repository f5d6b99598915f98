from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update

from router.errors import Conflict, Unavailable
from router.identity.session import Session
from router.identity.sessions import key_of
from router.storage.lookup import PENDING
from router.storage.schema import sessions, users
from tests.identity.conftest import GOOD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from router.storage.cache import Cache
    from tests.clock import Clock
    from tests.identity.conftest import Worker
    from tests.outages import Outage


async def _found(worker: Worker, token: str) -> Session:
    session = await worker.sessions.find(token)
    assert session is not None
    return session


async def _stored_seen_at(worker: Worker, session: Session) -> int:
    async with worker.database.read() as connection:
        return int(
            await connection.scalar(select(sessions.c.seen_at).where(sessions.c.key == session.key)) or 0
        )


async def test_token_is_long_random_and_stored_nowhere(worker: Worker) -> None:
    """A token has 256 bits in 43 characters; the database holds its SHA-256, which opens nothing."""
    tokens = {await worker.signed_in() for _ in range(5)}
    assert len(tokens) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
    async with worker.database.read() as connection:
        rows = (await connection.execute(select(sessions))).all()
    assert {row.key for row in rows} == {key_of(token) for token in tokens}
    assert not any(token in str(rows) for token in tokens)
    assert not tokens & {row.id for row in rows}


async def test_session_is_pending_then_in_memory(worker: Worker) -> None:
    """Memory does not know a session that nobody asked for; once found, it answers by itself."""
    token = await worker.signed_in()
    assert worker.sessions.peek(token) is PENDING
    session = await _found(worker, token)
    assert worker.sessions.peek(token) == session


async def test_unknown_token_is_remembered_as_absent(worker: Worker) -> None:
    """A well-formed token of no session is None, and known to be so afterwards."""
    token = "A" * 43
    assert worker.sessions.peek(token) is PENDING
    assert await worker.sessions.find(token) is None
    assert worker.sessions.peek(token) is None


async def test_a_flood_of_made_up_tokens_has_an_end(worker: Worker) -> None:
    """One client's tokens beyond those that may wait are turned away; another's session is found."""
    token = await worker.signed_in()
    async with asyncio.TaskGroup() as group:
        flood = [group.create_task(_tried(worker, f"{number:043}")) for number in range(1_000)]
        await asyncio.sleep(0)
        assert await worker.sessions.find(token, "192.0.2.2") is not None
    assert {each.result() for each in flood} == {"nobody", "busy"}
    assert await _tried(worker, "A" * 43) == "nobody"


async def _tried(worker: Worker, token: str) -> str:
    try:
        return "nobody" if await worker.sessions.find(token, "192.0.2.1") is None else "a session"
    except Unavailable as fault:
        return fault.code


@pytest.mark.parametrize("token", ["", "x", "A" * 42, "A" * 44, "A" * 4096, "\0" * 10, "é" * 5])
async def test_what_cannot_be_a_token_is_no_session(worker: Worker, token: str) -> None:
    """A malformed cookie is absent without anything being asked."""
    assert worker.sessions.peek(token) is None
    assert await worker.sessions.find(token) is None


@pytest.mark.parametrize("token", ["\0" * 43, "é" * 43, "\ud800" * 43, "../" * 14 + "."])
async def test_odd_characters_are_no_session(worker: Worker, token: str) -> None:
    """Forty-three characters of anything are looked up as what they are, and found nowhere."""
    assert await worker.sessions.find(token) is None


async def test_start_keeps_what_will_be_listed(worker: Worker) -> None:
    """Where a session was started is kept, within bounds and without control characters."""
    mary = (await worker.users.of_tenant("tnt_1"))[0]
    browser = "Browser\r\n\x1b[2J" + "x" * 500
    await worker.sessions.start("tnt_1", mary, address="2001:db8::1", user_agent=browser, now=worker.clock())
    async with worker.database.read() as connection:
        row = (await connection.execute(select(sessions))).one()
    assert row.address == "2001:db8::1"
    assert row.user_agent == ("Browser???[2J" + "x" * 500)[:200]
    assert await worker.sessions.addresses("tnt_1", "mary@acme.test") == ["2001:db8::1"]
    assert await worker.sessions.addresses("tnt_2", "mary@acme.test") == []


async def test_user_of_another_tenant_gets_no_session(worker: Worker) -> None:
    """A user can be signed in at their own tenant's portal alone."""
    mary = (await worker.users.of_tenant("tnt_1"))[0]
    with pytest.raises(Conflict):
        await worker.sessions.start("tnt_2", mary, address="-", user_agent="-", now=worker.clock())


@pytest.mark.parametrize("reason", ["sign-out", "user", "tenant", "disabled", "password"])
async def test_revocation_reaches_every_worker(
    cache: Cache, worker: Worker, new_worker: Callable[..., Worker], reason: str
) -> None:
    """However a session ends, every worker forgets it by the change feed, whatever a cache still holds."""
    token = await worker.signed_in()
    others = [new_worker(cache), new_worker(cache), new_worker()]
    for other in [worker, *others]:
        assert (await _found(other, token)).email == "mary@acme.test"
    session = await _found(worker, token)
    match reason:
        case "sign-out":
            await worker.sessions.revoke(session.key)
        case "user":
            await worker.sessions.revoke_user(session.user_id)
        case "tenant":
            await worker.sessions.revoke_tenant("tnt_1")
        case "disabled":
            await worker.users.disable(session.user_id, actor="test")
        case "password":
            await worker.users.set_password(session.user_id, "another-good-one-77", actor="test")
    for other in [worker, *others]:
        await other.caught_up()
        assert other.sessions.peek(token) in (None, PENDING)
        assert await other.sessions.find(token) is None


async def test_revocation_is_immediate_where_it_was_asked_for(
    cache: Cache, new_worker: Callable[..., Worker]
) -> None:
    """The worker that signs somebody out does not wait for the feed, even with a copy in the cache."""
    worker = new_worker(cache)
    await worker.users.add("tnt_1", "mary@acme.test", "C-1001", GOOD, actor="test")
    token = await worker.signed_in()
    session = await _found(worker, token)
    await worker.sessions.revoke(session.key)
    assert await worker.sessions.find(token) is None


async def test_revocation_spares_the_others(
    worker: Worker, add_tenant: Callable[[str], Awaitable[None]]
) -> None:
    """Ending a user's, or a tenant's, sessions leaves those of everybody else."""
    await add_tenant("tnt_2")
    for tenant, email in (("tnt_1", "joe@acme.test"), ("tnt_2", "mary@acme.test")):
        await worker.users.add(tenant, email, "C-2", GOOD, actor="test")
    tokens = [await worker.signed_in(), await worker.signed_in("joe@acme.test")]
    elsewhere = await worker.sign_in.attempt("tnt_2", "mary@acme.test", GOOD, "192.0.2.1", "-")
    assert isinstance(elsewhere, str)
    await worker.sessions.revoke_user((await _found(worker, tokens[0])).user_id)
    assert await worker.sessions.find(tokens[0]) is None
    await _found(worker, tokens[1])
    await worker.sessions.revoke_tenant("tnt_1")
    assert await worker.sessions.find(tokens[1]) is None
    await _found(worker, elsewhere)


async def test_revoking_nothing_is_no_fault(worker: Worker) -> None:
    """A session that ended already can be ended again."""
    await worker.sessions.revoke(key_of("A" * 43))
    await worker.sessions.revoke_user("usr_none")


async def test_disabled_user_has_no_session_even_in_the_database(worker: Worker) -> None:
    """A session row that a disabling overlooked is not found."""
    token = await worker.signed_in()
    async with worker.database.write() as connection:
        await connection.execute(update(users).values(disabled=True))
    assert await worker.sessions.find(token) is None
    mary = (await worker.users.of_tenant("tnt_1"))[0]
    assert await worker.sessions.of_user(mary.id) == []


async def test_session_ends_by_idleness(worker: Worker, clock: Clock) -> None:
    """A session that nobody used for its idle life is not found, in memory or afresh, and not listed."""
    token = await worker.signed_in()
    session = await _found(worker, token)
    clock.now += session.idle_life
    assert worker.sessions.peek(token) is PENDING
    assert await worker.sessions.find(token) is None
    assert worker.sessions.peek(token) in (None, PENDING)
    assert await worker.sessions.of_user(session.user_id) == []


async def test_session_ends_absolutely(new_worker: Callable[..., Worker], clock: Clock) -> None:
    """A session that is used all the time ends at the end of its life."""
    worker = new_worker(idle=600, life=3600)
    await worker.users.add("tnt_1", "mary@acme.test", "C-1001", GOOD, actor="test")
    token = await worker.signed_in()
    for _ in range(11):
        clock.now += 300
        worker.sessions.touch(await _found(worker, token), clock())
        await worker.sessions.flush()
    clock.now += 300
    assert worker.sessions.peek(token) is PENDING
    assert await worker.sessions.find(token) is None


async def test_use_is_written_at_most_once_a_minute(worker: Worker, clock: Clock) -> None:
    """Many touches within a minute are one write, with the time of the first one due."""
    session = await _found(worker, await worker.signed_in())
    begun = session.seen_at
    for seconds in range(100):
        worker.sessions.touch(session, begun + seconds)
    await worker.sessions.flush()
    assert await _stored_seen_at(worker, session) == begun + 60
    for seconds in range(100, 120):
        worker.sessions.touch(session, begun + seconds)
    await worker.sessions.flush()
    assert await _stored_seen_at(worker, session) == begun + 60


async def test_use_seen_by_another_worker_counts(
    cache: Cache, worker: Worker, new_worker: Callable[..., Worker], clock: Clock
) -> None:
    """A session that looks idle to one worker is read again, for another may have seen it used."""
    token = await worker.signed_in()
    other, third = new_worker(cache), new_worker(cache)
    session = await _found(other, token)
    await _found(third, token)
    clock.now += session.idle_life - 10
    worker.sessions.touch(session, clock())
    await worker.sessions.flush()
    clock.now += 20
    for here in (other, third):
        assert here.sessions.peek(token) is PENDING
        found = await _found(here, token)
        assert found.admits("tnt_1", clock())
        assert here.sessions.peek(token) == found


async def test_use_that_is_not_written_yet_counts_here(worker: Worker, clock: Clock) -> None:
    """The worker that saw a session used admits it before the use is written down."""
    token = await worker.signed_in()
    session = await _found(worker, token)
    clock.now += session.idle_life - 10
    worker.sessions.touch(session, clock())
    clock.now += 20
    found = worker.sessions.peek(token)
    assert isinstance(found, Session)
    assert found.admits("tnt_1", clock())


async def test_short_idle_life_is_kept_alive_by_use(new_worker: Callable[..., Worker], clock: Clock) -> None:
    """With an idle life of a minute, a session used every half minute goes on."""
    worker = new_worker(idle=60)
    await worker.users.add("tnt_1", "mary@acme.test", "C-1001", GOOD, actor="test")
    token = await worker.signed_in()
    for _ in range(10):
        worker.sessions.touch(await _found(worker, token), clock())
        clock.now += 30


async def test_run_writes_uses_and_sweeps(worker: Worker, clock: Clock) -> None:
    """The background task removes the rows of ended sessions, and writes the last uses when cancelled."""
    ended = await worker.signed_in()
    clock.now += 43_200
    session = await _found(worker, await worker.signed_in())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(worker.sessions.run())
        while await _count(worker) > 1:  # noqa: ASYNC110 - a database has no event to wait for
            await asyncio.sleep(0)
        worker.sessions.touch(session, clock.now + 70)
        running.cancel()
    assert await _stored_seen_at(worker, session) == int(clock.now) + 70
    assert await worker.sessions.find(ended) is None


async def _count(worker: Worker) -> int:
    async with worker.database.read() as connection:
        return int(await connection.scalar(select(func.count()).select_from(sessions)) or 0)


async def test_outage_of_the_database_keeps_sessions_in_memory(
    new_worker: Callable[..., Worker], clock: Clock, outage: Outage
) -> None:
    """With the database away, who is known goes on, who is not is unavailable, and no use is lost."""
    worker = new_worker()
    await worker.users.add("tnt_1", "mary@acme.test", "C-1001", GOOD, actor="test")
    token, unseen = await worker.signed_in(), await worker.signed_in()
    session = await _found(worker, token)
    worker.sessions.touch(session, clock() + 90)
    async with outage():
        worker.sessions._lookup.clear()  # noqa: SLF001 - as after a minute: what is in memory is no longer fresh
        assert worker.sessions.peek(token) is PENDING
        assert await worker.sessions.find(token) == session
        with pytest.raises(Unavailable):
            await worker.sessions.find(unseen)
        with pytest.raises(Unavailable):
            await worker.sessions.flush()
    await worker.sessions.flush()
    assert await _stored_seen_at(worker, session) == int(clock()) + 90
    await _found(worker, unseen)


async def test_list_has_a_users_living_sessions(worker: Worker, clock: Clock) -> None:
    """A user's sessions are listed, the one used last first."""
    first = await _found(worker, await worker.signed_in())
    clock.now += 100
    second = await _found(worker, await worker.signed_in())
    assert [session.id for session in await worker.sessions.of_user(first.user_id)] == [second.id, first.id]
