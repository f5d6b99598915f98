"""``token``: made, listed, revoked; the secret shown once and stored nowhere."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from router.cli.output import Exit

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


def rows(shell: Shell, statement: str) -> list[tuple[Any, ...]]:
    """Ask the database itself."""
    with closing(sqlite3.connect(shell.folder / "data" / "router.db")) as connection:
        return connection.execute(statement).fetchall()


def test_a_token_is_told_once(acme: Shell) -> None:
    """The secret is in the answer to `add` alone: the database has its SHA-256, the list neither."""
    made = acme("token", "add", "Billing system", "--tenant", "acme", "--json").answer
    secret = made.pop("token")
    assert re.fullmatch(r"trt_[A-Za-z0-9_-]{43}", secret)
    assert acme("token", "list", "--json").answer == [made]
    assert secret not in acme("token", "list").out
    stored = rows(acme, "SELECT * FROM tokens") + rows(acme, "SELECT * FROM audit")
    assert secret not in repr(stored)
    assert hashlib.sha256(secret.encode()).hexdigest() in repr(stored)
    assert (made["tenant"], made["scopes"], made["state"]) == ("acme", ["invoice-line"], "valid")
    assert (made["name"], made["last_used_at"]) == ("Billing system", None)


def test_people_get_the_secret_on_a_line_of_its_own(acme: Shell) -> None:
    """The first line can be copied, the second says whose it is and until when."""
    first, second = acme("token", "add", "Billing", "--expires", "30").out.splitlines()
    assert first.startswith("trt_")
    assert "all tenants" in second
    assert "shown this once" in second


def test_the_list_of_one_tenant_has_its_own_alone(acme: Shell) -> None:
    """A token of the platform's is not among a tenant's."""
    acme("token", "add", "Platform")
    acme("token", "add", "Acme", "--tenant", "acme", "--scope", "invitations", "--scope", "invoice-line")
    [listed] = acme("token", "list", "--tenant", "acme", "--json").answer
    assert (listed["name"], listed["scopes"]) == ("Acme", ["invoice-line", "invitations"])
    assert {each["tenant"] for each in acme("token", "list", "--json").answer} == {"acme", "(all)"}


def test_revoking_is_for_ever_and_twice_is_no_fault(acme: Shell) -> None:
    """The second time changes nothing, the time of the first stays, and the audit has one line of it."""
    token_id = acme("token", "add", "Billing", "--json").answer["id"]
    revoked = acme("token", "revoke", token_id, "--json").answer
    assert revoked["state"] == "revoked"
    assert acme("token", "revoke", token_id, "--json").answer == revoked
    assert "opens nothing" in acme("token", "revoke", token_id).out
    actions = [action for (action,) in rows(acme, "SELECT action FROM audit ORDER BY sequence")]
    assert actions == ["tenant.add", "token.add", "token.revoke"]


def test_an_empty_list_says_how_to_begin(shell: Shell) -> None:
    """The next step for people, an empty list for scripts."""
    assert "tenant-router token add" in shell("token", "list").out
    assert shell("token", "list", "--json").answer == []


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("add", ""), Exit.BAD_INPUT, "bad_name"),
        (("add", "x" * 81), Exit.BAD_INPUT, "bad_name"),
        (("add", "Bill\x1bing"), Exit.BAD_INPUT, "bad_name"),
        (("add", "Billing", "--scope", "everything"), Exit.BAD_INPUT, "bad_scope"),
        (("add", "Billing", "--expires", "0"), Exit.BAD_INPUT, "bad_expiry"),
        (("add", "Billing", "--expires", "3651"), Exit.BAD_INPUT, "bad_expiry"),
        (("add", "Billing", "--expires", "never"), Exit.USAGE, "usage"),
        (("add", "Billing", "--tenant", "nobody"), Exit.NOT_FOUND, "tenant_not_found"),
        (("list", "--tenant", "nobody"), Exit.NOT_FOUND, "tenant_not_found"),
        (("revoke", "tok_none"), Exit.NOT_FOUND, "token_not_found"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_what_cannot_be_is_told_by_code(
    arguments: tuple[str, ...], code: Exit, error: str, acme: Shell
) -> None:
    """Nothing is made, and nothing is changed."""
    ran = acme("token", *arguments, "--json")
    assert (ran.code, ran.error, ran.out) == (code, error, "")
    assert rows(acme, "SELECT * FROM tokens") == []
