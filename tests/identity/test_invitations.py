from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from router.errors import BadInput, Conflict, NotFound, RouterError
from router.identity.links import LIVES
from router.identity.newcomers import Offer
from router.identity.user import User
from tests.identity.conftest import GOOD

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from router.identity.invitation import Invitation
    from tests.clock import Clock
    from tests.identity.conftest import Worker

EMAIL = "new@acme.test"


async def _invited(worker: Worker, email: str = EMAIL, customer: str = "C-7") -> tuple[Invitation, str]:
    invitation = await worker.invitations.invite("tnt_1", email, customer, actor="cli:ops")
    return invitation, (await worker.mail("invitation")).token


def _status(worker: Worker, invitation: Invitation) -> str:
    return invitation.status(worker.clock())


async def test_invitee_sets_a_password_and_signs_in(worker: Worker) -> None:
    """Who was invited gets a mail, chooses a password by its link, and signs in for the customer."""
    invitation, token = await _invited(worker, "New@ACME.test")
    mail = await worker.mail("invitation")
    assert (mail.recipient, mail.language) == (EMAIL, "en")
    assert (mail.facts["customer"], mail.facts["expires_at"]) == ("C-7", invitation.expires_at)
    assert await worker.invitations.look("tnt_1", token) == Offer(EMAIL, "C-7", needs_password=True)
    user = await worker.invitations.accept("tnt_1", token, GOOD, language="de")
    assert (user.email, user.customers, user.language) == (EMAIL, ("C-7",), "de")
    assert (await worker.session(EMAIL)).customer == "C-7"
    [listed] = await worker.invitations.list("tnt_1")
    assert _status(worker, listed) == "accepted"
    assert (await worker.audited())[1:] == ["invitation.send", "invitation.accept"]


async def test_known_address_gets_one_more_customer(worker: Worker) -> None:
    """Who signs in already keeps their password, whatever is sent, and gains the customer."""
    _, token = await _invited(worker, "mary@acme.test")
    assert await worker.invitations.look("tnt_1", token) == Offer(
        "mary@acme.test", "C-7", needs_password=False
    )
    user = await worker.invitations.accept("tnt_1", token, "another-good-one-77")
    assert user.customers == ("C-1001", "C-7")
    await worker.signed_in()


async def test_second_click_is_explained(worker: Worker) -> None:
    """The link of an accepted invitation says that it was used, on looking and on sending."""
    _, token = await _invited(worker)
    await worker.invitations.accept("tnt_1", token, GOOD)
    assert await worker.invitations.look("tnt_1", token) == "used"
    with pytest.raises(Conflict) as caught:
        await worker.invitations.accept("tnt_1", token, GOOD)
    assert caught.value.code == "link_used"


async def test_of_parallel_acceptances_one_wins(worker: Worker) -> None:
    """Of five at once one makes the user; the others are told that the link was used or things moved."""
    _, token = await _invited(worker)
    outcomes = await asyncio.gather(
        *(worker.invitations.accept("tnt_1", token, GOOD) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, User) for outcome in outcomes) == 1
    codes = {fault.code for fault in outcomes if isinstance(fault, RouterError)}
    assert codes <= {"link_used", "changed_meanwhile"}
    assert len(await worker.users.of_tenant("tnt_1")) == 2


@pytest.mark.parametrize(
    ("password", "code"),
    [
        (None, "password_missing"),
        ("short", "password_too_short"),
        ("x" * 1_000_000, "password_too_long"),
        ("password1", "password_common"),
        ("my blue fjord", "password_personal"),
    ],
)
async def test_bad_password_leaves_the_link_good(worker: Worker, password: str | None, code: str) -> None:
    """A refused password is said with a code, and the same link is tried again with a better one."""
    _, token = await _invited(worker)
    with pytest.raises(BadInput) as caught:
        await worker.invitations.accept("tnt_1", token, password)
    assert caught.value.code == code
    await worker.invitations.accept("tnt_1", token, GOOD)


async def test_expired_invitation_is_explained_and_can_be_sent_again(worker: Worker, clock: Clock) -> None:
    """After seven days the link and the list say so; sent again, a new link is good and the old one void."""
    invitation, old = await _invited(worker)
    clock.now += LIVES["invitation"]
    assert _status(worker, (await worker.invitations.list("tnt_1"))[0]) == "expired"
    assert await worker.invitations.look("tnt_1", old) == "expired"
    again = await worker.invitations.resend(invitation.id, actor="cli:ops")
    assert (again.id, _status(worker, again)) == (invitation.id, "open")
    new = (await worker.mail("invitation")).token
    assert new != old
    await worker.invitations.accept("tnt_1", new, GOOD)


async def test_sending_again_voids_the_link_before(worker: Worker, clock: Clock) -> None:
    """Of two mails of one invitation only the latest has a good link."""
    invitation, old = await _invited(worker)
    clock.now += 1
    await worker.invitations.resend(invitation.id, actor="cli:ops")
    assert await worker.invitations.look("tnt_1", old) == "voided"
    await worker.invitations.accept("tnt_1", (await worker.mail("invitation")).token, GOOD)


async def test_inviting_twice_is_sending_again(worker: Worker, clock: Clock) -> None:
    """The same address and customer have one invitation; another customer is another one."""
    first, _ = await _invited(worker)
    clock.now += 1
    again, _ = await _invited(worker)
    assert (again.id, again.sent_at) == (first.id, first.sent_at + 1)
    other, _ = await _invited(worker, customer="C-8")
    assert {one.id for one in await worker.invitations.list("tnt_1")} == {first.id, other.id}


async def test_inviting_at_once_makes_one_invitation(
    worker: Worker, new_worker: Callable[..., Worker]
) -> None:
    """Four calls at the same moment, on two workers, make one invitation."""
    workers = [worker, new_worker()] * 2
    await asyncio.gather(*(each.invitations.invite("tnt_1", EMAIL, "C-7", actor="x") for each in workers))
    assert len(await worker.invitations.list("tnt_1")) == 1


async def test_withdrawn_invitation_opens_nothing(worker: Worker) -> None:
    """A withdrawn invitation's link is void, and it can be neither sent nor withdrawn again."""
    invitation, token = await _invited(worker)
    revoked = await worker.invitations.revoke(invitation.id, actor="cli:ops")
    assert _status(worker, revoked) == "revoked"
    assert await worker.invitations.look("tnt_1", token) == "voided"
    with pytest.raises(Conflict):
        await worker.invitations.accept("tnt_1", token, GOOD)
    for change in (worker.invitations.resend, worker.invitations.revoke):
        with pytest.raises(Conflict) as caught:
            await change(invitation.id, actor="cli:ops")
        assert caught.value.code == "invitation_revoked"
    assert (await worker.audited())[1:] == ["invitation.send", "invitation.revoke"]


async def test_accepting_and_withdrawing_at_once_agree(worker: Worker) -> None:
    """Either the invitation was accepted and there is a user, or it was withdrawn and there is none."""
    invitation, token = await _invited(worker)
    await asyncio.gather(
        worker.invitations.accept("tnt_1", token, GOOD),
        worker.invitations.revoke(invitation.id, actor="cli:ops"),
        worker.invitations.resend(invitation.id, actor="cli:ops"),
        return_exceptions=True,
    )
    [after] = await worker.invitations.list("tnt_1")
    accepted = await worker.users.find_by_email("tnt_1", EMAIL) is not None
    assert (_status(worker, after) == "accepted") is accepted


async def test_another_tenants_invitation_does_not_exist(
    worker: Worker, add_tenant: Callable[[str], Awaitable[None]]
) -> None:
    """Neither its link at our hostname nor its id in our name does anything."""
    await add_tenant("tnt_2")
    invitation, token = await _invited(worker)
    assert await worker.invitations.look("tnt_2", token) == "unknown"
    with pytest.raises(NotFound) as caught:
        await worker.invitations.accept("tnt_2", token, GOOD)
    assert caught.value.code == "link_unknown"
    for change in (worker.invitations.resend, worker.invitations.revoke):
        with pytest.raises(NotFound) as caught:
            await change(invitation.id, actor="x", tenant_id="tnt_2")
        assert caught.value.code == "no_such_invitation"
    assert await worker.invitations.list("tnt_2") == []
    await worker.invitations.accept("tnt_1", token, GOOD)


async def test_member_need_not_be_invited(worker: Worker) -> None:
    """Inviting who signs in for the customer already is a conflict, and no mail is sent."""
    with pytest.raises(Conflict) as caught:
        await worker.invitations.invite("tnt_1", "mary@acme.test", "C-1001", actor="x")
    assert caught.value.code == "already_member"
    assert await worker.mails() == []


@pytest.mark.parametrize(
    ("tenant", "email", "customer", "code"),
    [
        ("tnt_9", EMAIL, "C-1", "no_such_tenant"),
        ("tnt_1", "a@x@y", "C-1", "bad_email"),
        ("tnt_1", "a@x.test\r\nBcc: b@x.test", "C-1", "bad_email"),
        ("tnt_1", EMAIL, "", "bad_customer"),
    ],
)
async def test_bad_invitation_changes_nothing(
    worker: Worker, tenant: str, email: str, customer: str, code: str
) -> None:
    """What is wrong with an invitation is said with a code; nothing is stored and nothing sent."""
    with pytest.raises((BadInput, NotFound)) as caught:
        await worker.invitations.invite(tenant, email, customer, actor="x")
    assert caught.value.code == code
    assert await worker.mails() == []
    assert await worker.invitations.list("tnt_1") == []


async def test_sixth_mail_in_an_hour_is_refused_and_the_fifth_stays_good(worker: Worker) -> None:
    """Who asks too often is told so; the latest link that was sent goes on being good."""
    invitation, token = await _invited(worker)
    for _ in range(4):
        await worker.invitations.resend(invitation.id, actor="x")
    with pytest.raises(Conflict) as caught:
        await worker.invitations.resend(invitation.id, actor="x")
    assert caught.value.code == "enough_mail"
    tokens = [mail.token for mail in await worker.mails()]
    good = [each for each in tokens if isinstance(await worker.invitations.look("tnt_1", each), Offer)]
    assert len(good) == 1
    assert await worker.invitations.look("tnt_1", token) == "voided"


async def test_disabled_user_is_not_let_in_by_an_invitation(worker: Worker) -> None:
    """A link does not undo what an operator has switched off."""
    mary = (await worker.users.of_tenant("tnt_1"))[0]
    await worker.users.disable(mary.id, actor="test")
    _, token = await _invited(worker, "mary@acme.test")
    with pytest.raises(Conflict) as caught:
        await worker.invitations.accept("tnt_1", token)
    assert caught.value.code == "user_disabled"


async def test_mail_speaks_the_language_that_was_asked_for(worker: Worker) -> None:
    """An invitation's own language goes before the tenant's."""
    await worker.invitations.invite("tnt_1", EMAIL, "C-7", language="fr", actor="x")
    assert (await worker.mail("invitation")).language == "fr"
