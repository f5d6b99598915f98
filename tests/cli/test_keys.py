"""``keys``: what encrypts what, encrypting anew, and giving up what is lost."""

from __future__ import annotations

import base64
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from router.cli.output import Exit
from router.storage.sealed import SEALED
from router.storage.sealing import key_id
from tests.cli.conftest import ROOT, issue

if TYPE_CHECKING:
    import trustme

    from tests.cli.conftest import Shell

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
MISSING = "encryption_key_missing"


def use(monkeypatch: pytest.MonkeyPatch, *keys: bytes) -> None:
    """Set the encryption keys."""
    text = ",".join(base64.urlsafe_b64encode(key).decode() for key in keys)
    monkeypatch.setenv("ROUTER_ENCRYPTION_KEYS", text)


@pytest.fixture
def stored(acme: Shell, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell with a certificate in the vault, encrypted with OLD."""
    use(monkeypatch, OLD)
    files = issue(authority, acme.folder, "acme", "acme.portal.example")
    assert acme("certificate", "upload", *files, "--tenant", "acme").code == Exit.OK
    return acme


def test_everything_that_is_sealed_is_shown(stored: Shell) -> None:
    """Who takes a key away looks at the status: what it leaves out would keep the router from starting."""
    (row,) = stored("keys", "status", "--json").answer
    assert set(row) - {"key", "role"} == {sealed.kind for sealed in SEALED}


def test_the_status_is_one_line_a_key(stored: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first encrypts, the others decrypt, by ids; no key itself is ever shown."""
    use(monkeypatch, NEW, OLD)
    rows = stored("keys", "status", "--json").answer
    assert [(row["key"], row["role"], row["certificates"]) for row in rows] == [
        (key_id(NEW), "encrypts", 0),
        (key_id(OLD), "decrypts", 1),
    ]
    ran = stored("keys", "status")
    assert ran.code == Exit.OK
    assert base64.urlsafe_b64encode(NEW).decode() not in ran.out


def test_a_rotation_makes_the_former_key_unused(stored: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was encrypted with it opens with the new one alone, and the answer says it can go."""
    use(monkeypatch, NEW, OLD)
    ran = stored("keys", "rotate")
    assert ran.code == Exit.OK
    assert "1 of 1" in ran.err
    assert "1 certificate" in ran.out
    assert f"Nothing is encrypted with {key_id(OLD)} any more" in ran.out
    use(monkeypatch, NEW)
    assert stored("keys", "status").code == Exit.OK
    assert stored("explain", "acme.portal.example", "--json").answer["certificate"]["id"].startswith("crt_")
    again = stored("keys", "rotate", "--json")
    assert again.err == ""
    assert sum(again.answer["encrypted_anew"].values()) == 0


def test_a_rotation_waits_for_workers_without_the_new_key(
    stored: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two has it: the other is named and nothing is done; dead ones do not count."""
    use(monkeypatch, NEW, OLD)
    told = "INSERT INTO workers VALUES (?, ?, 7, 0, ?, 0, NULL, ?)"
    both, former = f'["{key_id(NEW)}", "{key_id(OLD)}"]', f'["{key_id(OLD)}"]'
    now = int(time.time())
    with closing(sqlite3.connect(stored.folder / "data" / "router.db")) as database, database:
        rows = [("wrk_1", "a", now, both), ("wrk_2", "b", now, former), ("wrk_3", "c", now - 60, "[]")]
        database.executemany(told, rows)
    ran = stored("keys", "rotate", "--json")
    assert (ran.code, ran.error) == (Exit.CONFLICT, "workers_without_key")
    assert "1 of 2 running workers" in ran.err
    assert "b, process 7" in ran.err
    assert stored("keys", "status", "--json").answer[1]["certificates"] == 1
    with closing(sqlite3.connect(stored.folder / "data" / "router.db")) as database, database:
        database.execute("DELETE FROM workers WHERE id = 'wrk_2'")
    assert stored("keys", "rotate").code == Exit.OK


def test_a_missing_key_is_told_wherever_it_is_needed(stored: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that seal or open say so in one sentence and change nothing; the others go on working."""
    use(monkeypatch, NEW)
    files = (str(stored.folder / "acme.pem"), str(stored.folder / "acme.key"))
    ran = stored("certificate", "upload", *files, "--tenant", "acme", "--json")
    assert (ran.code, ran.error) == (Exit.BAD_INPUT, MISSING)
    assert f"keys forget {key_id(OLD)}" in ran.err
    assert stored("tenant", "list").code == Exit.OK
    status = stored("keys", "status", "--json")
    assert status.code == Exit.WRONG
    assert {row["key"]: row["role"] for row in status.answer} == {
        key_id(NEW): "encrypts",
        key_id(OLD): "missing",
    }


def test_a_lost_key_file_is_not_made_anew(stored: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key in the settings and without the file, no new key appears beside what is encrypted."""
    monkeypatch.delenv("ROUTER_ENCRYPTION_KEYS")
    files = (str(stored.folder / "acme.pem"), str(stored.folder / "acme.key"))
    ran = stored("certificate", "upload", *files, "--tenant", "acme", "--json")
    assert (ran.code, ran.error) == (Exit.BAD_INPUT, MISSING)
    assert not (stored.folder / "data" / "encryption.key").exists()
    assert stored("keys", "rotate", "--json").error == "no_encryption_key"


def test_a_rotation_without_the_former_key_names_what_stays(
    stored: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 1, the records that do not open, and what is left with which key."""
    use(monkeypatch, NEW)
    ran = stored("keys", "rotate", "--json")
    assert ran.code == Exit.WRONG
    assert ran.answer["left"] == {key_id(OLD): {"certificates": 1}}
    (identity,) = ran.answer["unopened"]
    assert identity.startswith("certificate:crt_")


def test_what_is_lost_is_given_up_by_a_word(stored: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not without the option, not while the key is there, and afterwards everything works again."""
    lost = key_id(OLD)
    assert stored("keys", "forget", lost, "--json").error == "usage"
    ran = stored("keys", "forget", lost, "--it-is-lost", "--json")
    assert (ran.code, ran.error) == (Exit.CONFLICT, "encryption_key_present")
    use(monkeypatch, NEW)
    ran = stored("keys", "forget", lost.upper(), "--it-is-lost", "--json")
    assert ran.answer == {"key": lost, "given_up": {"certificates": 1}}
    assert stored("keys", "status").code == Exit.OK
    files = (str(stored.folder / "acme.pem"), str(stored.folder / "acme.key"))
    assert stored("certificate", "upload", *files, "--tenant", "acme").code == Exit.OK
    ran = stored("keys", "forget", lost, "--it-is-lost", "--json")
    assert (ran.code, ran.error) == (Exit.NOT_FOUND, "encryption_key_unused")


def test_before_the_first_start_there_is_no_key(shell: Shell) -> None:
    """Asking makes none."""
    ran = shell("keys", "status")
    assert (ran.code, "There is none yet" in ran.out) == (Exit.OK, True)
    assert not (shell.folder / "data" / "encryption.key").exists()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_a_rotation_between_two_batches(
    stored: Shell, monkeypatch: pytest.MonkeyPatch, sent: signal.Signals
) -> None:
    """It ends with 130 and says what is left; run again, it finishes."""
    with closing(sqlite3.connect(stored.folder / "data" / "router.db")) as connection, connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(certificates)") if row[1] != "id"]
        named = ", ".join(columns)
        for number in range(1500):  # they do not open, under another id: it has to look at each all the same
            connection.execute(
                f"INSERT INTO certificates (id, {named}) "  # noqa: S608 - the table's own columns
                f"SELECT 'crt_{number:05}', {named} FROM certificates WHERE id NOT LIKE 'crt_0____' LIMIT 1"
            )
    use(monkeypatch, NEW, OLD)
    with subprocess.Popen(
        [sys.executable, "-m", "router", "keys", "rotate"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=stored.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "100 of 1501\n"
        running.send_signal(sent)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 130, err
    assert f"Still encrypted with key {key_id(OLD)}" in out
    assert "Traceback" not in err
