"""The command line as a whole: help, usage, errors, exit codes, speed, and its document."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from router.cli.app import app
from router.cli.output import EXIT_CODES, Exit
from router.cli.stores import place_of
from tests.cli.conftest import ACME, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cyclopts import App

    from tests.cli.conftest import Shell


def commands(within: App = app, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Name every command of the app."""
    for name in within:
        inner = within[name]
        if name.startswith("-"):
            continue
        if list(inner) and not inner.default_command:
            yield from commands(inner, (*before, name))
        else:
            yield (*before, name)


COMMANDS = sorted(commands())


def test_the_commands_are_those_of_the_document() -> None:
    """docs/cli.md lists every command, and no other."""
    document = (ROOT / "docs" / "cli.md").read_text("utf-8")
    written = re.findall(r"^\| `tenant-router ([a-z -]+)` \|", document, re.MULTILINE)
    assert sorted(written) == [" ".join(command) for command in COMMANDS]


def test_the_exit_codes_are_those_of_the_document() -> None:
    """docs/cli.md and the help have a line for each exit code."""
    document = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert [int(code) for code in re.findall(r"^\| (\d) \|", document, re.MULTILINE)] == list(Exit)
    assert [int(code) for code in re.findall(r"\b(\d) ", EXIT_CODES)] == list(Exit)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(command: tuple[str, ...], bare: Shell) -> None:
    """Each has an example of its own, takes --json, and names the exit codes."""
    ran = bare(*command, "--help")
    assert ran.code == Exit.OK
    example = ran.out.partition("For example:")[2]
    assert f"tenant-router {' '.join(command)}" in example
    assert "--json" in ran.out
    assert "Exit codes:" in ran.out


@pytest.mark.parametrize(
    "command", [(), ("tenant",), ("certificate",), ("domain",), ("user",), ("token",), ("mail",)]
)
def test_a_noun_alone_lists_what_can_be_done(command: tuple[str, ...], bare: Shell) -> None:
    """Typing half a command is asking what there is."""
    ran = bare(*command)
    assert ran.code == Exit.OK
    assert "Commands" in ran.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("sevre",),
        ("tenant", "remove"),
        ("tenant", "add"),
        ("tenant", "show"),
        ("tenant", "show", "acme", "globex"),
        ("tenant", "list", "--colour"),
        ("settings", "--jsn"),
        ("explain",),
        ("demo", "--https-port", "99999"),
        ("tenant", "set", "acme", "--external-domain", "a.example", "--no-external-domain"),
    ],
    ids=" ".join,
)
def test_a_mistyped_command_is_a_usage_error(arguments: tuple[str, ...], bare: Shell) -> None:
    """Exit code 2, a sentence, and no traceback; with --json, the error is JSON."""
    ran = bare(*arguments)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert ran.err.startswith("Error: ")
    assert "Traceback" not in ran.err
    ran = bare(*arguments, "--json")
    assert (ran.code, ran.error) == (Exit.USAGE, "usage")


def test_a_usage_error_names_the_help_that_helps(bare: Shell) -> None:
    """The command's own, not the whole program's."""
    assert "See tenant-router tenant show --help." in bare("tenant", "show", "--colour").err
    assert "See tenant-router --help." in bare("sevre").err


def test_a_tenant_that_is_not_there_is_told_with_where_to_look(shell: Shell) -> None:
    """The command that lists them; exit code 4."""
    ran = shell("tenant", "show", "nobody")
    assert (ran.code, ran.err) == (
        Exit.NOT_FOUND,
        "Error: There is no tenant “nobody”. See: tenant-router tenant list\n",
    )


def test_all_faults_of_a_form_are_told_at_once(shell: Shell) -> None:
    """Each in a sentence for people, and by its field for programs."""
    wrong = ("tenant", "add", "acme", "--name", "", "--theme-colour", "red", "--upstream", "http://127.0.0.1")
    ran = shell(*wrong)
    assert ran.code == Exit.BAD_INPUT
    assert len(ran.err.splitlines()) == 3
    faults = json.loads(shell(*wrong, "--json").err)["error"]["faults"]
    assert [(each["field"], each["code"]) for each in faults] == [
        ("name", "bad_name"),
        ("theme_colour", "bad_colour"),
        ("upstreams/0", "private_upstream"),
    ]


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_a_shell_learns_to_complete(shell_name: str, bare: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script is written where one says, and names the commands."""
    for name in ("HOME", "ZDOTDIR"):  # where the shell is told of the script
        monkeypatch.setenv(name, str(bare.folder))
    ran = bare("--install-completion", "--shell", shell_name, "--output", "completion")
    assert ran.code == Exit.OK
    script = (bare.folder / "completion").read_text("utf-8")
    assert "end-sessions" in script
    assert "theme-colour" in script


def test_bad_settings_are_told_a_sentence_for_each_fault(
    bare: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3 and every fault, not only the first."""
    monkeypatch.setenv("ROUTER_HTTPS_PORT", "x")
    monkeypatch.delenv("ROUTER_PLATFORM_DOMAIN")
    ran = bare("tenant", "list")
    assert ran.code == Exit.BAD_INPUT
    assert "ROUTER_PLATFORM_DOMAIN is missing" in ran.err
    assert "ROUTER_HTTPS_PORT" in ran.err
    assert bare("tenant", "list", "--json").error == "bad_settings"


@pytest.mark.parametrize(
    "arguments",
    [
        ("tenant", "list"),
        ("tenant", "show", "acme"),
        ACME,
        ("certificate", "list"),
        ("explain", "acme.example"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_database_without_tables_is_told_apart(arguments: tuple[str, ...], bare: Shell) -> None:
    """The command to run first is named, and where was looked; no empty database appears by asking."""
    ran = bare(*arguments, "--json")
    assert (ran.code, ran.error) == (Exit.UNAVAILABLE, "database_not_migrated")
    assert "tenant-router migrate" in ran.err
    assert f"There is no database at {bare.folder / 'data' / 'router.db'} (ROUTER_DATABASE_URL" in ran.err
    assert list(bare.folder.iterdir()) == []


def test_an_empty_database_is_told_with_its_place(bare: Shell) -> None:
    """A file that another program made, or one that was never migrated: the sentence says which it is."""
    place = bare.folder / "data" / "router.db"
    place.parent.mkdir()
    place.touch()
    ran = bare("tenant", "list", "--json")
    assert (ran.code, ran.error) == (Exit.UNAVAILABLE, "database_not_migrated")
    assert f"The database at {place} has no tables yet, or older ones." in ran.err
    assert "First: tenant-router migrate" in ran.err


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql+asyncpg://ann:hush@db.example:5432/router?password=hush", "db.example/router"),
        ("postgresql+asyncpg:///router", "this machine/router"),
        ("sqlite+aiosqlite:////var/lib/router.db", "/var/lib/router.db"),
    ],
)
def test_where_a_database_is_holds_no_secret(url: str, place: str) -> None:
    """The host and the database's name, or the file; neither a password nor what else is in the URL."""
    assert place_of(url) == place


def test_a_database_of_a_newer_version_is_left_alone(shell: Shell) -> None:
    """An older program does not write into tables that it does not know."""
    with closing(sqlite3.connect(shell.folder / "data" / "router.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    ran = shell("tenant", "list", "--json")
    assert (ran.code, ran.error) == (Exit.UNAVAILABLE, "database_newer")


def test_a_database_that_is_away_is_told_with_its_cause(bare: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 6, the sentence for programs, the cause for people, and no password in either."""
    monkeypatch.setenv("ROUTER_DATABASE_URL", "postgresql://router:hush-hush@127.0.0.1:1/router")
    ran = bare("tenant", "list")
    assert ran.code == Exit.UNAVAILABLE
    assert "Cause: " in ran.err
    assert "hush-hush" not in ran.err
    assert bare("tenant", "list", "--json").error == "database_unavailable"


@pytest.mark.parametrize(
    "arguments", [("--help",), ("tenant", "add", "--help"), ("--version",)], ids=" ".join
)
def test_help_imports_nothing_slow(arguments: tuple[str, ...], bare: Shell) -> None:
    """No database, server or cryptography is imported to answer --help (more than a second of start-up)."""
    script = (
        "import sys; from router.cli.app import main; main(sys.argv[1:]);"
        "slow = {'sqlalchemy', 'alembic', 'aiohttp', 'redis', 'cryptography', 'uvloop'};"
        "print(*sorted(slow & set(sys.modules)), file=sys.stderr)"
    )
    ran = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", script, *arguments], capture_output=True, cwd=ROOT, timeout=60, check=True
    )
    assert ran.stderr.decode().strip() == ""
    assert ran.stdout


def test_a_reader_that_has_seen_enough_is_no_error(shell: Shell) -> None:
    """Piping into `head` ends quietly."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        ran = subprocess.run(
            [sys.executable, "-m", "router", "settings"],
            stdout=closed,
            stderr=subprocess.PIPE,
            cwd=shell.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            timeout=60,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (0, b"")
