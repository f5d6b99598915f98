"""``operator``: added with a link that is told once, listed, changed, removed."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from router.cli.output import Exit

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

ADDRESS = re.compile(r"https://admin\.portal\.example/welcome\?t=([A-Za-z0-9_-]{43})")


def stored(shell: Shell) -> str:
    """What the database holds of operators, their links, and what was done."""
    with closing(sqlite3.connect(shell.folder / "data" / "router.db")) as connection:
        tables = ("operators", "operator_links", "audit")
        rows = [connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables]  # noqa: S608 - ours
    return repr(rows)


def test_a_link_is_told_once(acme: Shell) -> None:
    """Its token is in the answer to `add` alone; the database has its SHA-256."""
    made = acme("operator", "add", "Ada@example.com", "--tenant", "acme", "--json").answer
    link = made.pop("link")
    match = ADDRESS.fullmatch(link)
    assert match is not None
    assert acme("operator", "list", "--json").answer == [made]
    assert match[1] not in stored(acme)
    assert hashlib.sha256(match[1].encode()).hexdigest() in stored(acme)
    assert (made["email"], made["role"], made["tenant"], made["state"]) == (
        "ada@example.com",
        "tenant-operator",
        "acme",
        "invited",
    )


def test_people_get_the_link_on_a_line_of_its_own(shell: Shell) -> None:
    """The first line can be copied, the second says for whom."""
    first, second = shell("operator", "add", "root@example.com").out.splitlines()
    assert ADDRESS.fullmatch(first)
    assert "platform-operator" in second
    again, _ = shell("operator", "link", "root@example.com").out.splitlines()
    assert ADDRESS.fullmatch(again)
    assert again != first


def test_the_list_of_one_tenant_has_its_own_alone(acme: Shell) -> None:
    """The platform's operators are not among a tenant's."""
    acme("operator", "add", "root@example.com")
    acme("operator", "add", "ada@example.com", "--tenant", "acme", "--read-only")
    [listed] = acme("operator", "list", "--tenant", "acme", "--json").answer
    assert (listed["email"], listed["role"]) == ("ada@example.com", "tenant-reader")
    assert len(acme("operator", "list", "--json").answer) == 2


def test_roles_and_states_change(shell: Shell) -> None:
    """By the e-mail address, in any spelling."""
    shell("operator", "add", "root@example.com")
    shell("operator", "add", "ada@example.com")
    reader = shell("operator", "role", "ADA@example.com", "--read-only", "--json").answer
    assert reader["role"] == "platform-reader"
    assert "platform-operator" in shell("operator", "role", "ada@example.com", "--read-write").out
    assert shell("operator", "disable", "ada@example.com", "--json").answer["state"] == "disabled"
    assert shell("operator", "link", "ada@example.com").code == Exit.CONFLICT
    assert shell("operator", "enable", "ada@example.com", "--json").answer["state"] == "invited"
    assert "no operator any more" in shell("operator", "remove", "ada@example.com").out
    assert len(shell("operator", "list", "--json").answer) == 1


def test_the_last_one_stays(shell: Shell) -> None:
    """However it is tried: a conflict, and nothing is changed."""
    shell("operator", "add", "root@example.com")
    for command in (["remove"], ["disable"], ["role", "--read-only"]):
        ran = shell("operator", *command, "root@example.com", "--json")
        assert (ran.code, ran.error) == (Exit.CONFLICT, "last_operator")
    assert shell("operator", "list", "--json").answer[0]["role"] == "platform-operator"


def test_what_cannot_be(shell: Shell) -> None:
    """Nobody's address, no address, a tenant that is not there, an address that is taken."""
    shell("operator", "add", "root@example.com")
    for arguments, code, error in (
        (["remove", "nobody@example.com"], Exit.NOT_FOUND, "no_such_operator"),
        (["add", "ada"], Exit.BAD_INPUT, "bad_email"),
        (["add", "ada@example.com", "--tenant", "nobody"], Exit.NOT_FOUND, "tenant_not_found"),
        (["add", "root@example.com"], Exit.CONFLICT, "email_taken"),
    ):
        ran = shell("operator", *arguments, "--json")
        assert (ran.code, ran.error) == (code, error)
    assert "operator list" in shell("operator", "link", "nobody@example.com").err


def test_what_becomes_of_their_tokens_is_told(shell: Shell) -> None:
    """How many stop with them, go on with them, and are revoked with them; those of the machine go on."""
    shell("operator", "add", "root@example.com")
    made = shell("operator", "add", "ada@example.com", "--json").answer
    assert made["tokens"] == 0
    for name in ("one", "two", "of the machine"):
        shell("token", "add", name, "--scope", "tenants:read")
    with closing(sqlite3.connect(shell.folder / "data" / "router.db")) as connection, connection:
        connection.execute("UPDATE tokens SET operator_id = ? WHERE name IN ('one', 'two')", [made["id"]])

    def states() -> dict[str, str]:
        return {each["name"]: each["state"] for each in shell("token", "list", "--json").answer}

    assert "2 API tokens of theirs: stopped." in shell("operator", "disable", "ada@example.com").out
    assert states() == {"one": "stopped", "two": "stopped", "of the machine": "valid"}
    assert "2 API tokens of theirs: going on." in shell("operator", "enable", "ada@example.com").out
    assert set(states().values()) == {"valid"}
    assert {each["email"]: each["tokens"] for each in shell("operator", "list", "--json").answer} == {
        "ada@example.com": 2,
        "root@example.com": 0,
    }
    assert "2 API tokens of theirs: revoked." in shell("operator", "remove", "ada@example.com").out
    assert states() == {"one": "revoked", "two": "revoked", "of the machine": "valid"}
