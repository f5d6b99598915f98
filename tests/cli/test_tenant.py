"""``tenant``, ``domain`` and ``user``: what operators type, and what comes of it in a running router."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from router.cli.output import Exit
from router.identity.passwords import Passwords
from router.identity.users import Users
from router.storage.bell import PollBell
from router.storage.database import Database
from tests.cli.beside import known_around
from tests.cli.conftest import ACME

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


def test_a_tenant_is_added_shown_and_listed(shell: Shell) -> None:
    """What was typed is what is shown, in the product's words."""
    added = shell(*ACME, "--allow-registration", "--public-path", "/help", "--public-path", "/faq", "--json")
    assert added.code == Exit.OK
    record = added.answer
    assert record["slug"] == "acme"
    assert record["name"] == "Acme Tools"
    assert record["address"] == "https://acme.portal.example"
    assert record["theme_colour"] == "#0b6e4f"
    assert record["upstreams"] == ["http://1.1.1.1:8080"]
    assert record["public_paths"] == ["/help", "/faq"]
    assert record["allow_registration"] is True
    assert record["claims"] == [
        {"hostname": "acme.portal.example", "kind": "platform", "state": "active", "reason": None}
    ]
    assert shell("tenant", "show", "acme", "--json").answer == record
    assert shell("tenant", "list", "--json").answer == [record]


def test_people_get_sentences_and_tables(acme: Shell) -> None:
    """The answers without --json say what happened and what is next."""
    assert "acme" in acme("tenant", "list").out
    assert "Acme Tools" in acme("tenant", "show", "acme").out
    said = acme("tenant", "set", "acme", "--external-domain", "billing.acme.com").out
    assert "tenant-router domain activate billing.acme.com" in said
    assert "Nothing to change" in acme("tenant", "set", "acme", "--name", "Acme Tools").out


def test_an_empty_list_says_how_to_begin(shell: Shell) -> None:
    """The first thing an operator sees is the next step; for scripts it is an empty list."""
    assert "tenant-router tenant add" in shell("tenant", "list").out
    assert shell("tenant", "list", "--json").answer == []


def test_the_public_port_is_part_of_the_address(acme: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address can be copied into a browser as it stands."""
    monkeypatch.setenv("ROUTER_PUBLIC_PORT", "8443")
    assert acme("tenant", "show", "acme", "--json").answer["address"] == "https://acme.portal.example:8443"


def test_a_name_is_no_markup(shell: Shell) -> None:
    """Square brackets and the like in a tenant's name are shown as they are."""
    shell(*ACME[:4], "[red]Acme[/red] :smile:", *ACME[5:])
    assert "[red]Acme[/red] :smile:" in shell("tenant", "list").out


def test_fields_are_set_one_by_one(acme: Shell) -> None:
    """Only what is named changes; lists can be emptied and switches turned off."""
    acme("tenant", "set", "acme", "--allow-registration", "--public-path", "/help")
    record = acme("tenant", "set", "acme", "--theme-colour", "#fff", "--json").answer
    assert (record["theme_colour"], record["name"], record["public_paths"]) == (
        "#ffffff",
        "Acme Tools",
        ["/help"],
    )
    record = acme("tenant", "set", "acme", "--no-allow-registration", "--no-public-path", "--json").answer
    assert (record["allow_registration"], record["public_paths"]) == (False, [])
    record = acme(
        "tenant",
        "set",
        "acme",
        "--upstream",
        "http://8.8.8.8",
        "--upstream",
        "https://1.1.1.1:8443",
        "--json",
    ).answer
    assert record["upstreams"] == ["http://8.8.8.8:80", "https://1.1.1.1:8443"]


def test_the_claims_are_listed_of_all_tenants_or_of_one(acme: Shell) -> None:
    """``domain list`` tells what is claimed, by whom, and how it stands; what nobody claims is no fault."""
    assert acme("domain", "list", "--json").answer == []
    acme("domain", "add", "acme", "billing.acme.com")
    (claim,) = acme("domain", "list", "--json").answer
    assert (claim["hostname"], claim["tenant"], claim["state"]) == ("billing.acme.com", "acme", "pending")
    assert acme("domain", "list", "--tenant", "acme", "--json").answer == [claim]
    assert "billing.acme.com" in acme("domain", "list").out


def test_a_domain_goes_from_pending_to_active_to_given_up(acme: Shell) -> None:
    """The three commands of a hostname's life, and the address that customers are given meanwhile."""
    record = acme("tenant", "set", "acme", "--external-domain", "billing.acme.com", "--json").answer
    assert record["address"] == "https://acme.portal.example"
    claim = acme("domain", "activate", "billing.acme.com", "--reason", "by phone", "--json").answer
    assert claim == {
        "tenant": "acme",
        "hostname": "billing.acme.com",
        "kind": "external",
        "state": "active",
        "reason": "by phone",
    }
    assert acme("tenant", "show", "acme", "--json").answer["address"] == "https://billing.acme.com"
    record = acme("tenant", "set", "acme", "--no-external-domain", "--json").answer
    assert record["address"] == "https://acme.portal.example"


def test_suspending_and_resuming(acme: Shell) -> None:
    """The status is what was said last."""
    assert acme("tenant", "suspend", "acme", "--json").answer["status"] == "suspended"
    assert acme("tenant", "resume", "acme", "--json").answer["status"] == "active"


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (ACME, Exit.CONFLICT, "slug_taken"),
        ((*ACME[:2], "admin", *ACME[3:]), Exit.BAD_INPUT, "reserved_name"),
        ((*ACME[:2], "Acme!", *ACME[3:]), Exit.BAD_INPUT, "bad_slug"),
        (("tenant", "set", "acme", "--theme-colour", "green"), Exit.BAD_INPUT, "bad_colour"),
        (("tenant", "set", "acme", "--upstream", "http://127.0.0.1:80"), Exit.BAD_INPUT, "private_upstream"),
        (("tenant", "set", "acme", "--upstream", "http://u:hush@1.1.1.1"), Exit.BAD_INPUT, "bad_upstream"),
        (("tenant", "set", "acme", "--external-domain", "co.uk"), Exit.BAD_INPUT, "public_suffix"),
        (("tenant", "set", "nobody", "--name", "x"), Exit.NOT_FOUND, "tenant_not_found"),
        (("tenant", "show", "nobody"), Exit.NOT_FOUND, "tenant_not_found"),
        (("tenant", "suspend", "nobody"), Exit.NOT_FOUND, "tenant_not_found"),
        (("tenant", "resume", "nobody"), Exit.NOT_FOUND, "tenant_not_found"),
        (("domain", "activate", "billing.acme.com", "--reason", "x"), Exit.NOT_FOUND, "claim_not_found"),
        (("domain", "activate", "192.0.2.1", "--reason", "x"), Exit.BAD_INPUT, "ip_address"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_told_by_code(
    arguments: tuple[str, ...], code: Exit, error: str, acme: Shell
) -> None:
    """The exit code tells the kind, the error's code the reason, and nothing was changed."""
    before = acme("tenant", "list", "--json").answer
    ran = acme(*arguments, "--json")
    assert (ran.code, ran.error, ran.out) == (code, error, "")
    assert "hush" not in ran.err
    assert acme("tenant", "list", "--json").answer == before


def test_the_name_of_the_api_is_no_tenants(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the platform calls its own hostname is taken."""
    monkeypatch.setenv("ROUTER_ADMIN_NAME", "acme")
    assert shell(*ACME, "--json").error == "reserved_name"


def test_private_upstreams_are_a_setting(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform may allow what is refused otherwise."""
    monkeypatch.setenv("ROUTER_ALLOW_PRIVATE_UPSTREAMS", "true")
    assert shell(*ACME[:-1], "http://127.0.0.1:8000").code == Exit.OK


def test_a_user_is_added_as_a_process(acme: Shell) -> None:
    """The password comes from standard input and is in no output; the user can sign in with it."""
    arguments = ("user", "add", "acme", "Ada@Example.com", "--customer", "C-1001", "--password-stdin")
    ran = acme.process(*arguments, "--json", stdin="Zürich-paper-lantern\n".encode())
    assert (ran.code, ran.err) == (Exit.OK, "")
    assert ran.answer["email"] == "ada@example.com"
    assert "lantern" not in ran.out
    assert asyncio.run(can_sign_in(acme, "ada@example.com", "Zürich-paper-lantern"))
    assert not asyncio.run(can_sign_in(acme, "ada@example.com", "Zürich-paper-lantern\n"))
    again = acme.process(*arguments, "--json", stdin=b"another-paper-lantern")
    assert (again.code, again.error) == (Exit.CONFLICT, "email_taken")


async def can_sign_in(shell: Shell, email: str, password: str) -> bool:
    """Verify a password as the portal would."""
    tenant_id = (await asyncio.to_thread(shell, "tenant", "show", "acme", "--json")).answer["id"]
    database = Database(f"sqlite:///{shell.folder}/data/router.db")
    passwords = Passwords()
    try:
        user = await Users(database, PollBell(), passwords).find_by_email(tenant_id, email)
        return user is not None and await passwords.verify(user.password_hash, password)
    finally:
        passwords.close()
        await database.close()


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "error"),
    [
        (("acme", "ada@example.com"), b"short", Exit.BAD_INPUT, "password_too_short"),
        (("acme", "ada@example.com"), b"password123", Exit.BAD_INPUT, "password_common"),
        (("acme", "ada@example.com"), b"", Exit.BAD_INPUT, "bad_password"),
        (("acme", "ada@example.com"), b"\xff\xfe\xfd-lantern", Exit.BAD_INPUT, "bad_password"),
        (("acme", "ada@example.com"), b"two\nlines-of-it", Exit.BAD_INPUT, "bad_password"),
        (("acme", "ada@example.com"), b"x" * 100_000, Exit.BAD_INPUT, "bad_password"),
        (("acme", "ada at example.com"), b"paper-lantern-42", Exit.BAD_INPUT, "bad_email"),
        (("nobody", "ada@example.com"), b"paper-lantern-42", Exit.NOT_FOUND, "tenant_not_found"),
    ],
)
def test_a_user_that_cannot_be_is_refused(
    arguments: tuple[str, str], stdin: bytes, code: Exit, error: str, acme: Shell
) -> None:
    """A bad password, address or tenant is told by its code, and never with the password in it."""
    ran = acme("user", "add", *arguments, "--customer", "C-1001", "--password-stdin", "--json", stdin=stdin)
    assert (ran.code, ran.error) == (code, error)
    assert "lantern" not in ran.err


def test_without_a_terminal_the_password_has_to_be_piped(acme: Shell) -> None:
    """Nobody is asked where nobody can answer."""
    ran = acme.process("user", "add", "acme", "ada@example.com", "--customer", "C-1", "--json")
    assert (ran.code, ran.error) == (Exit.USAGE, "usage")


async def test_a_change_takes_effect_in_a_running_router(acme: Shell) -> None:
    """Another process writes; a worker's directory, which knew better, answers anew at once."""
    _, after = await known_around(acme, "tenant", "set", "acme", "--name", "Acme")
    assert after.branding.name == "Acme"


@pytest.mark.parametrize("command", [("tenant", "show", "acme"), ("tenant", "list")], ids=" ".join)
def test_tenant_and_domain_as_processes(command: tuple[str, ...], acme: Shell) -> None:
    """The real program reads and writes the same database."""
    changed = acme.process("tenant", "set", "acme", "--external-domain", "billing.acme.com")
    assert (changed.code, changed.err) == (Exit.OK, "")
    ran = acme.process("domain", "activate", "billing.acme.com", "--reason", "by phone")
    assert (ran.code, ran.err) == (Exit.OK, "")
    assert "https://billing.acme.com" in acme.process(*command).out


def test_a_tenant_is_deleted_by_saying_its_name_twice(acme: Shell) -> None:
    """By mistake nothing is deleted; afterwards its short name is taken over by an express word alone."""
    assert acme("tenant", "delete", "acme", "--yes-delete", "globex").code == Exit.USAGE
    assert acme("tenant", "delete", "acme").code == Exit.USAGE
    assert acme("tenant", "delete", "acme", "--yes-delete", "acme", "--json").answer["slug"] == "acme"
    assert acme("tenant", "list", "--json").answer == []
    assert acme(*ACME, "--json").error == "slug_given_up"
    assert acme(*ACME, "--take-over-slug").code == Exit.OK
