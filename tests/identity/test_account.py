from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from router.errors import BadInput, Conflict, NotFound, RouterError
from router.identity.links import LIVES, Link
from router.identity.sign_in import WRONG, Refused
from router.storage.outbox import HOURLY
from tests.identity.conftest import ADDRESS, GOOD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from router.identity.session import Session
    from tests.clock import Clock
    from tests.identity.conftest import Worker

MARY, NEW_EMAIL = "mary@acme.test", "mary@elsewhere.test"
NEW = "another-good-one-77"


async def _change(worker: Worker, session: Session, current: str = GOOD, new: str = NEW) -> str | Refused:
    return await worker.account.change_password(session, current, new, language="en", address=ADDRESS)


async def _ask(
    worker: Worker, session: Session, email: str = NEW_EMAIL, current: str = GOOD
) -> Refused | None:
    return await worker.account.ask_email_change(session, current, email, language="en", address=ADDRESS)


async def _notices(worker: Worker) -> int:
    return sum(mail.kind == "email-change-asked" for mail in await worker.mails())


async def _email_token(worker: Worker) -> str:
    assert await _ask(worker, await worker.session()) is None
    return (await worker.mail("confirm-email")).token


async def test_password_is_changed_and_other_sessions_end(worker: Worker, clock: Clock) -> None:
    """Another password: the other sessions end, this one goes on under another token, and a mail says so."""
    others = [await worker.signed_in(), await worker.signed_in()]
    token = await worker.signed_in()
    session = await worker.sessions.find(token)
    assert session is not None
    new_token = await _change(worker, session)
    assert isinstance(new_token, str)
    await worker.caught_up()
    assert [await worker.sessions.find(each) for each in (*others, token)] == [None] * 3
    renewed = await worker.sessions.find(new_token)
    assert renewed is not None
    assert (renewed.id, renewed.expires_at, renewed.customer) == (session.id, session.expires_at, "C-1001")
    assert await worker.attempt(MARY) == WRONG
    assert isinstance(await worker.attempt(MARY, NEW), str)
    told = await worker.mail("password-changed")
    assert (told.recipient, told.facts) == (MARY, {"at": int(clock()), "address": ADDRESS})
    assert await worker.audited() == ["user.add", "user.password"]


async def test_wrong_current_password_changes_nothing(worker: Worker) -> None:
    """Without the current password neither password nor address is changed, and nothing is sent."""
    session = await worker.session()
    for answer in (await _change(worker, session, "wrong"), await _ask(worker, session, current="wrong")):
        assert isinstance(answer, Refused)
        assert answer.code == "password_wrong"
    assert await worker.mails() == []
    await worker.signed_in()


async def test_guessing_from_a_stolen_session_is_throttled(worker: Worker) -> None:
    """The current password is guessed no more often here than on the sign-in page."""
    session = await worker.session()
    answers = [await _change(worker, session, f"guess-{turn}") for turn in range(15)]
    codes = [answer.code for answer in answers if isinstance(answer, Refused)]
    assert codes == ["password_wrong"] * 10 + ["too_many_attempts"] * 5


@pytest.mark.parametrize(
    ("password", "code"),
    [("short", "password_too_short"), ("password1", "password_common"), ("x" * 300, "password_too_long")],
)
async def test_bad_new_password_changes_nothing(worker: Worker, password: str, code: str) -> None:
    """A refused password is said with a code; every session goes on."""
    session = await worker.session()
    with pytest.raises(BadInput) as caught:
        await _change(worker, session, new=password)
    assert caught.value.code == code
    assert len(await worker.sessions.of_user(session.user_id)) == 1


async def test_ended_session_changes_nothing(worker: Worker) -> None:
    """A session that was revoked a moment ago changes no password."""
    session = await worker.session()
    await worker.sessions.revoke(session.key)
    with pytest.raises(Conflict) as caught:
        await _change(worker, session)
    assert caught.value.code == "user_changed"
    await worker.signed_in()


async def test_of_parallel_changes_one_wins(worker: Worker) -> None:
    """Two changes at once: one password is the account's, and one session lives."""
    sessions = [await worker.session(), await worker.session()]
    outcomes = await asyncio.gather(
        *(_change(worker, session, new=f"{NEW}-{turn}") for turn, session in enumerate(sessions)),
        return_exceptions=True,
    )
    [winner] = [turn for turn, outcome in enumerate(outcomes) if isinstance(outcome, str)]
    assert [fault.code for fault in outcomes if isinstance(fault, RouterError)] == ["user_changed"]
    assert [record.id for record in await worker.sessions.of_user(sessions[0].user_id)] == [
        sessions[winner].id
    ]


async def test_address_is_changed_once_the_new_one_is_confirmed(
    worker: Worker, new_worker: Callable[..., Worker], clock: Clock
) -> None:
    """Both addresses get a mail; by the link in the new one's it is changed, and sessions go on as it."""
    session_token, other = await worker.signed_in(), new_worker()
    assert await other.sessions.find(session_token) is not None
    token = await _email_token(worker)
    asked = await worker.mail("email-change-asked")
    assert (asked.recipient, asked.facts["new_email"]) == (MARY, NEW_EMAIL)
    confirm = await worker.mail("confirm-email")
    assert (confirm.recipient, confirm.facts["expires_at"]) == (NEW_EMAIL, clock() + LIVES["email"])
    seen = await worker.account.look_email("tnt_1", token)
    assert isinstance(seen, Link)
    assert (await worker.session()).email == MARY, "nothing changes before"
    user = await worker.account.confirm_email("tnt_1", token, language="en")
    assert user.email == NEW_EMAIL
    for each in (worker, other):
        await each.caught_up()
        session = await each.sessions.find(session_token)
        assert session is not None
        assert session.email == NEW_EMAIL
    assert (await worker.mail("email-changed")).recipient == MARY
    assert await worker.attempt(MARY) == WRONG
    await worker.signed_in(NEW_EMAIL)


async def test_address_of_another_user_is_told_to_its_mailbox_alone(worker: Worker) -> None:
    """Asking for a taken address is answered as ever; its owner is told, and gets no link."""
    await worker.users.add("tnt_1", "joe@acme.test", "C-2", GOOD, actor="test")
    assert await _ask(worker, await worker.session(), "joe@acme.test") is None
    mails = await worker.mails()
    assert sorted((mail.kind, mail.recipient) for mail in mails) == [
        ("already-registered", "joe@acme.test"),
        ("email-change-asked", MARY),
    ]
    assert all("token" not in mail.facts for mail in mails)


async def test_a_full_mailbox_is_told_to_nobody(worker: Worker) -> None:
    """Who asks for an address gets the same answer and notice, however many mails its owner had from us."""
    for _ in range(HOURLY):
        await worker.invitations.invite("tnt_1", "joe@acme.test", "C-2", actor="operator")
    session, seen = await worker.session(), []
    for email in ("joe@acme.test", "nobody@acme.test"):
        before = await _notices(worker)
        assert await _ask(worker, session, email) is None
        seen.append(await _notices(worker) - before)
    assert seen == [1, 1]


async def test_no_mailbox_is_filled_to_keep_a_notice_back(worker: Worker) -> None:
    """Who knows the password, and has the owner sent mail after mail first, is told of even so."""
    session = await worker.session()
    for _ in range(HOURLY):
        await worker.invitations.invite("tnt_1", MARY, "C-2", actor="operator")
    await _change(worker, session)
    assert (await worker.mail("password-changed")).recipient == MARY


async def test_no_user_writes_to_the_world(worker: Worker) -> None:
    """Asking for one address after the other ends at twenty a day, from wherever it is done."""
    session, answers = await worker.session(), []
    for turn in range(22):
        asked = worker.account.ask_email_change(
            session, GOOD, f"m{turn}@acme.test", language="en", address=f"203.0.113.{turn}"
        )
        answers.append(await asked)
    assert [answer is None for answer in answers] == [True] * 20 + [False] * 2


async def test_strangers_leave_the_owner_some_mails_whatever_forms_they_use(worker: Worker) -> None:
    """All forms together send a stranger's wish to an address three times an hour; the owner's still go."""
    await worker.users.add("tnt_1", "joe@acme.test", "C-2", GOOD, actor="test")
    joe, elsewhere = await worker.session("joe@acme.test"), "198.51.100.3"
    await worker.session()
    for _ in range(3):
        assert await worker.recovery.forgot("tnt_1", MARY, "en", elsewhere) is None
        await worker.errands.settled()
    asked = await worker.account.ask_email_change(joe, GOOD, MARY, language="en", address=elsewhere)
    assert asked is None  # where Mary is known is not told to Joe
    assert await worker.recovery.forgot("tnt_1", MARY, "en", ADDRESS) is None
    sent = [mail.kind for mail in await worker.mails() if mail.recipient == MARY]
    assert sent == ["reset"] * 4


async def test_address_taken_meanwhile_is_refused(worker: Worker) -> None:
    """Somebody who registered with the address before the click keeps it."""
    token = await _email_token(worker)
    await worker.users.add("tnt_1", NEW_EMAIL, "C-2", GOOD, actor="test")
    with pytest.raises(Conflict) as caught:
        await worker.account.confirm_email("tnt_1", token, language="en")
    assert caught.value.code == "email_taken"
    await worker.signed_in(MARY)


async def test_email_link_is_good_once_and_in_its_time_and_here(
    worker: Worker, add_tenant: Callable[[str], Awaitable[None]], clock: Clock
) -> None:
    """Newer voids older; another tenant's is unknown; a used or an expired one is said to be that."""
    await add_tenant("tnt_2")
    first = await _email_token(worker)
    clock.now += 1
    second = await _email_token(worker)
    assert await worker.account.look_email("tnt_1", first) == "voided"
    with pytest.raises(NotFound):
        await worker.account.confirm_email("tnt_2", second, language="en")
    await worker.account.confirm_email("tnt_1", second, language="en")
    with pytest.raises(Conflict) as caught:
        await worker.account.confirm_email("tnt_1", second, language="en")
    assert caught.value.code == "link_used"
    assert await _ask(worker, await worker.session(NEW_EMAIL), "third@acme.test") is None
    third = (await worker.mail("confirm-email")).token
    clock.now += LIVES["email"]
    assert await worker.account.look_email("tnt_1", third) == "expired"


async def test_reset_ends_a_change_of_address_that_somebody_else_began(worker: Worker) -> None:
    """Who knew the password and asked for their own address does not get it after the owner's reset."""
    token = await _email_token(worker)
    await worker.recovery.forgot("tnt_1", MARY, "en", ADDRESS)
    reset = (await worker.mail("reset")).token
    await worker.recovery.reset("tnt_1", reset, NEW, language="en")
    assert await worker.account.look_email("tnt_1", token) == "voided"


async def test_changed_address_voids_links_in_the_former_mailbox(worker: Worker) -> None:
    """A reset link that was sent to the former address opens nothing once the address is another."""
    await worker.recovery.forgot("tnt_1", MARY, "en", ADDRESS)
    reset = (await worker.mail("reset")).token
    await worker.account.confirm_email("tnt_1", await _email_token(worker), language="en")
    assert await worker.recovery.look("tnt_1", reset) == "voided"


@pytest.mark.parametrize(
    ("email", "code"),
    [("MARY@acme.test", "email_same"), ("mary", "bad_email"), ("a@x.test\nBcc: b@x.test", "bad_email")],
)
async def test_bad_new_address_is_said(worker: Worker, email: str, code: str) -> None:
    """What cannot be the new address is refused with a code, before any password is looked at."""
    with pytest.raises(BadInput) as caught:
        await _ask(worker, await worker.session(), email)
    assert caught.value.code == code
    assert await worker.mails() == []


async def test_language_is_remembered(worker: Worker) -> None:
    """A chosen language is the user's, in one spelling, for mails too; it can be forgotten again."""
    session = await worker.session()
    await worker.account.set_language(session.user_id, "DE")
    user = await worker.users.find(session.user_id)
    assert user is not None
    assert user.language == "de"
    await _change(worker, session)
    assert (await worker.mail("password-changed")).language == "de"
    await worker.account.set_language(session.user_id, None)
    user = await worker.users.find(session.user_id)
    assert user is not None
    assert user.language is None
    with pytest.raises(BadInput):
        await worker.account.set_language(session.user_id, "../../etc")
    with pytest.raises(NotFound):
        await worker.account.set_language("usr_none", "de")
