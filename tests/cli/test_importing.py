"""``import``: tenants by a table, with a report of the lines that are wrong."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

import pytest

from router.cli.output import Exit
from tests.cli.test_apply import at_a_terminal, either, write

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

__all__ = ["either"]

GOOD = """\
slug,name,theme_colour,upstreams,external_domain,allow_registration,greeting,max_body,suspended
acme,"Acme, Inc.",#0B6E4F,http://1.1.1.1:80 weight=3|http://1.0.0.1:80,billing.acme.example,yes,Hi,10MiB,
globex,Globex,#0f0,http://1.1.1.1:80,,no,,,yes

initech,"Ini
tech",#00f,http://1.1.1.1:80,,,,,
"""
BAD = """\
slug,name,theme_colour,upstreams,allow_registration
good,Good,#123456,http://1.1.1.1:80,
-x,,red,http://127.0.0.1:80|http://1.1.1.1:80,
odd,Odd,#123456,http://1.1.1.1:80,perhaps
short,Short
good,Again,#123456,http://1.1.1.1:80,
,No name,#123456,http://1.1.1.1:80,
fine,Fine,#123456,http://1.1.1.1:80,TRUE
"""
FAULTS = [
    (3, "slug", "bad_slug"),
    (3, "name", "missing_field"),
    (3, "theme_colour", "bad_colour"),
    (3, "upstreams", "private_upstream"),
    (4, "allow_registration", "bad_value"),
    (5, "-", "bad_line"),
    (6, "slug", "duplicate_slug"),
    (7, "slug", "missing_field"),
]


def slugs(shell: Shell) -> list[str]:
    """The tenants that there are."""
    return [record["slug"] for record in shell("tenant", "list", "--json").answer]


def test_a_table_is_imported_and_again_is_nothing_to_do(either: Shell) -> None:
    """Texts, lists, yes and no, sizes, cells of two lines; the second time all is as wished."""
    file = write(either, GOOD, "tenants.csv")
    assert either("import", file, "--check").code == Exit.PENDING
    done = either("import", file, "--yes", "--json")
    assert (done.code, done.answer["counts"]["add"]) == (Exit.OK, 3)
    acme = either("tenant", "show", "acme", "--json").answer
    assert acme["name"] == "Acme, Inc."
    assert acme["upstreams"] == ["http://1.1.1.1:80 weight=3", "http://1.0.0.1:80"]
    assert (acme["allow_registration"], acme["branding"]["greeting"]) == (True, "Hi")
    assert acme["forwarding"]["max_body"] == 10 * 2**20
    assert either("tenant", "show", "globex", "--json").answer["status"] == "suspended"
    assert either("tenant", "show", "initech", "--json").answer["name"] == "Ini tech"
    again = either("import", file, "--yes", "--json")
    assert again.answer["counts"] == {"add": 0, "change": 0, "unchanged": 3, "failed": 0}
    assert either("import", file, "--check").code == Exit.OK


def test_an_empty_cell_says_nothing(shell: Shell) -> None:
    """A table of a few columns changes these, and an empty one takes nothing away."""
    assert shell("import", write(shell, GOOD, "a.csv"), "--yes").code == Exit.OK
    table = "slug;name;external-domain;greeting\nacme;Acme Tools;;\n"
    told = shell("import", write(shell, table, "b.csv"), "--yes", "--json").answer
    assert told["changes"] == [
        {"tenant": "acme", "act": "change", "fields": {"name": {"from": "Acme, Inc.", "to": "Acme Tools"}}}
    ]
    acme = shell("tenant", "show", "acme", "--json").answer
    assert (acme["branding"]["greeting"], acme["claims"][1]["hostname"]) == ("Hi", "billing.acme.example")


def test_a_table_may_call_the_short_name_as_the_api_does(shell: Shell) -> None:
    """``portal_address`` is ``slug``, as reports and exported files call it; both at once is a fault."""
    table = BAD.replace("slug", "Portal address", 1)
    ran = shell("import", write(shell, table, "t.csv"), "--yes", "--json")
    assert ran.code == Exit.WRONG
    assert [(each["line"], each["column"], each["code"]) for each in ran.answer["faults"]] == FAULTS
    assert slugs(shell) == ["fine", "good"]
    ran = shell("import", write(shell, "slug,portal_address\na,b\n", "both.csv"), "--yes", "--json")
    [fault] = json.loads(ran.err)["error"]["faults"]
    assert (fault["where"], fault["code"]) == ("slug", "duplicate_column")


def test_lines_that_are_wrong_are_told_and_the_others_imported(shell: Shell) -> None:
    """By line and column; into a report that a spreadsheet or a program reads; exit code 1."""
    ran = shell("import", write(shell, BAD, "t.csv"), "--yes", "--report", "wrong.csv", "--json")
    assert ran.code == Exit.WRONG
    assert [(each["line"], each["column"], each["code"]) for each in ran.answer["faults"]] == FAULTS
    assert slugs(shell) == ["fine", "good"]
    with (shell.folder / "wrong.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["line"]), row["column"], row["code"]) for row in rows] == FAULTS
    assert all(row["sentence"].endswith(".") for row in rows)
    again = shell("import", "t.csv", "--yes", "--report", "wrong.json")
    assert again.code == Exit.WRONG
    assert "0 to add, 0 to change, 2 as they are, 5 lines wrong." in again.out
    assert "bad_colour" in again.out
    told = json.loads((shell.folder / "wrong.json").read_text("utf-8"))
    assert [(each["line"], each["column"], each["code"]) for each in told] == FAULTS


def test_all_or_nothing_is_nothing_when_a_line_is_wrong(shell: Shell) -> None:
    """Nothing is changed, the report is written, and it is bad input."""
    ran = shell(
        "import", write(shell, BAD, "t.csv"), "--yes", "--all-or-nothing", "--report", "wrong.csv", "--json"
    )
    assert (ran.code, ran.error) == (Exit.BAD_INPUT, "bad_file")
    assert len(json.loads(ran.err)["error"]["faults"]) == len(FAULTS)
    assert slugs(shell) == []
    assert (shell.folder / "wrong.csv").exists()
    assert shell("import", write(shell, GOOD, "g.csv"), "--yes", "--all-or-nothing").code == Exit.OK


@pytest.mark.parametrize(
    ("text", "where", "code"),
    [
        ("", "slug", "missing_column"),
        ("name\nx\n", "slug", "missing_column"),
        ("slug,colour\n", "colour", "unknown_column"),
        ("slug,name,Name\n", "name", "duplicate_column"),
        ("slug,logo\n", "logo", "unknown_column"),
        ('slug,name\na,"b"c\n', "-", "bad_csv"),
        ('slug,name\na,"b\n', "-", "bad_csv"),
    ],
    ids=range(7),
)
def test_what_is_no_table_of_tenants_is_refused(text: str, where: str, code: str, shell: Shell) -> None:
    """A column that nobody knows is not left out in silence."""
    ran = shell("import", write(shell, text, "t.csv"), "--yes", "--json")
    assert ran.code == Exit.BAD_INPUT
    [fault] = json.loads(ran.err)["error"]["faults"]
    assert (fault["where"], fault["code"]) == (where, code)


def test_nobody_is_asked_where_nobody_is(shell: Shell) -> None:
    """As with apply."""
    assert shell.process("import", write(shell, GOOD, "t.csv")).code == Exit.UNCONFIRMED
    assert slugs(shell) == []
    table = (shell.folder / "t.csv").read_bytes()
    assert shell.process("import", "-", "--yes", stdin=table).code == Exit.OK
    assert len(slugs(shell)) == 3


def test_long_work_shows_how_far_it_is_to_whoever_watches(shell: Shell) -> None:
    """A bar at a terminal, and thousands in seconds; into a pipe goes none."""
    lines = "".join(f"t{each},T {each},#123,http://1.1.1.1:80\n" for each in range(3000))
    write(shell, "slug,name,theme_colour,upstreams\n" + lines, "t.csv")
    code, seen = at_a_terminal(shell, b"", "import", "t.csv", "--yes")
    assert code == Exit.OK
    assert "3000/3000" in seen
    assert "3000 added, 0 changed, 0 unchanged." in seen
    ran = shell.process("import", "t.csv")
    assert (ran.err, ran.code) == ("", Exit.OK)
