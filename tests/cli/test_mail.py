"""``mail``: what became of mails, trying again, and a test that shows the mail server's answer."""

from __future__ import annotations

import email
import sqlite3
import time
from contextlib import closing
from email import policy
from typing import TYPE_CHECKING

import pytest

from router.cli.output import Exit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell

NOW = int(time.time())


@pytest.fixture
def mails(acme: Shell) -> Shell:
    """A shell with a mail in each state."""
    with closing(sqlite3.connect(acme.folder / "data" / "router.db")) as connection:
        (tenant_id,) = connection.execute("SELECT id FROM tenants").fetchone()
        for age, (state, error, sent_at) in enumerate(
            [("waiting", "451 not yet", None), ("failed", "550 no such user", None), ("sent", None, NOW)]
        ):
            connection.execute(
                "INSERT INTO outbox VALUES (?, ?, 'reset', ?, 'de', ?, ?, 3, ?, ?, ?, ?)",
                (
                    *(f"mail_{state}", tenant_id, f"{state}@acme.test", b"\1sealed"),
                    *(state, NOW + 60, error, NOW - age, sent_at),
                ),
            )
        connection.commit()
    return acme


def test_the_list_tells_what_became_of_each(mails: Shell) -> None:
    """The newest first, by tenant and state; the error in the mail server's words."""
    listed = mails("mail", "list", "--json").answer
    assert [each["id"] for each in listed] == ["mail_waiting", "mail_failed", "mail_sent"]
    assert [each["id"] for each in mails("mail", "list", "--state", "failed", "--json").answer] == [
        "mail_failed"
    ]
    assert len(mails("mail", "list", "--tenant", "acme", "--most", "2", "--json").answer) == 2
    out = mails("mail", "list").out
    assert "550 no such user" in out
    assert "acme" in out
    assert mails("mail", "list", "--tenant", "nobody").code == Exit.NOT_FOUND
    assert mails("mail", "list", "--state", "lost").code == Exit.USAGE


def test_one_mail_is_shown_without_what_it_says(mails: Shell) -> None:
    """Attempts, times, the error; nothing of the facts, sealed or not."""
    shown = mails("mail", "show", "mail_waiting", "--json").answer
    assert (shown["tenant"], shown["kind"], shown["attempts"]) == ("acme", "reset", 3)
    assert (shown["state"], shown["error"], shown["sent_at"]) == ("waiting", "451 not yet", None)
    assert shown["next_attempt_at"]
    assert "sealed" not in str(shown)
    assert mails("mail", "show", "mail_sent", "--json").answer["next_attempt_at"] is None
    assert mails("mail", "show", "mail_0", "--json").error == "no_such_mail"


def test_a_mail_is_tried_again(mails: Shell) -> None:
    """One by its name, or all that failed; what was sent is not sent again."""
    assert mails("mail", "retry", "mail_waiting", "--json").answer == {"retried": 1}
    shown = mails("mail", "show", "mail_waiting", "--json").answer
    assert (shown["state"], shown["attempts"]) == ("waiting", 0)
    ran = mails("mail", "retry", "mail_sent", "--json")
    assert (ran.code, ran.error) == (Exit.CONFLICT, "mail_sent")
    assert mails("mail", "retry", "--failed", "--json").answer == {"retried": 1}
    assert mails("mail", "retry", "--failed").out.startswith("0 mails are tried again")
    assert mails("mail", "retry").code == Exit.USAGE
    assert mails("mail", "retry", "mail_sent", "--failed").code == Exit.USAGE


def test_a_test_is_sent_at_once(acme: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the tenant's name from the platform's address, with the answer of whoever took it."""
    monkeypatch.setenv("ROUTER_SMTP_URL", f"file:{tmp_path}/mails")
    monkeypatch.setenv("ROUTER_MAIL_FROM", "Platform <post@example.com>")
    told = acme("mail", "test", "me@example.com", "--tenant", "acme", "--json").answer
    assert (told["sender"], told["recipient"]) == ("post@example.com", "me@example.com")
    (file,) = (tmp_path / "mails").iterdir()
    assert str(file) in told["answer"]
    message = email.message_from_bytes(file.read_bytes(), policy=policy.default)
    assert str(message["From"]) == "Acme Tools <post@example.com>"
    assert "https://acme.portal.example" in file.read_text()


@pytest.mark.parametrize(
    ("url", "code", "error"),
    [
        (None, Exit.BAD_INPUT, "no_mail_server"),
        ("smtp://u:hush@127.0.0.1?tls=none", Exit.BAD_INPUT, "bad_smtp_url"),
        ("smtp://127.0.0.1:1?tls=none", Exit.UNAVAILABLE, "smtp_unreachable"),
    ],
    ids=["none", "bad", "away"],
)
def test_a_test_tells_what_is_wrong(
    url: str | None, code: Exit, error: str, acme: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with its exit code, and no password."""
    if url is not None:
        monkeypatch.setenv("ROUTER_SMTP_URL", url)
    ran = acme("mail", "test", "me@example.com", "--tenant", "acme", "--json")
    assert (ran.code, ran.error) == (code, error)
    assert "hush" not in ran.err


def test_a_test_goes_to_one_plain_address(
    acme: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is written for what is no address."""
    monkeypatch.setenv("ROUTER_SMTP_URL", f"file:{tmp_path}/mails")
    assert acme("mail", "test", "a@b.test, c@d.test", "--tenant", "acme", "--json").error == "bad_email"
    assert not (tmp_path / "mails").exists()
