"""``domain``: what an operator types, from the claim to the end of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from router.cli.output import Exit
from tests.cli.conftest import ACME

if TYPE_CHECKING:
    from tests.cli.conftest import Shell
    from tests.edge.name_server import NameServer

HOST = "billing.acme.com"
GLOBEX = (*ACME[:2], "globex", *ACME[3:])


@pytest.fixture
def claimed(acme: Shell, name_servers: NameServer) -> Shell:
    """A tenant that claims a hostname, and a name server that knows nothing of it."""
    assert acme("domain", "add", "acme", HOST).code == Exit.OK
    return acme


def _publish(shell: Shell, dns: NameServer, slug: str = "acme") -> None:
    target = shell("tenant", "show", slug, "--json").answer["cname_target"]
    dns.records[f"{HOST}."] = [f"CNAME {target}. 60"]


def test_claiming_says_which_record_to_create(acme: Shell) -> None:
    """For people a sentence that can be forwarded as it is, for programs the parts of the record."""
    target = acme("tenant", "show", "acme", "--json").answer["cname_target"]
    ran = acme("domain", "add", "acme", HOST)
    assert f"{HOST} is pending." in ran.out
    assert f"Create the record: {HOST} CNAME {target}" in ran.out
    record = acme("domain", "add", "acme", HOST, "--json").answer  # again: nothing changes
    assert (record["hostname"], record["tenant"], record["state"]) == (HOST, "acme", "pending")
    assert (record["code"], record["cname_target"]) == ("not_checked_yet", target)
    assert record["txt_name"] == f"_portal-challenge.{HOST}"
    behind = acme("domain", "add", "acme", HOST, "--behind-cdn", "--json").answer
    assert behind["behind_cdn"] is True
    assert behind["next_step"] == f"Create the record: {record['txt_name']} TXT {record['txt_token']}"
    assert acme("domain", "add", "acme", HOST, "--no-behind-cdn", "--json").answer["behind_cdn"] is False


def test_a_claim_that_is_given_up_for_another_is_told(claimed: Shell) -> None:
    """A tenant wants one hostname of its own: the one before, which was not active yet, is gone."""
    ran = claimed("domain", "add", "acme", "portal.acme.com")
    assert f"{HOST} was given up." in ran.out
    again = claimed("domain", "add", "acme", "portal.acme.com")
    assert "given up" not in again.out
    assert claimed("domain", "add", "acme", HOST, "--json").answer["given_up"] == ["portal.acme.com"]
    ran = claimed("tenant", "set", "acme", "--no-external-domain")
    assert f"{HOST} was given up." in ran.out


def test_the_record_to_create_is_told_when_it_is_new(acme: Shell) -> None:
    """Not again with whatever else is changed of the tenant, and each sentence ends before the next."""
    told = acme("tenant", "set", "acme", "--external-domain", HOST).out
    target = acme("tenant", "show", "acme", "--json").answer["cname_target"]
    assert f"Create the record: {HOST} CNAME {target}\nOr vouch for it: " in told
    for change in (("set", "acme", "--name", "Acme"), ("suspend", "acme"), ("resume", "acme")):
        assert HOST not in acme("tenant", *change).out


def test_verify_tells_what_was_found(claimed: Shell, name_servers: NameServer) -> None:
    """Exit code 1 with what is missing and the evidence, 0 when the proof is there."""
    ran = claimed("domain", "verify", HOST)
    assert ran.code == Exit.WRONG
    assert f"{HOST} is verifying. The DNS knows no {HOST}." in ran.out
    assert f"CNAME {HOST} of {name_servers.address}: no such name" in ran.out
    _publish(claimed, name_servers)
    ran = claimed("domain", "verify", HOST, "--json")
    assert (ran.code, ran.answer["state"], ran.answer["proof"]) == (Exit.OK, "active", "cname")
    good = ran.answer["evidence"][0]
    assert (good["method"], good["verdict"], good["code"]) == ("cname", "good", "proved_by_cname")
    assert good["expected"] == ran.answer["cname_target"]
    shown = claimed("domain", "status", HOST, "--json").answer
    assert shown == ran.answer
    assert shown["next_check_at"] > shown["checked_at"]
    assert claimed("tenant", "show", "acme", "--json").answer["address"] == f"https://{HOST}"


def test_the_domains_own_name_servers_are_asked(
    claimed: Shell, name_servers: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ROUTER_DOMAIN_RESOLVERS goes before ROUTER_RESOLVERS, which may see another world."""
    monkeypatch.setenv("ROUTER_DOMAIN_RESOLVERS", name_servers.address)
    monkeypatch.setenv("ROUTER_RESOLVERS", "192.0.2.1")
    assert claimed("domain", "verify", HOST, "--json").answer["code"] == "no_such_name"


def test_wait_waits(claimed: Shell, name_servers: NameServer) -> None:
    """0 when it is active, 7 when the time is over, and at once with 5 when it can never be."""
    began = time.monotonic()
    ran = claimed("domain", "wait", HOST, "--timeout", "0.6", "--json")
    assert (ran.code, ran.answer["state"]) == (Exit.TIMED_OUT, "pending")
    assert time.monotonic() - began >= 0.6
    _publish(claimed, name_servers)
    claimed("domain", "verify", HOST)
    assert claimed("domain", "wait", HOST).code == Exit.OK
    claimed("domain", "block", HOST, "--reason", "A mistake")
    ran = claimed("domain", "wait", HOST, "--json")
    assert (ran.code, ran.error) == (Exit.CONFLICT, "claim_state")
    assert "domain unblock" in claimed("domain", "wait", HOST).err


def test_the_list_says_what_each_waits_for(claimed: Shell) -> None:
    """All claims, or one tenant's; an empty list says how to begin."""
    claimed(*GLOBEX)
    assert "domain add" in claimed("domain", "list", "--tenant", "globex").out
    claimed("domain", "add", "globex", HOST)
    rows = claimed("domain", "list", "--json").answer
    assert [(row["hostname"], row["tenant"]) for row in rows] == [(HOST, "acme"), (HOST, "globex")]
    assert "not_checked_yet" in claimed("domain", "list").out
    assert [row["tenant"] for row in claimed("domain", "list", "--tenant", "acme", "--json").answer] == [
        "acme"
    ]
    assert claimed("domain", "list", "--tenant", "nobody", "--json").error == "tenant_not_found"


def test_an_operator_decides(claimed: Shell) -> None:
    """Activate, suspend, resume, release, block and unblock, each with the state that follows."""
    assert claimed("domain", "activate", HOST, "--reason", "by phone").code == Exit.OK
    for arguments, state in (
        (("suspend", "--reason", "A report"), "suspended"),
        (("resume",), "active"),
        (("release",), "released"),
    ):
        assert claimed("domain", arguments[0], HOST, *arguments[1:], "--json").answer["state"] == state
    claimed("domain", "add", "acme", HOST)
    blocked = claimed("domain", "block", HOST, "--reason", "Not theirs", "--json").answer
    assert (blocked["state"], blocked["reason"]) == ("blocked", "Not theirs")
    assert claimed("domain", "add", "acme", HOST, "--json").error == "claim_state"
    assert claimed("domain", "unblock", HOST, "--json").answer["state"] == "pending"


def test_explain_tells_the_same_story(claimed: Shell, name_servers: NameServer) -> None:
    """What domain status says of a claim is what explain says is wrong, loss of proof included."""
    claimed("domain", "verify", HOST)
    story = claimed("domain", "status", HOST, "--json").answer
    wrong = claimed("explain", HOST, "--json").answer["wrong"]
    assert wrong["code"] == "claim_not_active"
    assert story["sentence"] in wrong["sentence"]
    assert story["next_step"] in wrong["sentence"]
    _publish(claimed, name_servers)
    claimed("domain", "verify", HOST)
    explained = claimed("explain", HOST, "--json").answer
    assert (
        explained["claim"] | {"state": "active", "proof": "cname", "code": "proved_by_cname"}
        == (explained["claim"])
    )
    name_servers.records.clear()
    claimed("domain", "verify", HOST)
    lost = claimed("domain", "status", HOST, "--json").answer
    assert lost["state"] == "moved"
    wrong = claimed("explain", HOST, "--json").answer["wrong"]
    assert wrong["code"] == "proof_missing"
    assert lost["serves_until"] in wrong["sentence"]


def test_a_proof_before_the_move_is_no_loss_of_visitors(claimed: Shell, name_servers: NameServer) -> None:
    """Active by its TXT record while it leads elsewhere: explain says that nobody arrives yet."""
    token = claimed("domain", "status", HOST, "--json").answer["txt_token"]
    name_servers.records[f"_portal-challenge.{HOST}."] = [f"TXT {token} 60"]
    name_servers.records[f"{HOST}."] = ["A 192.0.2.9 60"]
    ran = claimed("domain", "verify", HOST, "--json")
    assert (ran.code, ran.answer["code"]) == (Exit.OK, "not_here_yet")
    assert claimed("explain", HOST, "--json").answer["wrong"]["code"] == "not_here_yet"


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("add", "nobody", HOST), Exit.NOT_FOUND, "tenant_not_found"),
        (("add", "acme", "192.0.2.1"), Exit.BAD_INPUT, "ip_address"),
        (("add", "acme", "*.acme.com"), Exit.BAD_INPUT, "wildcard"),
        (("add", "acme", "co.uk"), Exit.BAD_INPUT, "public_suffix"),
        (("add", "acme", "x.portal.example"), Exit.BAD_INPUT, "under_platform"),
        (("add", "acme", "acme.local"), Exit.BAD_INPUT, "reserved_name"),
        (("add", "acme", "bill ing.acme.com"), Exit.BAD_INPUT, "bad_hostname"),
        (("status", "other.acme.com"), Exit.NOT_FOUND, "claim_not_found"),
        (("verify", "other.acme.com"), Exit.NOT_FOUND, "claim_not_found"),
        (("wait", "other.acme.com"), Exit.NOT_FOUND, "claim_not_found"),
        (("release", "other.acme.com"), Exit.NOT_FOUND, "claim_not_found"),
        (("resume", HOST), Exit.CONFLICT, "claim_state"),
        (("unblock", HOST), Exit.CONFLICT, "claim_state"),
        (("block", HOST, "--reason", " "), Exit.BAD_INPUT, "bad_reason"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_told_by_code(
    arguments: tuple[str, ...], code: Exit, error: str, claimed: Shell
) -> None:
    """The exit code tells the kind, the error's code the reason, and nothing was changed."""
    before = claimed("domain", "list", "--json").answer
    ran = claimed("domain", *arguments, "--json")
    assert (ran.code, ran.error) == (code, error)
    assert claimed("domain", "list", "--json").answer == before
