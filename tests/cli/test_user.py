from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

import pytest

from router.cli.output import Exit

if TYPE_CHECKING:
    from tests.cli.conftest import Ran, Shell

ADA = "ada@example.com"
PASSWORD = b"violet-anvil-93-cantata"


@pytest.fixture
def ada(acme: Shell) -> Shell:
    """A shell with a tenant, and ada@example.com, who signs in there for C-1001."""
    added = acme("user", "add", "acme", ADA, "--customer", "C-1001", "--password-stdin", stdin=PASSWORD)
    assert added.code == Exit.OK, added.err
    return acme


def _user(shell: Shell, *arguments: str) -> Ran:
    return shell("user", *arguments, "--json")


def _sign_in(shell: Shell, *session_ids: str) -> None:
    user_id = _user(shell, "show", "acme", ADA).answer["id"]
    row = (int(time.time()), int(time.time()), 4_000_000_000, 43_200, "192.0.2.7", "a browser", "C-1001", 0)
    columns = "signed_in_at, seen_at, expires_at, idle_life, address, user_agent, customer, remembered"
    statement = (
        f"INSERT INTO sessions (key, id, tenant_id, user_id, {columns})"  # noqa: S608 - ours
        " SELECT ?, ?, tenant_id, id, ?, ?, ?, ?, ?, ?, ?, ? FROM users WHERE id = ?"
    )
    with sqlite3.connect(shell.folder / "data" / "router.db") as connection:
        for session_id in session_ids:
            connection.execute(statement, (session_id, session_id, *row, user_id))
    connection.close()


def test_invited_address_is_listed_and_has_a_mail(acme: Shell) -> None:
    """Inviting answers how it stands and until when; the mail waits in the outbox for its server."""
    invited = _user(acme, "invite", "acme", "Ada@Example.com", "--customer", "C-1001", "--language", "DE")
    assert invited.code == Exit.OK
    assert (invited.answer["email"], invited.answer["status"]) == (ADA, "open")
    assert (invited.answer["language"], invited.answer["customer"]) == ("de", "C-1001")
    [listed] = _user(acme, "invitations", "acme").answer
    assert listed == invited.answer
    [mail] = acme("mail", "list", "--json").answer
    assert (mail["kind"], mail["recipient"]) == ("invitation", ADA)
    assert "token" not in invited.out


def test_people_are_told_what_comes_next(acme: Shell) -> None:
    """Until when the link is good, and, where no mail server is set, that the mail waits for one."""
    said = acme("user", "invite", "acme", ADA, "--customer", "C-1001").out
    assert f"{ADA} was invited." in said
    assert "is good until 20" in said
    assert "ROUTER_SMTP_URL" in said


def test_invitation_is_sent_again_and_withdrawn(acme: Shell) -> None:
    """By its id an invitation is sent once more or withdrawn, after which neither can be done."""
    invitation = _user(acme, "invite", "acme", ADA, "--customer", "C-1001").answer["id"]
    assert _user(acme, "resend", invitation).answer["status"] == "open"
    assert len(acme("mail", "list", "--json").answer) == 2
    assert _user(acme, "withdraw", invitation).answer["status"] == "revoked"
    for command in ("resend", "withdraw"):
        again = _user(acme, command, invitation)
        assert (again.code, again.error) == (Exit.CONFLICT, "invitation_revoked")
    nothing = _user(acme, "resend", "inv_none")
    assert (nothing.code, nothing.error) == (Exit.NOT_FOUND, "no_such_invitation")


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("invite", "nowhere", ADA, "--customer", "C-1"), Exit.NOT_FOUND, "tenant_not_found"),
        (("invite", "acme", "ada", "--customer", "C-1"), Exit.BAD_INPUT, "bad_email"),
        (("invite", "acme", ADA, "--customer", ""), Exit.BAD_INPUT, "bad_customer"),
        (("invite", "acme", ADA, "--customer", "C-1", "--language", "x/y"), Exit.BAD_INPUT, "bad_language"),
        (("invite", "acme", ADA, "--customer", "C-1001"), Exit.CONFLICT, "already_member"),
        (("show", "acme", "joe@example.com"), Exit.NOT_FOUND, "no_such_user"),
        (("leave", "acme", ADA, "--customer", "C-9"), Exit.NOT_FOUND, "no_such_membership"),
        (("end-sessions", "acme", ADA, "--session", "ses_none"), Exit.NOT_FOUND, "no_such_session"),
    ],
)
def test_what_cannot_be_is_said(ada: Shell, arguments: tuple[str, ...], code: Exit, error: str) -> None:
    """Each mistake has its code and the exit code of its kind."""
    ran = _user(ada, *arguments)
    assert (ran.code, ran.error) == (code, error)


def test_user_is_listed_and_shown(ada: Shell) -> None:
    """Users are listed with their customers, and never with what opens their account."""
    [listed] = _user(ada, "list", "acme").answer
    assert (listed["email"], listed["customers"], listed["disabled"]) == (ADA, ["C-1001"], False)
    shown = _user(ada, "show", "acme", ADA)
    assert shown.answer == listed | {"sessions": 0}
    assert "argon2" not in shown.out


def test_user_joins_and_leaves_customers(ada: Shell) -> None:
    """A user acts for one more customer, and no longer for one."""
    assert _user(ada, "join", "acme", ADA, "--customer", "C-2").answer["customers"] == ["C-1001", "C-2"]
    assert _user(ada, "leave", "acme", ADA, "--customer", "C-1001").answer["customers"] == ["C-2"]


def test_disabled_user_has_no_session(ada: Shell) -> None:
    """Disabling ends every session and is shown; enabling brings none back."""
    _sign_in(ada, "ses_1")
    assert _user(ada, "disable", "acme", ADA).answer["disabled"] is True
    assert _user(ada, "enable", "acme", ADA).answer["disabled"] is False
    assert _user(ada, "sessions", "acme", ADA).answer == []


def test_sessions_are_listed_and_ended(ada: Shell) -> None:
    """One session is ended by its name, or all at once."""
    first, second, third = (f"ses_{number:024x}" for number in (1, 2, 3))
    _sign_in(ada, first, second, third)
    listed = _user(ada, "sessions", "acme", ADA).answer
    assert {session["id"] for session in listed} == {first, second, third}
    assert (listed[0]["address"], listed[0]["customer"]) == ("192.0.2.7", "C-1001")
    assert _user(ada, "end-sessions", "acme", ADA, "--session", second).answer["ended"] == [second]
    assert sorted(_user(ada, "end-sessions", "acme", ADA).answer["ended"]) == [first, third]
    assert _user(ada, "show", "acme", ADA).answer["sessions"] == 0


def test_everybody_is_signed_out_of_a_portal(ada: Shell) -> None:
    """After ``tenant end-sessions`` no session of that tenant is left; one that is not there is told."""
    _sign_in(ada, "ses_1", "ses_2")
    assert ada("tenant", "end-sessions", "acme", "--json").answer == {"slug": "acme", "ended": 2}
    assert _user(ada, "sessions", "acme", ADA).answer == []
    assert ada("tenant", "end-sessions", "nobody").code == Exit.NOT_FOUND
