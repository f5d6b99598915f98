from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from router.errors import BadInput, NotFound
from router.identity.sessions import key_of
from router.storage.schema import changes
from tests.identity.conftest import GOOD

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.identity.user import User
    from router.storage.cache import Cache
    from tests.identity.conftest import Worker


async def _mary(worker: Worker) -> User:
    mary = await worker.users.find_by_email("tnt_1", "mary@acme.test")
    assert mary is not None
    return mary


async def test_user_acts_for_several_customers(worker: Worker) -> None:
    """Customers are listed in order, each once, and one can be taken away again."""
    mary = await _mary(worker)
    for customer in ("C-3", "C-2", "C-3"):
        await worker.users.add_customer(mary.id, customer, actor="test")
    assert (await _mary(worker)).customers == ("C-1001", "C-2", "C-3")
    await worker.users.remove_customer(mary.id, "C-1001", actor="test")
    assert (await _mary(worker)).customers == ("C-2", "C-3")
    assert [user.customers for user in await worker.users.of_tenant("tnt_1")] == [("C-2", "C-3")]


async def test_who_or_what_is_unknown_is_said(worker: Worker) -> None:
    """There is nothing to add to an unknown user, nothing to take where nothing is, no bad reference."""
    mary = await _mary(worker)
    faults = [
        (worker.users.add_customer("usr_none", "C-1", actor="test"), NotFound, "no_such_user"),
        (worker.users.add_customer(mary.id, "C\n1", actor="test"), BadInput, "bad_customer"),
        (worker.users.remove_customer("usr_none", "C-1", actor="test"), NotFound, "no_such_user"),
        (worker.users.remove_customer(mary.id, "C-1", actor="test"), NotFound, "no_such_membership"),
    ]
    for attempt, kind, code in faults:
        with pytest.raises(kind) as caught:
            await attempt
        assert caught.value.code == code


async def test_one_customer_is_chosen_from_the_start(worker: Worker) -> None:
    """Who has one customer acts for it at once; who has several, for none before choosing one."""
    assert (await worker.session()).customer == "C-1001"
    await worker.users.add_customer((await _mary(worker)).id, "C-2", actor="test")
    assert (await worker.session()).customer == ""


async def test_choice_reaches_every_worker(
    cache: Cache, worker: Worker, new_worker: Callable[..., Worker]
) -> None:
    """A chosen customer is known here at once and on other workers by the feed, and can be changed."""
    await worker.users.add_customer((await _mary(worker)).id, "C-2", actor="test")
    token, other = await worker.signed_in(), new_worker(cache)
    session = await worker.sessions.find(token)
    assert session is not None
    assert (await other.sessions.find(token)) == session
    for customer in ("C-2", "C-1001"):
        chosen = await worker.sessions.choose(session, customer)
        assert chosen.customer == customer
        assert await worker.sessions.find(token) == chosen
        await other.caught_up()
        assert await other.sessions.find(token) == chosen


@pytest.mark.parametrize("odd", ["", "\0", "C-1001\0", " C-1001", "\U0001f4a9", "C" * 5_000], ids=len)
async def test_what_is_no_reference_and_no_name_of_a_session_is_nobodys(worker: Worker, odd: str) -> None:
    """A form may hold any text, also one that a database has none for: refused, or nothing is ended."""
    session = await worker.session()
    with pytest.raises(BadInput) as caught:
        await worker.sessions.choose(session, odd)
    assert caught.value.code == "not_your_customer"
    with pytest.raises(NotFound):
        await worker.sessions.revoke_id(session.user_id, odd)
    assert len(await worker.sessions.of_user(session.user_id)) == 1


async def test_only_an_own_customer_can_be_chosen(worker: Worker) -> None:
    """Another's customer is refused and the choice there was stays; an ended session chooses nothing."""
    await worker.users.add("tnt_1", "joe@acme.test", "C-2", GOOD, actor="test")
    token = await worker.signed_in()
    session = await worker.sessions.find(token)
    assert session is not None
    with pytest.raises(BadInput) as caught:
        await worker.sessions.choose(session, "C-2")
    assert caught.value.code == "not_your_customer"
    assert await worker.sessions.find(token) == session
    await worker.sessions.revoke(session.key)
    with pytest.raises(BadInput):
        await worker.sessions.choose(session, "C-1001")


async def test_removed_customer_is_nobodys_choice(worker: Worker) -> None:
    """Sessions that acted for a customer act for none once the user may not; those of others go on."""
    mary = await _mary(worker)
    await worker.users.add_customer(mary.id, "C-2", actor="test")
    tokens = [await worker.signed_in(), await worker.signed_in()]
    for token, customer in zip(tokens, ("C-1001", "C-2"), strict=True):
        session = await worker.sessions.find(token)
        assert session is not None
        await worker.sessions.choose(session, customer)
    await worker.users.remove_customer(mary.id, "C-1001", actor="test")
    await worker.caught_up()
    found = [await worker.sessions.find(token) for token in tokens]
    assert [session and session.customer for session in found] == ["", "C-2"]
    async with worker.database.read() as connection:
        told = await connection.scalars(select(changes.c.key).where(changes.c.kind == "session"))
        assert list(told)[-1] == key_of(tokens[0])


async def test_session_chosen_while_the_customer_is_taken_away_acts_for_none(worker: Worker) -> None:
    """Whatever a session's row says, it acts for no customer that its user does not have."""
    mary = await _mary(worker)
    await worker.users.remove_customer(mary.id, "C-1001", actor="test")
    token, _ = await worker.sessions.start(  # with what was read of mary before
        "tnt_1", mary, address="192.0.2.7", user_agent="-", now=worker.clock()
    )
    session = await worker.sessions.find(token)
    assert session is not None
    assert session.customer == ""


async def test_remembered_session_is_not_ended_by_idleness(worker: Worker) -> None:
    """Remembered, a session lasts to its absolute end unused, and not longer; others do not."""
    tokens = [
        await worker.sign_in.attempt("tnt_1", "mary@acme.test", GOOD, "192.0.2.7", "-", remember=remember)
        for remember in (True, False)
    ]
    remembered, other = [await worker.sessions.find(str(token)) for token in tokens]
    assert remembered is not None
    assert other is not None
    assert (remembered.remembered, other.remembered) == (True, False)
    assert remembered.expires_at == other.expires_at
    worker.clock.now = remembered.expires_at - 1
    assert await worker.sessions.find(str(tokens[0])) is not None
    assert await worker.sessions.find(str(tokens[1])) is None
    worker.clock.now += 1
    assert await worker.sessions.find(str(tokens[0])) is None


async def test_listed_session_says_where_and_when(worker: Worker) -> None:
    """The list has what its owner recognises a session by, and nothing that opens it."""
    token = await worker.signed_in()
    session = await worker.sessions.find(token)
    assert session is not None
    [record] = await worker.sessions.of_user(session.user_id)
    assert (record.id, record.customer, record.remembered) == (session.id, "C-1001", False)
    assert (record.address, record.user_agent) == ("192.0.2.7", "a browser")
    assert (record.signed_in_at, record.seen_at) == (session.signed_in_at, session.seen_at)
    assert token not in repr(record)
    assert session.key not in repr(record)


async def test_one_session_or_all_others_can_be_ended(worker: Worker) -> None:
    """A user ends a session of theirs by its name, or all but one; another user's cannot be named."""
    await worker.users.add("tnt_1", "joe@acme.test", "C-2", GOOD, actor="test")
    mine = [await worker.session() for _ in range(3)]
    joes = await worker.session("joe@acme.test")
    with pytest.raises(NotFound) as caught:
        await worker.sessions.revoke_id(joes.user_id, mine[0].id)
    assert caught.value.code == "no_such_session"
    assert len(await worker.sessions.of_user(mine[0].user_id)) == 3
    await worker.sessions.revoke_id(mine[0].user_id, mine[0].id)
    assert {record.id for record in await worker.sessions.of_user(mine[0].user_id)} == {
        session.id for session in mine[1:]
    }
    await worker.sessions.revoke_others(mine[0].user_id, keep=mine[2].key)
    assert [record.id for record in await worker.sessions.of_user(mine[0].user_id)] == [mine[2].id]
    assert len(await worker.sessions.of_user(joes.user_id)) == 1
