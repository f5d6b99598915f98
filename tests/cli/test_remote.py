"""``--server``: the same commands through the API of a router that serves, over real TLS."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from PIL import Image

from router.cli.app import app
from router.cli.output import Exit
from router.cli.remote.client import failure_of
from router.cli.remote.commands import COMMANDS
from router.cli.remote.place import Place, find_place
from router.console.scopes import Scope
from router.errors import BadInput, BadSettings, Conflict, NotFound, Unavailable
from tests.cli.conftest import Ran, Shell, issue
from tests.cli.test_apply import FILE
from tests.journeys.serving import WITHIN, settings_of, told_by

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADMIN = "admin.portal.example"
ACME = (
    "tenant",
    "add",
    "acme",
    "--name",
    "Acme",
    "--theme-colour",
    "#0B6E4F",
    "--upstream",
    "http://1.1.1.1:80",
)


@dataclass(frozen=True)
class Router:
    """A running router, and an authority that vouches for it."""

    settings: dict[str, str]
    folder: Path
    authority: trustme.CA
    all_scopes: str = ""

    def local(self, *arguments: str) -> Any:  # noqa: ANN401 - JSON is anything
        """Run a command beside it, on its own database."""
        ran = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "router", *arguments, "--json"],
            env=self.settings,
            cwd=self.folder,
            capture_output=True,
            check=False,
            timeout=WITHIN,
        )
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def token(self, *scopes: str) -> str:
        """Make a token."""
        options = [part for scope in scopes for part in ("--scope", scope)]
        return str(self.local("token", "add", "Test", *options)["token"])


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    """Serve, with a certificate for the console's hostname."""
    folder, authority = tmp_path_factory.mktemp("node"), trustme.CA()
    (folder / "certs").mkdir()
    issue(authority, folder / "certs", ADMIN, ADMIN)
    settings = settings_of(folder, workers="1")
    with (folder / "err.txt").open("wb") as told:
        served = subprocess.Popen(
            [sys.executable, "-m", "router", "serve"], env=settings, cwd=folder, stdout=told, stderr=told
        )
    try:
        deadline = time.monotonic() + WITHIN
        while '"event": "serving"' not in told_by(folder):
            assert served.poll() is None, told_by(folder)
            assert time.monotonic() < deadline, told_by(folder)
            time.sleep(0.05)
        made = Router(settings, folder, authority)
        yield replace(made, all_scopes=made.token(*Scope))
    finally:
        served.terminate()
        assert served.wait(WITHIN) == 0


class Elsewhere:
    """A shell on another machine: without settings, with a token and the authority's certificate."""

    def __init__(self, shell: Shell, router: Router) -> None:
        self.shell = shell
        self.router = router
        router.authority.cert_pem.write_to_path(str(shell.folder / "ca.pem"))
        self.show(router.all_scopes)

    def show(self, token: str) -> None:
        """Have another token shown from now on."""
        (self.shell.folder / "token").write_text(f"{token}\n")

    def __call__(self, *arguments: str, host: str = ADMIN) -> Ran:
        """Run a command through the API."""
        server = f"https://{host}:{self.router.settings['ROUTER_HTTPS_PORT']}"
        return self.shell("--server", server, "--token-file", "token", "--ca-file=ca.pem", *arguments)


@pytest.fixture
def remote(router: Router, bare: Shell, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    """A shell elsewhere, where the DNS knows the console; the router has no tenants."""
    monkeypatch.delenv("ROUTER_PLATFORM_DOMAIN")
    asked = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **more: Any) -> Any:  # noqa: ANN401 - as the standard library's
        return asked("127.0.0.1" if host.endswith("portal.example") else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    made = Elsewhere(bare, router)
    for tenant in made("tenant", "list", "--json").answer:
        assert made("tenant", "delete", tenant["slug"], "--yes-delete", tenant["slug"]).code == Exit.OK
    return made


def added(remote: Elsewhere, *more: str) -> None:
    """Add Acme, whose name may have been a tenant's of another test."""
    assert remote(*ACME, "--take-over-slug", *more).code == Exit.OK


def test_a_tenant_is_added_changed_and_deleted_from_elsewhere(remote: Elsewhere) -> None:
    """Each answer is what the same command says on the router's own machine."""
    assert remote("tenant", "list", "--json").answer == []
    ran = remote(*ACME, "--take-over-slug", "--greeting", "Hi", "--health-interval", "10", "--json")
    assert (ran.code, ran.err) == (Exit.OK, "")
    assert ran.answer == remote.router.local("tenant", "show", "acme")
    told = remote("tenant", "set", "acme", "--no-upstream", "--json")
    assert (told.code, told.error) == (Exit.BAD_INPUT, "bad_count")
    changed = remote(
        "tenant", "set", "acme", "--theme-colour", "#123", "--external-domain", "b.acme.com", "--json"
    )
    local = remote.router.local("tenant", "show", "acme")
    told = remote("tenant", "show", "acme", "--json").answer
    del local["claims"], told["claims"]  # whose proof is being looked for meanwhile
    assert {name: changed.answer[name] for name in local} == local == told
    assert changed.answer["claims"][1]["hostname"] == "b.acme.com"
    again = remote("tenant", "set", "acme", "--theme-colour", "#123")
    assert "Nothing to change: tenant acme is like that." in again.out
    assert "Acme" in remote("tenant", "show", "acme").out
    assert remote("tenant", "suspend", "acme", "--json").answer["status"] == "suspended"
    assert remote("tenant", "resume", "acme", "--json").answer["status"] == "active"
    assert remote("tenant", "end-sessions", "acme", "--json").answer == {"slug": "acme", "ended": 0}
    [listed] = remote("tenant", "list", "--json").answer
    assert (listed["slug"], listed["external_domain"]) == ("acme", "b.acme.com")
    assert remote("tenant", "delete", "acme", "--yes-delete", "other").code == Exit.USAGE
    assert remote("tenant", "delete", "acme", "--yes-delete", "acme").code == Exit.OK
    assert remote.router.local("tenant", "list") == []


def test_a_picture_is_sent(remote: Elsewhere) -> None:
    """As octets, beside the other fields; and taken away."""
    picture = io.BytesIO()
    Image.new("RGB", (40, 20), "red").save(picture, "PNG")
    (remote.shell.folder / "logo.png").write_bytes(picture.getvalue())
    added(remote, "--logo", "logo.png")
    told = remote("tenant", "show", "acme", "--json").answer
    assert "40x20" in told["branding"]["logo"]
    assert told == remote.router.local("tenant", "show", "acme")
    gone = remote("tenant", "set", "acme", "--no-logo", "--name", "Acme Inc.", "--json").answer
    assert (gone["branding"]["logo"], gone["name"]) == ("", "Acme Inc.")


def test_faults_are_told_as_ever(remote: Elsewhere) -> None:
    """The same codes, sentences and exit codes as on the database, all fields at once."""
    wrong = ("tenant", "add", "novo", "--name", "", "--theme-colour", "red", "--upstream", "http://127.0.0.1")
    ran = remote(*wrong, "--json")
    assert ran.code == Exit.BAD_INPUT
    faults = [(each["field"], each["code"]) for each in json.loads(ran.err)["error"]["faults"]]
    assert faults == [
        ("name", "bad_name"),
        ("theme_colour", "bad_colour"),
        ("upstreams/0", "private_upstream"),
    ]
    missing = remote("tenant", "show", "nobody")
    assert (missing.code, missing.err) == (
        Exit.NOT_FOUND,
        "Error: There is no tenant “nobody”. See: tenant-router tenant list\n",
    )
    added(remote)
    assert (remote(*ACME).code, remote(*ACME, "--json").error) == (Exit.CONFLICT, "slug_taken")


def test_a_domain_from_claim_to_end(remote: Elsewhere) -> None:
    """Claimed, looked for, vouched for, waited for, suspended, given up."""
    added(remote)
    claimed = remote("domain", "add", "acme", "b.acme.com", "--json").answer
    local = remote.router.local("domain", "status", "b.acme.com")
    assert {
        name: local[name] for name in ("hostname", "tenant", "cname_target", "txt_name", "txt_token")
    } == {name: claimed[name] for name in ("hostname", "tenant", "cname_target", "txt_name", "txt_token")}
    assert claimed["given_up"] == []
    other = remote("tenant", "set", "acme", "--external-domain", "c.acme.com")
    assert "c.acme.com is " in other.out
    assert "c.acme.com CNAME" in other.out
    assert "c.acme.com was given up." in remote("domain", "add", "acme", "b.acme.com").out
    mine = ("b.acme.com", "--tenant", "acme")
    assert remote("domain", "status", "b.acme.com").code == Exit.USAGE
    assert [each["hostname"] for each in remote("domain", "list", "--tenant", "acme", "--json").answer] == [
        "b.acme.com"
    ]
    assert remote("domain", "list").code == Exit.USAGE
    assert remote("domain", "wait", *mine, "--timeout", "0").code == Exit.TIMED_OUT
    assert remote("domain", "activate", *mine, "--reason", "Contract").code == Exit.OK
    assert remote("domain", "wait", *mine).code == Exit.OK
    assert remote("domain", "verify", *mine).code == Exit.OK
    assert "b.acme.com is active." in remote("domain", "status", *mine).out
    for word, state in (
        ("suspend", "suspended"),
        ("resume", "active"),
        ("block", "blocked"),
        ("unblock", "pending"),
    ):
        reason = ("--reason", "Why not") if word in ("suspend", "block") else ()
        assert remote("domain", word, *mine, *reason, "--json").answer["state"] == state
    assert remote("domain", "release", *mine, "--json").answer["state"] == "released"
    assert remote("domain", "wait", *mine, "--json").error == "claim_state"


def test_a_certificate_is_judged_uploaded_and_listed(remote: Elsewhere) -> None:
    """As PEM; the key goes over TLS and comes back never."""
    added(remote)
    chain, key = issue(remote.router.authority, remote.shell.folder, "acme", "acme.portal.example")
    checked = remote("certificate", "check", chain, key, "--tenant", "acme", "--json").answer
    assert (checked["names"], checked["stored"]) == (["acme.portal.example"], False)
    made = remote("certificate", "upload", chain, key, "--tenant", "acme", "--wait", "30", "--json")
    assert (made.code, made.answer["state"]) == (Exit.OK, "active")
    assert "PRIVATE KEY" not in made.out
    [listed] = remote("certificate", "list", "--tenant", "acme", "--json").answer
    assert (listed["id"], listed["tenant"]) == (made.answer["id"], "acme")
    other, wrong = issue(remote.router.authority, remote.shell.folder, "other", "acme.portal.example")
    assert remote("certificate", "upload", other, key, "--tenant", "acme", "--json").error == "key_mismatch"
    assert remote("certificate", "upload", other, wrong).code == Exit.USAGE


def test_a_certificate_is_shown_rolled_back_and_deleted(remote: Elsewhere) -> None:
    """By its id or a hostname, as its owner's; the chain comes back as it was sent."""
    added(remote)
    mine, host = ("--tenant", "acme"), "acme.portal.example"
    ids = []
    for stem in ("first", "second"):
        issued = issue(remote.router.authority, remote.shell.folder, stem, host)
        ids.append(remote("certificate", "upload", *issued, *mine, "--wait", "30", "--json").answer["id"])
    shown = remote("certificate", "show", host, *mine, "--json").answer
    local = remote.router.local("certificate", "show", host, *mine)
    assert shown["id"] == ids[1]
    assert {name: shown[name] for name in local if name not in ("source", "faults")} == {
        name: value for name, value in local.items() if name not in ("source", "faults")
    }
    assert "1 of 1 workers have it" in remote("certificate", "show", host, *mine).out
    exported = remote("certificate", "export-public", host, *mine, "--json").answer
    assert exported == remote.router.local("certificate", "export-public", host)
    assert remote("certificate", "show", host, "--json").error == "no_such_certificate"
    assert remote("certificate", "show", ids[0], "--json").error == "no_such_certificate"
    [again] = remote("certificate", "rollback", host, *mine, "--json").answer
    assert again["id"] == ids[0]
    deleted = remote("certificate", "delete", ids[1], *mine, "--json").answer
    assert deleted == {"deleted": ids[1], "names": [host]}
    assert remote("certificate", "delete", ids[0], *mine, "--json").error == "last_certificate"
    assert remote("certificate", "delete", ids[0], *mine, "--even-the-last").code == Exit.OK


def test_operators(remote: Elsewhere) -> None:
    """Added with a link, listed, changed, kept out, removed; found by their addresses."""
    added(remote)
    who = "ada@operators.example"
    made = remote("operator", "add", who, "--tenant", "acme", "--json").answer
    assert (made["role"], made["tenant"], made["state"]) == ("tenant-operator", "acme", "invited")
    assert made["link"].startswith(f"https://{ADMIN}/welcome?t=")
    listed = remote("operator", "list", "--tenant", "acme", "--json").answer
    assert listed == remote.router.local("operator", "list", "--tenant", "acme")
    assert {"link": made["link"], **listed[0]} == made
    assert remote("operator", "role", who, "--read-only", "--json").answer["role"] == "tenant-reader"
    assert remote("operator", "disable", who, "--json").answer["state"] == "disabled"
    assert remote("operator", "link", who, "--json").error == "operator_disabled"
    assert f"{who} can sign in again." in remote("operator", "enable", who).out
    assert remote("operator", "link", who.upper(), "--json").answer["link"] != made["link"]
    assert remote("operator", "remove", who, "--json").answer["email"] == who
    ran = remote("operator", "remove", who, "--json")
    assert (ran.code, ran.error) == (Exit.NOT_FOUND, "no_such_operator")


def test_webhooks(remote: Elsewhere) -> None:
    """Set up with a secret that is shown once, tried out, switched, removed."""
    added(remote)
    made = remote("webhook", "add", "https://1.1.1.1/hook", "--tenant", "acme", "--json").answer
    secret, which = made.pop("secret"), made["id"]
    assert (made["tenant"], made["events"], made["disabled"]) == ("acme", ["*"], False)
    assert remote("webhook", "list", "--tenant", "acme", "--json").answer == [made]
    assert remote.router.local("webhook", "list", "--tenant", "acme") == [made]
    assert remote("webhook", "list", "--tenant", "nobody", "--json").error == "tenant_not_found"
    assert remote("webhook", "rotate", which, "--json").answer["secret"] != secret
    sent = remote("webhook", "test", which, "--json").answer
    told = remote("webhook", "deliveries", which, "--json").answer
    assert sent["id"] in [each["id"] for each in told]
    assert set(told[0]) == set(remote.router.local("webhook", "deliveries", which)[0])
    assert remote("webhook", "disable", which, "--json").answer["disabled"] is True
    ran = remote("webhook", "redeliver", which, sent["id"], "--json")
    assert (ran.code, ran.error) == (Exit.CONFLICT, "webhook_disabled")
    assert f"{which} is sent events again." in remote("webhook", "enable", which).out
    assert f"{which} is removed." in remote("webhook", "remove", which).out
    assert remote("webhook", "deliveries", which, "--json").error == "no_such_webhook"


def test_users_and_tokens(remote: Elsewhere) -> None:
    """Found by their addresses, changed, kept out; tokens made and revoked."""
    added(remote)
    invited = remote("user", "invite", "acme", "ada@example.com", "--customer", "C-1", "--json")
    assert (invited.code, invited.answer["status"]) == (Exit.OK, "open")
    assert [each["email"] for each in remote("user", "invitations", "acme", "--json").answer] == [
        "ada@example.com"
    ]
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "router",
            "user",
            "add",
            "acme",
            "bob@example.com",
            "--customer",
            "C-2",
            "--password-stdin",
        ],
        input=b"correct horse battery",
        env=remote.router.settings,
        cwd=remote.router.folder,
        check=True,
        capture_output=True,
    )
    assert ran.returncode == 0
    bob = ("acme", "Bob@Example.com")
    assert remote("user", "join", *bob, "--customer", "C-3", "--json").answer["customers"] == ["C-2", "C-3"]
    assert remote("user", "leave", *bob, "--customer", "C-2", "--json").answer["customers"] == ["C-3"]
    assert remote("user", "disable", *bob, "--json").answer["disabled"] is True
    assert remote("user", "enable", *bob, "--json").answer["disabled"] is False
    assert remote("user", "show", *bob, "--json").answer["sessions"] == 0
    assert remote("user", "sessions", *bob).out == "bob@example.com is signed in nowhere.\n"
    assert remote("user", "end-sessions", *bob, "--json").answer["ended"] == []
    assert [each["email"] for each in remote("user", "list", "acme", "--json").answer] == ["bob@example.com"]
    assert remote("user", "show", "acme", "eve@example.com", "--json").error == "no_such_user"
    made = remote("token", "add", "Mine", "--tenant", "acme", "--scope", "tenants:read", "--json").answer
    assert made["id"] in {each["id"] for each in remote("token", "list", "--tenant", "acme", "--json").answer}
    remote.show(made["token"])
    assert remote("tenant", "show", "acme", "--json").answer["slug"] == "acme"
    refused = remote("tenant", "set", "acme", "--name", "X", "--json")
    assert (refused.code, refused.error) == (Exit.BAD_INPUT, "insufficient_scope")
    remote.show(remote.router.all_scopes)
    assert remote("token", "revoke", made["id"]).code == Exit.OK


def test_an_export_is_the_same_from_anywhere(remote: Elsewhere) -> None:
    """Byte for byte what the router itself writes."""
    added(remote, "--greeting", "Hi", "--answer-field", "X-A: b", "--external-domain", "b.acme.com")
    assert remote("tenant", "suspend", "acme").code == Exit.OK
    assert remote("export", "--json").answer == remote.router.local("export")
    assert remote("export", "-o", "all.yaml", "--tenant", "acme").code == Exit.OK
    assert "suspended: true" in (remote.shell.folder / "all.yaml").read_text("utf-8")


def named(file: str, number: str) -> str:
    """Give the tenants of a file short names that no tenant of another test had: none is given twice."""
    return file.replace("slug: acme", f"slug: acme-{number}").replace(
        "slug: globex", f"slug: globex-{number}"
    )


def test_a_file_is_applied_from_elsewhere(remote: Elsewhere) -> None:
    """The plan is the same as on the database; done once, there is nothing left to do on either side."""
    (remote.shell.folder / "all.yaml").write_text(named(FILE, "one"), "utf-8")
    this = ("apply", "-f", str(remote.shell.folder / "all.yaml"))
    planned = remote(*this, "--check", "--json")
    assert planned.code == Exit.PENDING
    assert planned.answer["counts"] == {"add": 2, "change": 0, "unchanged": 0, "failed": 0}
    assert (remote(*this).code, remote("tenant", "list", "--json").answer) == (Exit.UNCONFIRMED, [])
    assert "2 added, 0 changed, 0 unchanged." in remote(*this, "--yes").out
    assert remote(*this, "--check").code == Exit.OK
    assert remote.router.local(*this, "--check")["counts"]["unchanged"] == 2
    states = {each["slug"]: each["status"] for each in remote("tenant", "list", "--json").answer}
    assert states == {"acme-one": "active", "globex-one": "suspended"}
    changed = named(FILE, "one").replace("suspended: true", "suspended: false").replace("1048576", "2MiB")
    (remote.shell.folder / "all.yaml").write_text(changed, "utf-8")
    done = remote(*this, "--yes", "--json").answer
    assert {each["tenant"]: list(each["fields"]) for each in done["changes"]} == {
        "acme-one": ["forwarding.max_body"],
        "globex-one": ["suspended"],
    }
    assert remote.router.local(*this, "--check")["counts"]["unchanged"] == 2


def test_what_cannot_be_applied_is_told(remote: Elsewhere) -> None:
    """A fault of the file before anything is done, by its line; what the router refuses, beside the rest."""
    file, fresh = remote.shell.folder / "all.yaml", named(FILE, "two")
    file.write_text(fresh.replace("#0b6e4f", "green"), "utf-8")
    assert remote("apply", "-f", str(file), "--yes", "--json").error == "bad_file"
    assert remote("tenant", "list", "--json").answer == []
    file.write_text(fresh.replace("  branding:\n", "  branding:\n    theme: nosuch\n"), "utf-8")
    ran = remote("apply", "-f", str(file), "--yes", "--json")
    assert (ran.code, ran.answer["counts"]["failed"]) == (Exit.CONFLICT, 1)
    assert [(each["tenant"], each["code"]) for each in ran.answer["failed"]] == [
        ("acme-two", "unknown_theme")
    ]
    assert [each["slug"] for each in remote("tenant", "list", "--json").answer] == ["globex-two"]


def test_a_table_is_imported_from_elsewhere(remote: Elsewhere) -> None:
    """What a line does not say stays as it is; lines that are wrong are left out, and told."""
    added(remote, "--greeting", "Hi", "--external-domain", "b.acme.com")
    table = remote.shell.folder / "t.csv"
    table.write_text(
        "slug,name,theme_colour,upstreams,allow_registration\n"
        "acme,Acme Tools,,,yes\n"
        "globex-three,Globex,#00ff00,http://1.0.0.1:80,\n"
        "wrong,Wrong,green,http://1.0.0.1:80,\n",
        "utf-8",
    )
    ran = remote("import", str(table), "--yes", "--json")
    assert ran.code == Exit.WRONG
    assert ran.answer["counts"] == {"add": 1, "change": 1, "unchanged": 0, "failed": 0}
    assert [(each["line"], each["column"]) for each in ran.answer["faults"]] == [(4, "theme_colour")]
    shown = remote("tenant", "show", "acme", "--json").answer
    assert (shown["name"], shown["allow_registration"]) == ("Acme Tools", True)
    assert (shown["theme_colour"], shown["branding"]["greeting"]) == ("#0B6E4F".lower(), "Hi")
    assert remote("import", str(table), "--yes", "--json").answer["counts"]["unchanged"] == 2


def test_the_audit_is_the_same_from_anywhere(remote: Elsewhere) -> None:
    """With its filters; and the token is named as who did it."""
    added(remote)
    mine = ("--tenant", "acme", "--action", "tenant")
    assert remote("audit", "list", *mine, "--json").answer == remote.router.local("audit", "list", *mine)
    [line] = remote("audit", "list", *mine, "--most", "1", "--json").answer
    assert line["actor"].startswith("token:")
    exported = remote("audit", "export", *mine, "--since", "2020-01-01")
    assert [json.loads(each) for each in exported.out.splitlines()] == [line]
    assert remote("audit", "list", "--until", "x", "--json").error == "bad_time"


def test_what_needs_the_database_says_so(remote: Elsewhere) -> None:
    """In one sentence, and nothing is asked of the server; half a command still tells what there is."""
    for arguments in (
        ("keys", "status"),
        ("migrate",),
        ("user", "resend", "inv_1"),
    ):
        ran = remote(*arguments, "--json")
        assert (ran.code, ran.error) == (Exit.USAGE, "not_remote")
    assert "Commands" in remote("tenant").out
    assert "For example:" in remote("tenant", "show", "--help").out
    assert remote("tenant", "show").code == Exit.USAGE


def test_a_server_that_is_not_to_be_trusted_gets_no_token(remote: Elsewhere) -> None:
    """A certificate that nobody vouches for, another hostname, a server that is away, one that is no API."""
    port = remote.router.settings["ROUTER_HTTPS_PORT"]
    ask = ("--token-file", "token", "tenant", "list", "--json")
    ran = remote.shell("--server", f"https://{ADMIN}:{port}", *ask)
    assert (ran.code, ran.error) == (Exit.UNAVAILABLE, "server_not_trusted")
    ran = remote.shell("--server", "https://127.0.0.1:1", *ask)
    assert (ran.code, ran.error) == (Exit.UNAVAILABLE, "server_unreachable")
    added(remote)
    issued = issue(remote.router.authority, remote.shell.folder, "acme", "acme.portal.example")
    assert remote("certificate", "upload", *issued, "--tenant", "acme", "--wait", "30").code == Exit.OK
    ran = remote("tenant", "list", "--json", host="acme.portal.example")
    assert (ran.code, ran.error) == (Exit.UNAVAILABLE, "no_api")
    remote.show("trt_wrong")
    ran = remote("tenant", "list", "--json")
    assert (ran.code, ran.error) == (Exit.BAD_INPUT, "invalid_token")
    assert "trt_wrong" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("typed", "place", "rest"),
    [
        (["tenant", "list"], None, ["tenant", "list"]),
        (["--server", "https://a.example", "x"], Place("a.example", 443), ["x"]),
        (
            ["--server=https://a.example:8443/", "x", "--server", "y"],
            Place("a.example", 8443),
            ["x", "--server", "y"],
        ),
    ],
    ids=range(3),
)
def test_the_options_stand_before_the_command(typed: list[str], place: Place | None, rest: list[str]) -> None:
    """What stands after it is the command's own."""
    assert find_place(typed, {}) == (place, rest)


def test_the_environment_says_which_server_and_whose_token() -> None:
    """For scripts; the options win."""
    environment = {"ROUTER_SERVER": "https://a.example", "ROUTER_TOKEN": "trt_1"}
    place, _ = find_place(["x"], environment)
    assert place == Place("a.example", 443)
    assert place.token(environment) == "trt_1"
    other, _ = find_place(["--server", "https://b.example", "x"], environment)
    assert other == Place("b.example", 443)


@pytest.mark.parametrize(
    "typed",
    [
        ["--server"],
        ["--server", "http://a.example", "tenant", "list"],
        ["--server", "a.example", "tenant", "list"],
        ["--server", "https://user@a.example", "tenant", "list"],
        ["--server", "https://a.example/api", "tenant", "list"],
        ["--server", "https://a.example:99999", "tenant", "list"],
        ["--token-file", "x", "tenant", "list"],
    ],
    ids=" ".join,
)
def test_a_token_goes_nowhere_but_over_https(typed: list[str], bare: Shell) -> None:
    """And an option without its server is a mistake."""
    ran = bare(*typed)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert ran.err.startswith("Error: ")


def test_without_a_token_nothing_is_asked(bare: Shell) -> None:
    """The sentence says where it may stand."""
    ran = bare("--server", "https://127.0.0.1:1", "tenant", "list", "--json")
    assert (ran.code, ran.error) == (Exit.BAD_INPUT, "token_missing")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, BadSettings),
        (403, BadSettings),
        (404, NotFound),
        (409, Conflict),
        (412, Conflict),
        (422, BadInput),
        (429, Unavailable),
        (503, Unavailable),
    ],
)
def test_a_problem_is_the_failure_that_it_was(status: int, kind: type[Exception]) -> None:
    """By its status, with its code and sentence."""
    failure = failure_of(status, {"code": "some_code", "detail": "A sentence."})
    assert (type(failure), failure.code, failure.sentence) == (kind, "some_code", "A sentence.")


def test_every_remote_command_is_a_command() -> None:
    """What the table names is what the app has."""

    def functions(within: Any) -> set[object]:  # noqa: ANN401 - cyclopts' own
        found: set[object] = set()
        for name in within:
            inner = within[name]
            found |= (
                functions(inner) if list(inner) and not inner.default_command else {inner.default_command}
            )
        return found

    assert set(COMMANDS) <= functions(app)
