"""How operators sign in: one effort and one answer, budgets, and sessions that end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from router.console.operator_sessions import IDLE, LIFE
from router.errors import BadInput, NotFound
from router.identity.passwords import Passwords
from router.identity.sign_in import WRONG, Refused
from router.identity.throttle import ACCOUNT, PAIR
from router.storage.schema import operator_sessions
from tests.console.page_browser import PASSWORD
from tests.console.test_operators import add, session_of

if TYPE_CHECKING:
    from router.console.operator_sign_in import OperatorSignIn
    from tests.console.stand import Stand


@pytest.fixture
def sign_in(stand: Stand) -> OperatorSignIn:
    """The stand's."""
    return stand.use_cases.operator_sign_in


async def attempt(stand: Stand, email: str, password: str, *, address: str = "192.0.2.7") -> str | Refused:
    """Try to sign in."""
    return await stand.use_cases.operator_sign_in.attempt(
        email, password, address=address, user_agent="Browser/1.0"
    )


async def test_the_right_password_opens_a_session(stand: Stand) -> None:
    """Of which only the digest of its token is stored."""
    await add(stand, "ada@example.com")
    token = await attempt(stand, " ADA@example.com", PASSWORD)
    assert isinstance(token, str)
    found = await stand.use_cases.operator_sessions.find(token)
    assert found is not None
    assert found[1].email == "ada@example.com"
    async with stand.database.read() as connection:
        rows = (await connection.execute(select(operator_sessions))).all()
    assert token not in str(rows)


async def test_whoever_is_unknown_costs_and_reads_the_same(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, disabled, invited, wrong, and what is no address at all: one verification, one answer."""
    await add(stand, "ada@example.com")
    bob = await add(stand, "bob@example.com")
    await stand.use_cases.operators.change(bob.id, disabled=True, actor="x")
    await stand.use_cases.operators.add("new@example.com", tenant_id=None, read_only=False, actor="x")
    verified: list[str | None] = []
    verify = Passwords.verify

    async def counting(self: Passwords, stored: str | None, text: str) -> bool:
        verified.append(stored)
        return await verify(self, stored, text)

    monkeypatch.setattr(Passwords, "verify", counting)
    for email in ("nobody@example.com", "bob@example.com", "new@example.com", "ada"):
        assert await attempt(stand, email, PASSWORD) == WRONG
    assert await attempt(stand, "ada@example.com", "something else") == WRONG
    assert [stored is None for stored in verified] == [True, True, True, True, False]


async def test_attempts_are_budgeted(stand: Stand) -> None:
    """Counted before anything else: past the budget the right password is refused as well, there alone."""
    await add(stand, "ada@example.com")
    for _ in range(PAIR.limit):
        assert await attempt(stand, "ada@example.com", "wrong") == WRONG
    refused = await attempt(stand, "ada@example.com", PASSWORD)
    assert isinstance(refused, Refused)
    assert refused.code == "too_many_attempts"
    assert isinstance(await attempt(stand, "ada@example.com", PASSWORD, address="198.51.100.1"), str)


async def test_what_is_no_address_is_budgeted_too(stand: Stand) -> None:
    """Past what strangers share, a NUL in it is asked of no database: PostgreSQL has no text for it."""
    for number in range(ACCOUNT.limit):
        assert await attempt(stand, "a\x00b", PASSWORD, address=f"203.0.{number}.7") == WRONG
    refused = await attempt(stand, "a\x00b", PASSWORD, address="198.51.100.7")
    assert isinstance(refused, Refused)
    assert refused.code == "too_many_attempts"


async def test_a_session_ends_idle_and_in_any_case(stand: Stand) -> None:
    """After an hour without use, and twelve hours after the sign-in."""
    ada = await add(stand, "ada@example.com")
    find, started = stand.use_cases.operator_sessions.find, stand.now
    idle, used = await session_of(stand, ada), await session_of(stand, ada)
    while stand.now + IDLE - 60 < started + LIFE:
        stand.now += IDLE - 60
        assert await find(used) is not None
    assert await find(idle) is None
    stand.now = started + LIFE
    assert await find(used) is None


async def test_a_use_is_written_at_most_once_a_minute(stand: Stand) -> None:
    """A page a second is not a write a second."""
    ada = await add(stand, "ada@example.com")
    token = await session_of(stand, ada)
    sessions = stand.use_cases.operator_sessions
    started = int(stand.now)
    for after, seen in ((59, 0), (60, 60), (61, 60), (119, 60), (120, 120)):
        stand.now = started + after
        await sessions.find(token)
        [listed] = await sessions.of_operator(ada.id)
        assert listed.seen_at == started + seen


async def test_sessions_are_ended_by_name(stand: Stand) -> None:
    """One's own alone: another's session does not exist."""
    ada, bob = await add(stand, "ada@example.com"), await add(stand, "bob@example.com")
    sessions = stand.use_cases.operator_sessions
    kept, ended = await session_of(stand, ada), await session_of(stand, ada)
    found = await sessions.find(ended)
    assert found is not None
    for whose, name in ((bob, found[0].id), (ada, "\0"), (ada, "\ud800")):
        with pytest.raises(NotFound):
            await sessions.revoke(whose.id, name)
    await sessions.revoke(ada.id, found[0].id)
    assert await sessions.find(ended) is None
    assert await sessions.find(kept) is not None


async def test_a_session_is_replaced(stand: Stand) -> None:
    """What a browser had before it signed in opens nothing afterwards."""
    ada = await add(stand, "ada@example.com")
    planted = await session_of(stand, ada)
    sign_in = stand.use_cases.operator_sign_in
    await sign_in.attempt("ada@example.com", PASSWORD, address="::1", user_agent="x", previous=planted)
    assert await stand.use_cases.operator_sessions.find(planted) is None


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "é" * 43, "x" * 10_000])
async def test_what_is_no_token_opens_nothing(stand: Stand, token: str) -> None:
    """Whatever a cookie may hold."""
    assert await stand.use_cases.operator_sessions.find(token) is None


async def test_a_password_is_changed(stand: Stand, sign_in: OperatorSignIn) -> None:
    """By who knows the present one; the other sessions end, this one stays."""
    ada = await add(stand, "ada@example.com")
    this, other = await session_of(stand, ada), await session_of(stand, ada)
    found = await stand.use_cases.operator_sessions.find(this)
    assert found is not None
    session, operator = found
    wrong = await sign_in.change_password(operator, session, "wrong", "another-fine-one", address="::1")
    assert wrong is not None
    assert wrong.code == "password_wrong"
    with pytest.raises(BadInput):
        await sign_in.change_password(operator, session, PASSWORD, "short", address="::1")
    assert (
        await sign_in.change_password(operator, session, PASSWORD, "another-fine-one", address="::1") is None
    )
    assert await stand.use_cases.operator_sessions.find(other) is None
    assert await stand.use_cases.operator_sessions.find(this) is not None
    assert await attempt(stand, "ada@example.com", PASSWORD) == WRONG
    assert isinstance(await attempt(stand, "ada@example.com", "another-fine-one"), str)


async def test_an_older_link_does_not_undo_a_change(stand: Stand, sign_in: OperatorSignIn) -> None:
    """Who chose another password, or was disabled, is not taken over by a link that was lying about."""
    operators = stand.use_cases.operators
    ada, _ = await add(stand, "ada@example.com"), await add(stand, "bob@example.com")
    lying, _ = await operators.new_link(ada.id, actor="x")
    found = await stand.use_cases.operator_sessions.find(await session_of(stand, ada))
    assert found is not None
    assert (
        await sign_in.change_password(found[1], found[0], PASSWORD, "another-fine-one", address="::1") is None
    )
    with pytest.raises(NotFound):
        await sign_in.welcome(lying, PASSWORD)
    other, _ = await operators.new_link(ada.id, actor="x")
    await operators.change(ada.id, disabled=True, actor="x")
    await operators.change(ada.id, disabled=False, actor="x")
    with pytest.raises(NotFound):
        await sign_in.welcome(other, PASSWORD)
    assert isinstance(await attempt(stand, "ada@example.com", "another-fine-one"), str)


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("short", "password_too_short"),
        ("password1", "password_common"),
        ("adalovelace99", "password_personal"),
        ("x" * 257, "password_too_long"),
    ],
)
async def test_a_bad_password_is_refused(
    stand: Stand, sign_in: OperatorSignIn, password: str, code: str
) -> None:
    """And the link that it was chosen with stays good."""
    link, _ = await stand.use_cases.operators.add(
        "adalovelace@example.com", tenant_id=None, read_only=False, actor="x"
    )
    with pytest.raises(BadInput) as refused:
        await sign_in.welcome(link, password)
    assert refused.value.code == code
    assert (await sign_in.welcome(link, PASSWORD)).state == "active"
