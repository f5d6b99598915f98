"""``export`` and ``apply``: tenants as files, on both databases where it matters."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from router.cli.output import Exit
from tests.cli.conftest import ACME, ROOT

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

FILE = """\
tenants:
- slug: acme
  name: Acme Tools
  theme_colour: '#0b6e4f'
  upstreams:
  - http://1.1.1.1:8080
  external_domain: billing.acme.example
  allow_registration: true
  branding:
    greeting: 'Good: to see you # really'
  forwarding:
    max_body: 1048576
    answer_fields:
    - 'X-A: b'
- slug: globex
  name: 'No'
  theme_colour: '#00ff00'
  upstreams:
  - http://1.0.0.1:80 weight=2
  suspended: true
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, bare: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell with an empty database, once of each kind."""
    if request.param == "postgresql":
        postgres = request.getfixturevalue("postgres")
        monkeypatch.setenv("ROUTER_DATABASE_URL", postgres.url("template1"))
        name = f"apply_{os.getpid()}_{request.node.name.encode().hex()[:40]}"
        monkeypatch.setenv("ROUTER_DATABASE_URL", made(postgres.url(), name, postgres.url(name)))
    assert bare("migrate").code == Exit.OK
    return bare


def made(server: str, name: str, url: str) -> str:
    """Make a database of our own, and say where it is."""
    import asyncio  # noqa: PLC0415 - only here

    import asyncpg  # noqa: PLC0415 - only here

    async def make() -> None:
        connection = await asyncpg.connect(server)
        await connection.execute(f'CREATE DATABASE "{name}"')
        await connection.close()

    asyncio.run(make())
    return url


def write(shell: Shell, text: str, name: str = "tenants.yaml") -> str:
    """Write a file, and give its name."""
    (shell.folder / name).write_text(text, "utf-8")
    return name


def test_a_file_is_applied_and_exported_as_it_was(either: Shell) -> None:
    """What was applied is what is exported, byte for byte; applying it again changes nothing."""
    file = write(either, FILE)
    checked = either("apply", "-f", file, "--check", "--json")
    assert (checked.code, checked.answer["counts"]["add"]) == (Exit.PENDING, 2)
    assert either("tenant", "list", "--json").answer == []
    done = either("apply", "-f", file, "--yes", "--json")
    assert (done.code, done.answer["counts"]) == (0, {"add": 2, "change": 0, "unchanged": 0, "failed": 0})
    assert either("export").out == FILE
    versions = [record["version"] for record in either("tenant", "list", "--json").answer]
    again = either("apply", "-f", file, "--yes")
    assert (again.code, again.out) == (Exit.OK, "Nothing to do: everything is as the file says.\n")
    assert either("apply", "-f", file, "--check").code == Exit.OK
    assert [record["version"] for record in either("tenant", "list", "--json").answer] == versions


def test_a_plan_tells_field_by_field_what_changes(either: Shell) -> None:
    """From what to what; what is taken out of the file goes back to its default; others stay."""
    assert either("apply", "-f", write(either, FILE), "--yes").code == Exit.OK
    head, _, _ = FILE.partition("- slug: globex")
    changed = head.replace("Acme Tools", "Acme Inc.").replace("  allow_registration: true\n", "")
    told = either("apply", "-f", write(either, changed), "--check", "--json").answer
    fields = {
        "name": {"from": "Acme Tools", "to": "Acme Inc."},
        "allow_registration": {"from": True, "to": False},
    }
    assert told["changes"] == [{"tenant": "acme", "act": "change", "fields": fields}]
    shown = either("apply", "-f", "tenants.yaml", "--yes")
    assert shown.code == Exit.OK
    for words in (("acme", "change", "name", "Acme Tools", "Acme Inc."), ("allow_registration", "yes", "no")):
        assert any(all(word in line for word in words) for line in shown.out.splitlines())
    assert "0 added, 1 changed, 0 unchanged." in shown.out
    assert len(either("tenant", "list", "--json").answer) == 2


def test_all_faults_are_told_at_once_by_line_and_place_and_nothing_is_changed(acme: Shell) -> None:
    """Those of the file's form and those of its values, in the order of the lines."""
    file = write(
        acme,
        "tenants:\n"
        "- slug: good\n  name: Good\n  theme_colour: '#123'\n  upstreams: [http://1.1.1.1]\n"
        "- slug: bad\n  name: 12\n  theme_colour: '#12'\n  upstreams: [http://1.1.1.1, http://127.0.0.1]\n"
        "  branding: {gretting: x, theme: nope}\n"
        "- slug: good\n  theme_colour: #0B6E4F\n  upstreams: [http://1.1.1.1]\n",
    )
    ran = acme("apply", "-f", file, "--yes", "--json")
    assert (ran.code, ran.error) == (Exit.BAD_INPUT, "bad_file")
    faults = [(each["line"], each["where"], each["code"]) for each in json.loads(ran.err)["error"]["faults"]]
    assert faults == [
        (7, "tenants[1].name", "bad_value"),
        (8, "tenants[1].theme_colour", "bad_colour"),
        (9, "tenants[1].upstreams[1]", "private_upstream"),
        (10, "tenants[1].branding.gretting", "unknown_field"),
        (10, "tenants[1].branding.theme", "unknown_theme"),
        (11, "tenants[2].name", "missing_field"),
        (11, "tenants[2].slug", "duplicate_slug"),
        (12, "tenants[2].theme_colour", "bad_value"),
    ]
    told = acme("apply", "-f", file, "--yes")
    assert "tenants.yaml has 8 faults: nothing was changed." in told.err
    assert "line 10: tenants[1].branding.gretting: There is no such field; did you mean greeting?" in told.err
    assert [record["slug"] for record in acme("tenant", "list", "--json").answer] == ["acme"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("tenants:\n- slug: a\n  slug: b\n", "bad_yaml"),
        ("- slug: a\n", "bad_file"),
        ("", "bad_file"),
        ("tenants:\n  acme: {}\n", "bad_file"),
        ("tenants:\n- acme\n", "bad_file"),
        ("tenants: []\nthemes: []\n", "bad_file"),
    ],
    ids=range(6),
)
def test_what_is_no_file_of_tenants_is_refused(text: str, code: str, shell: Shell) -> None:
    """A key that stands twice is not the last one's word."""
    ran = shell("apply", "-f", write(shell, text), "--yes", "--json")
    assert (ran.code, ran.error) == (Exit.BAD_INPUT, code)


def test_a_file_that_cannot_be_read_is_told(shell: Shell) -> None:
    """One that is not there, and one that is not UTF-8, by the line."""
    assert shell("apply", "-f", "none.yaml", "--json").error == "file_unreadable"
    (shell.folder / "odd.yaml").write_bytes(b"tenants:\n- slug: \xff\n")
    assert "see line 2" in shell("apply", "-f", "odd.yaml").err


def test_nobody_is_asked_where_nobody_is(shell: Shell) -> None:
    """Without a terminal and without --yes nothing is changed, and the exit code says why."""
    file = write(shell, FILE)
    ran = shell.process("apply", "-f", file)
    assert ran.code == Exit.UNCONFIRMED
    assert "--yes" in ran.err
    assert shell("apply", "-f", file, "--json").error == "not_confirmed"
    assert shell("tenant", "list", "--json").answer == []


def at_a_terminal(shell: Shell, said: bytes, *arguments: str) -> tuple[int, str]:
    """Run a command at a terminal, say something when asked, and give its exit code and what was seen."""
    master, slave = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"}
    command = [sys.executable, "-m", "router", *arguments]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=slave, stdout=slave, stderr=slave, cwd=shell.folder, env=environment
    ) as ran:
        os.close(slave)
        seen = b""
        while True:
            try:
                more = os.read(master, 4096)
            except OSError:  # EIO: nobody holds the other end any more
                break
            seen += more
            if said and b"[y/N] " in seen:
                os.write(master, said)
                said = b""
        code = ran.wait(60)
    os.close(master)
    return code, seen.decode()


@pytest.mark.parametrize(("said", "code", "many"), [(b"y\n", Exit.OK, 2), (b"\n", Exit.UNCONFIRMED, 0)])
def test_whoever_sits_there_is_asked(said: bytes, code: Exit, many: int, shell: Shell) -> None:
    """The plan is shown before, and only yes is yes."""
    ended, seen = at_a_terminal(shell, said, "apply", "-f", write(shell, FILE))
    assert ended == code
    assert seen.index("globex") < seen.index("[y/N]")
    assert len(shell("tenant", "list", "--json").answer) == many


def test_a_file_goes_on_where_it_was_interrupted(shell: Shell) -> None:
    """Killed in the middle, every tenant is whole or not there; the same again does the rest."""
    entry = "- slug: t{0}\n  name: T{0}\n  theme_colour: '#123'\n  upstreams: [http://1.1.1.1]\n"
    write(shell, "tenants:\n" + "".join(entry.format(each) for each in range(400)))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "router", "apply", "-f", "tenants.yaml", "--yes"],
        cwd=shell.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
    ) as ran:
        while not shell("tenant", "list", "--json").answer and ran.poll() is None:
            pass  # each look is an event of its own: a command that reads the database
        ran.send_signal(signal.SIGKILL)
    there = shell("tenant", "list", "--json").answer
    assert 0 < len(there) < 400
    assert all(len(record["claims"]) == 1 for record in there)
    done = shell("apply", "-f", "tenants.yaml", "--yes", "--json").answer["counts"]
    assert done == {"add": 400 - len(there), "change": 0, "unchanged": len(there), "failed": 0}


def test_what_cannot_be_done_is_told_and_the_rest_is_done(acme: Shell) -> None:
    """A hostname that was refused to a tenant is a conflict of that tenant's alone."""
    assert acme("domain", "add", "acme", "bad.acme.example").code == Exit.OK
    assert acme("domain", "block", "bad.acme.example", "--reason", "Not theirs").code == Exit.OK
    file = write(acme, FILE.replace("billing.acme.example", "bad.acme.example"))
    ran = acme("apply", "-f", file, "--yes", "--json")
    assert (ran.code, ran.answer["failed"][0]["code"]) == (Exit.CONFLICT, "claim_state")
    assert {record["slug"] for record in acme("tenant", "list", "--json").answer} == {"acme", "globex"}
    assert acme("tenant", "show", "acme", "--json").answer["branding"]["greeting"] == ""


def test_an_export_is_of_all_or_of_those_that_are_named(shell: Shell) -> None:
    """By short name, into a file or onto the screen, as YAML or JSON; nobody by that name is told."""
    assert shell("export").out == "tenants: []\n"
    assert shell("apply", "-f", write(shell, FILE), "--yes").code == Exit.OK
    some = shell("export", "--tenant", "globex", "--json")
    assert [entry["slug"] for entry in some.answer["tenants"]] == ["globex"]
    assert shell("export", "-o", "all.yaml").out == ""
    assert (shell.folder / "all.yaml").read_text("utf-8") == FILE
    missing = shell("export", "--tenant", "nobody")
    assert (missing.code, missing.out) == (Exit.NOT_FOUND, "")
    assert "tenant-router tenant list" in missing.err
    assert shell("export", "-o", "no/such/folder.yaml", "--json").error == "file_unwritable"


def test_an_export_holds_no_secret_and_no_picture(acme: Shell) -> None:
    """Tokens of claims, users and certificates stay where they are."""
    assert acme(*ACME[:2], "other", *ACME[3:], "--external-domain", "a.example.com").code == Exit.OK
    token = acme("domain", "status", "a.example.com", "--json").answer["txt_token"]
    assert token not in acme("export").out
