"""The options of ``tenant add`` and ``tenant set`` that say how a tenant is forwarded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from router.cli.output import Exit
from tests.cli.beside import known_around
from tests.cli.conftest import ACME

if TYPE_CHECKING:
    from tests.cli.conftest import Shell

SET = ("tenant", "set", "acme")
OPTIONS = (
    *("--balance", "least-connections", "--health-path", "/healthz", "--health-interval", "10"),
    *(
        "--health-status",
        "204",
        "--no-keep-host",
        "--rewrite-location",
        "--maintenance",
        "--max-body",
        "10MiB",
    ),
    *("--requests-per-second", "100", "--answer-timeout", "20"),
    *("--websocket-origin", "https://App.acme.com", "--websocket-origin", "https://b.acme.com:8443"),
    *("--answer-field", "X-Frame-Options: DENY", "--answer-field", "Strict-Transport-Security: max-age=60"),
)
DEFAULT = {
    "balance": "round_robin",
    "health_path": "",
    "health_interval": 30,
    "health_status": 200,
    "keep_host": True,
    "rewrite_location": False,
    "maintenance": False,
    "max_body": 0,
    "requests_per_second": 0,
    "answer_timeout": 0,
    "websocket_origins": [],
    "answer_fields": [],
    "upstream_ca": "",
}
CHOSEN = {
    "balance": "least_connections",
    "health_path": "/healthz",
    "health_interval": 10,
    "health_status": 204,
    "keep_host": False,
    "rewrite_location": True,
    "maintenance": True,
    "max_body": 10 * 2**20,
    "requests_per_second": 100,
    "answer_timeout": 20,
    "websocket_origins": ["https://app.acme.com", "https://b.acme.com:8443"],
    "answer_fields": ["X-Frame-Options: DENY", "Strict-Transport-Security: max-age=60"],
    "upstream_ca": "",
}


def test_a_tenant_is_added_with_all_of_it(shell: Shell) -> None:
    """What was typed is shown, in the one spelling of each field."""
    added = shell(*ACME, *OPTIONS, "--json").answer
    assert added["forwarding"] == CHOSEN
    assert shell("tenant", "show", "acme", "--json").answer == added


def test_a_tenant_is_forwarded_in_the_platforms_way_at_first(acme: Shell) -> None:
    """Every field is shown, chosen or not."""
    assert acme("tenant", "show", "acme", "--json").answer["forwarding"] == DEFAULT


def test_fields_are_set_one_by_one(acme: Shell) -> None:
    """Only what is named changes, and each can be set back to the platform's way."""
    assert acme(*SET, *OPTIONS, "--json").answer["forwarding"] == CHOSEN
    assert acme(*SET, "--max-body", "0", "--json").answer["forwarding"] == CHOSEN | {"max_body": 0}
    back = (
        *(
            "--balance",
            "round_robin",
            "--health-path",
            "",
            "--health-interval",
            "30",
            "--health-status",
            "200",
        ),
        *("--keep-host", "--no-rewrite-location", "--no-maintenance", "--requests-per-second", "0"),
        *("--answer-timeout", "0", "--no-websocket-origin", "--no-answer-field", "--no-upstream-ca"),
    )
    assert acme(*SET, *back, "--json").answer["forwarding"] == DEFAULT
    assert "Nothing to change" in acme(*SET, *back).out


def test_what_is_shown_can_be_typed(acme: Shell) -> None:
    """A record in JSON is enough to set up another tenant alike."""
    acme(*SET, *OPTIONS, "--upstream", "http://1.1.1.1/app weight=3", "--upstream", "http://8.8.8.8")
    shown = acme("tenant", "show", "acme", "--json").answer
    assert shown["upstreams"] == ["http://1.1.1.1:80/app weight=3", "http://8.8.8.8:80"]
    typed = [word for url in shown["upstreams"] for word in ("--upstream", url)]
    for name, value in shown["forwarding"].items():
        option = f"--{name.removesuffix('s').replace('_', '-')}" if isinstance(value, list) else None
        if option is not None:
            typed += [word for each in value for word in (option, each)]
        elif isinstance(value, bool):
            typed.append(f"--{'' if value else 'no-'}{name.replace('_', '-')}")
        elif name != "upstream_ca":
            typed += [f"--{name.replace('_', '-')}", str(value)]
    added = acme("tenant", "add", "globex", *ACME[3:7], *typed, "--json").answer
    assert (added["forwarding"], added["upstreams"]) == (shown["forwarding"], shown["upstreams"])


def test_a_bundle_is_read_from_a_file(acme: Shell) -> None:
    """The certificates are in the record, so that the file need not stay."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    pem = authority.cert_pem.bytes().decode()
    (acme.folder / "ca.pem").write_text(f"# ours\n{pem}")
    assert acme(*SET, "--upstream-ca", "ca.pem", "--json").answer["forwarding"]["upstream_ca"] == pem
    (acme.folder / "ca.pem").unlink()
    assert acme(*SET, "--maintenance", "--json").answer["forwarding"]["upstream_ca"] == pem
    assert "1 CA certificates" in acme("tenant", "show", "acme").out
    assert acme(*SET, "--no-upstream-ca", "--json").answer["forwarding"]["upstream_ca"] == ""


def test_people_are_told_in_words(acme: Shell) -> None:
    """Sizes have a unit, and zero is what it means; nothing is JSON."""
    assert "no limit" in acme("tenant", "show", "acme").out
    acme(*SET, *OPTIONS)
    told = acme("tenant", "show", "acme").out
    for words in ("10 MiB", "least_connections", "X-Frame-Options: DENY", "https://b.acme.com:8443"):
        assert words in told
    assert "{" not in told
    acme(*SET, "--max-body", "1001")
    assert "1001 octets" in acme("tenant", "show", "acme").out


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--balance", "random"), "bad_balance"),
        (("--health-path", "healthz"), "bad_health_path"),
        (("--health-interval", "1"), "bad_health_interval"),
        (("--health-status", "ok"), "bad_health_status"),
        (("--max-body", "much"), "bad_max_body"),
        (("--requests-per-second", "-1"), "bad_requests_per_second"),
        (("--answer-timeout", "1h"), "bad_answer_timeout"),
        (("--websocket-origin", "https://a.example/"), "bad_websocket_origin"),
        (("--answer-field", "X-Frame-Options"), "bad_answer_field"),
        (("--answer-field", "Set-Cookie: a=b"), "reserved_answer_field"),
        (("--upstream-ca", "none.pem"), "file_unreadable"),
        (("--upstream-ca", "."), "file_unreadable"),
        (("--upstream-ca", "data/router.db"), "bad_upstream_ca"),
        (("--upstream", "http://1.1.1.1 weight=0"), "bad_weight"),
        (("--upstream", "http://1.1.1.1/a/.."), "bad_upstream"),
        (("--upstream", "unix:/run/erp.sock"), "private_upstream"),
        (("--no-upstream",), "bad_count"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_told_by_code(arguments: tuple[str, ...], error: str, acme: Shell) -> None:
    """Bad input, with the field's own code; nothing was changed."""
    before = acme("tenant", "show", "acme", "--json").answer
    ran = acme(*SET, "--name", "Other", *arguments, "--json")
    assert (ran.code, ran.error, ran.out) == (Exit.BAD_INPUT, error, "")
    assert acme("tenant", "show", "acme", "--json").answer == before


def test_a_tenant_needs_an_upstream_unless_the_platform_has_one(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any, nobody would answer; with a default, a tenant follows it until it names its own."""
    ran = shell(*ACME[:-2], "--json")
    assert (ran.code, ran.error) == (Exit.BAD_INPUT, "missing_field")
    monkeypatch.setenv("ROUTER_DEFAULT_UPSTREAMS", "http://1.1.1.1:8080, https://8.8.8.8 weight=2")
    assert shell(*ACME[:-2], "--json").answer["upstreams"] == []
    assert "https://8.8.8.8 weight=2 (the platform's)" in shell("tenant", "show", "acme").out
    assert shell(*SET, *ACME[-2:], "--json").answer["upstreams"] == ["http://1.1.1.1:8080"]
    assert "the platform's)" not in shell("tenant", "show", "acme").out
    assert shell(*SET, "--no-upstream", "--json").answer["upstreams"] == []


def test_sockets_are_a_setting(acme: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform may allow what is refused otherwise."""
    monkeypatch.setenv("ROUTER_ALLOW_PRIVATE_UPSTREAMS", "true")
    shown = acme(*SET, "--upstream", "unix:/run/erp.sock weight=2", "--json").answer
    assert shown["upstreams"] == ["unix:/run/erp.sock weight=2"]


async def test_a_running_router_forwards_by_it_at_once(acme: Shell) -> None:
    """Another process switches maintenance on; a worker's directory, which knew better, hears of it."""
    before, after = await known_around(acme, *SET, "--maintenance", "--answer-field", "X-A: b")
    assert not before.forwarding.maintenance
    assert after.forwarding.maintenance
    assert after.forwarding.answer_fields == (("X-A", "b"),)
