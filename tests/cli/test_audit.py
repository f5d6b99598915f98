"""``audit``: listed with filters, and exported as JSON lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from router.cli.output import Exit

if TYPE_CHECKING:
    from tests.cli.conftest import Shell


def test_what_was_done_is_listed(acme: Shell) -> None:
    """The newest first, with who did it: whoever runs the command."""
    acme("tenant", "suspend", "acme")
    lines = acme("audit", "list", "--json").answer
    assert [line["action"] for line in lines][-1] == "tenant.add"
    assert lines[0]["action"] == "tenant.suspend"
    assert lines[0]["tenant"] == "acme"
    assert lines[0]["actor"].startswith("cli:")
    assert "tenant.suspend" in acme("audit", "list").out


def test_filters(acme: Shell) -> None:
    """By tenant, actor, kind of action and time; and no more than asked for."""
    acme("token", "add", "Platform's")
    for options, actions in (
        (["--action", "token"], ["token.add"]),
        (["--tenant", "acme", "--action", "tenant"], ["tenant.add"]),
        (["--actor", "cli:nobody-at-all"], []),
        (["--until", "2026-01-01"], []),
        (["--since", "2026-01-01T00:00:00+02:00", "--action", "token"], ["token.add"]),
        (["--most", "1"], ["token.add"]),
    ):
        assert [line["action"] for line in acme("audit", "list", *options, "--json").answer] == actions
    assert acme("audit", "list", "--tenant", "nobody").out == "There are no such lines.\n"


def test_what_is_no_time_is_refused(acme: Shell) -> None:
    """With how one is written."""
    ran = acme("audit", "list", "--since", "yesterday", "--json")
    assert (ran.code, ran.error) == (Exit.BAD_INPUT, "bad_time")


def test_it_is_written_to_a_file(acme: Shell) -> None:
    """One object a line, the oldest first, as the API writes them."""
    listed = acme("audit", "list", "--json").answer
    path = acme.folder / "audit.jsonl"
    assert acme("audit", "export", "--output", str(path)).out == ""
    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == listed[::-1]
    unwritable = acme("audit", "export", "--output", str(path / "below"), "--json")
    assert (unwritable.code, unwritable.error) == (Exit.BAD_INPUT, "file_unwritable")


def test_it_is_written_to_a_pipe(acme: Shell) -> None:
    """Without a file, so that other programs can have it."""
    out = acme("audit", "export", "--action", "tenant").out
    assert [json.loads(line)["action"] for line in out.splitlines()] == ["tenant.add"]
