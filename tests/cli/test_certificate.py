"""``certificate``: uploads judged and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509 import load_pem_x509_certificates

from router.cli.output import Exit
from tests.cli.conftest import issue

if TYPE_CHECKING:
    import trustme

    from tests.cli.conftest import Shell


def test_an_upload_is_kept_and_listed_without_its_key(acme: Shell, authority: trustme.CA) -> None:
    """Who it is for, which names, how long; the key is nowhere but sealed in the database (THREATS 77)."""
    chain, key = issue(authority, acme.folder, "own", "acme.portal.example")
    ran = acme("certificate", "upload", chain, key, "--tenant", "acme", "--json")
    assert ran.code == Exit.OK
    assert ran.answer["tenant"] == "acme"
    assert ran.answer["names"] == ["acme.portal.example"]
    assert ran.answer["state"] == "deploying"
    assert ran.answer["workers"] == {"have": 0, "all": 0}
    assert ran.answer["days_left"] > 0
    issue(authority, acme.folder, "wild", "*.portal.example")
    platform = acme("certificate", "upload", "wild.pem", "wild.key", "--platform", "--json").answer
    assert platform["tenant"] == "(platform)"
    listed = acme("certificate", "list", "--json")
    assert {row["id"] for row in listed.answer} == {ran.answer["id"], platform["id"]}
    only = acme("certificate", "list", "--tenant", "acme", "--json").answer
    assert [row["id"] for row in only] == [ran.answer["id"]]
    assert "PRIVATE" not in listed.out + ran.out
    stored = (acme.folder / "data" / "router.db").read_bytes()
    der = load_pem_private_key((acme.folder / "own.key").read_bytes(), None).private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    assert der not in stored
    assert b"PRIVATE KEY" not in stored


def test_a_successor_supersedes_and_the_former_is_kept(acme: Shell, authority: trustme.CA) -> None:
    """The same names again: the newest is active, the one before stays for a rollback."""
    for name in ("first", "second"):
        chain, key = issue(authority, acme.folder, name, "acme.portal.example")
        assert acme("certificate", "upload", chain, key, "--tenant", "acme").code == Exit.OK
    states = sorted(row["state"] for row in acme("certificate", "list", "--json").answer)
    assert states == ["deploying", "superseded"]


def test_warnings_are_told_with_the_answer(acme: Shell, authority: trustme.CA) -> None:
    """What is accepted with a doubt says so, to people and to programs."""
    chain, key = issue(authority, acme.folder, "own", "acme.portal.example")
    told = acme("certificate", "upload", chain, key, "--tenant", "acme")
    answer = acme("certificate", "upload", chain, key, "--tenant", "acme", "--json").answer
    codes = [warning["code"] for warning in answer["warnings"]]
    assert codes == ["missing_intermediate", "valid_too_long"]
    assert f"Warning: {answer['warnings'][0]['sentence']}" in told.out


def test_a_key_with_a_pass_phrase_is_opened_from_standard_input(acme: Shell, authority: trustme.CA) -> None:
    """Without the phrase it is refused at once; nobody is asked at a terminal (THREATS 69)."""
    chain, key = issue(authority, acme.folder, "own", "acme.portal.example")
    opened = load_pem_private_key((acme.folder / "own.key").read_bytes(), None)
    locked = opened.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hush hush"))
    (acme.folder / "own.key").write_bytes(locked)
    arguments = ("certificate", "upload", chain, key, "--tenant", "acme", "--json")
    assert acme.process(*arguments).code == Exit.BAD_INPUT
    ran = acme.process(*arguments, "--passphrase-stdin", stdin=b"hush hush\n")
    assert (ran.code, ran.err) == (Exit.OK, "")
    assert "hush" not in ran.out
    assert acme.process("certificate", "list").out.count("acme.portal.example") == 1


def test_what_is_refused_is_not_stored(acme: Shell, authority: trustme.CA) -> None:
    """Each refusal has its code and changes nothing."""
    own, own_key = issue(authority, acme.folder, "own", "acme.portal.example")
    foreign, foreign_key = issue(authority, acme.folder, "foreign", "billing.globex.com")
    (acme.folder / "junk.pem").write_text("junk")
    attempts = [
        ((own, foreign_key, "--tenant", "acme"), Exit.BAD_INPUT, "key_mismatch"),
        ((foreign, foreign_key, "--tenant", "acme"), Exit.BAD_INPUT, "hostname_not_covered"),
        ((own, own_key, "--tenant", "nobody"), Exit.NOT_FOUND, "tenant_not_found"),
        (("junk.pem", own_key, "--platform"), Exit.BAD_INPUT, None),
        (("none.pem", own_key, "--platform"), Exit.BAD_INPUT, "file_unreadable"),
        ((str(acme.folder), own_key, "--platform"), Exit.BAD_INPUT, "file_unreadable"),
        ((own, own_key), Exit.USAGE, "usage"),
        ((own, own_key, "--tenant", "acme", "--platform"), Exit.USAGE, "usage"),
    ]
    for arguments, code, error in attempts:
        ran = acme("certificate", "upload", *arguments, "--json")
        assert (ran.code, ran.out) == (code, ""), arguments
        assert error is None or ran.error == error
    assert acme("certificate", "list", "--json").answer == []


def test_a_pending_hostname_may_have_its_certificate_already(acme: Shell, authority: trustme.CA) -> None:
    """The order of the steps is the operator's choice."""
    acme("tenant", "set", "acme", "--external-domain", "billing.acme.com")
    chain, key = issue(authority, acme.folder, "own", "billing.acme.com")
    assert acme("certificate", "upload", chain, key, "--tenant", "acme").code == Exit.OK


def test_a_dry_run_tells_the_verdict_and_stores_nothing(acme: Shell, authority: trustme.CA) -> None:
    """What an upload would say, what it would serve and replace, or the very same refusal."""
    chain, key = issue(authority, acme.folder, "own", "acme.portal.example")
    ran = acme("certificate", "check", chain, key, "--tenant", "acme", "--json")
    assert ran.code == Exit.OK
    assert ran.answer["stored"] is False
    assert ran.answer["serves"] == ["acme.portal.example"]
    assert ran.answer["replaces"] == []
    assert "missing_intermediate" in [warning["code"] for warning in ran.answer["warnings"]]
    assert "Nothing was stored" in acme("certificate", "check", chain, key).out
    _, foreign_key = issue(authority, acme.folder, "foreign", "billing.globex.com")
    for more in ((), ("--tenant", "acme")):
        refused = acme("certificate", "check", chain, foreign_key, *more, "--json")
        assert (refused.code, refused.error) == (Exit.BAD_INPUT, "key_mismatch")
    other = acme("certificate", "check", "foreign.pem", "foreign.key", "--tenant", "acme", "--json")
    assert (other.code, other.error) == (Exit.BAD_INPUT, "hostname_not_covered")
    assert acme("certificate", "list", "--json").answer == []
    stored = acme("certificate", "upload", chain, key, "--tenant", "acme", "--json").answer
    issue(authority, acme.folder, "next", "acme.portal.example")
    successor = acme("certificate", "check", "next.pem", "next.key", "--tenant", "acme", "--json").answer
    assert successor["replaces"] == [stored["id"]]


def test_rollback_takes_one_call_and_so_does_going_forth(acme: Shell, authority: trustme.CA) -> None:
    """By the hostname: the former serves again, then the later; a third in line is named by its id."""
    ids = []
    for name in ("first", "second", "third"):
        chain, key = issue(authority, acme.folder, name, "acme.portal.example")
        ran = acme("certificate", "upload", chain, key, "--tenant", "acme", "--json")
        ids.append(ran.answer["id"])
    first, second, third = ids

    def serving() -> str:
        return str(acme("certificate", "show", "acme.portal.example", "--json").answer["id"])

    assert serving() == third
    assert acme("certificate", "rollback", "acme.portal.example", "--json").answer[0]["id"] == second
    assert serving() == second
    assert acme("certificate", "rollback", "acme.portal.example").code == Exit.OK
    assert serving() == third
    assert acme("certificate", "rollback", first).code == Exit.OK
    assert serving() == first
    superseded = acme("certificate", "list", "--state", "superseded", "--json").answer
    assert {row["id"] for row in superseded} == {second, third}
    assert {row["superseded_by"] for row in superseded} <= set(ids)
    issue(authority, acme.folder, "alone", "*.portal.example")
    alone = acme("certificate", "upload", "alone.pem", "alone.key", "--platform", "--json").answer["id"]
    ran = acme("certificate", "rollback", alone, "--json")
    assert (ran.code, ran.error) == (Exit.CONFLICT, "nothing_to_roll_back")


def test_a_certificate_of_another_owner_is_none_of_a_tenants(acme: Shell, authority: trustme.CA) -> None:
    """With --tenant, the platform's is neither shown, rolled back, exported nor deleted; the tenant's is."""
    issue(authority, acme.folder, "wild", "*.portal.example")
    wild = acme("certificate", "upload", "wild.pem", "wild.key", "--platform", "--json").answer["id"]
    for word in ("show", "rollback", "export-public", "delete"):
        for which in (wild, "acme.portal.example"):
            ran = acme("certificate", word, which, "--tenant", "acme", "--json")
            assert (ran.code, ran.error) == (Exit.NOT_FOUND, "no_such_certificate")
    assert acme("certificate", "show", wild, "--json").answer["id"] == wild
    issued = issue(authority, acme.folder, "own", "acme.portal.example")
    own = acme("certificate", "upload", *issued, "--tenant", "acme", "--json").answer["id"]
    assert (
        acme("certificate", "show", "acme.portal.example", "--tenant", "acme", "--json").answer["id"] == own
    )
    assert acme("certificate", "delete", own, "--tenant", "acme", "--json").answer["deleted"] == own


def test_the_last_certificate_is_deleted_only_on_purpose(acme: Shell, authority: trustme.CA) -> None:
    """One that has a successor goes at once; the last of a hostname that answers needs the word."""
    ids = []
    for name in ("first", "second"):
        chain, key = issue(authority, acme.folder, name, "acme.portal.example")
        ran = acme("certificate", "upload", chain, key, "--tenant", "acme", "--json")
        ids.append(ran.answer["id"])
    assert acme("certificate", "delete", ids[0]).code == Exit.OK
    kept = acme("certificate", "delete", ids[1], "--json")
    assert (kept.code, kept.error) == (Exit.CONFLICT, "last_certificate")
    assert "acme.portal.example" in kept.err
    ran = acme("certificate", "delete", ids[1], "--even-the-last", "--json")
    assert (ran.code, ran.answer["deleted"]) == (Exit.OK, ids[1])
    assert acme("certificate", "list", "--json").answer == []
    gone = acme("certificate", "delete", ids[1], "--json")
    assert (gone.code, gone.error) == (Exit.NOT_FOUND, "no_such_certificate")


def test_the_chain_is_exported_and_the_key_is_not(acme: Shell, authority: trustme.CA) -> None:
    """The same octets as were uploaded, leaf first; there is no way to the key."""
    chain, key = issue(authority, acme.folder, "own", "acme.portal.example")
    uploaded = acme("certificate", "upload", chain, key, "--tenant", "acme", "--json").answer["id"]
    for which in (uploaded, "acme.portal.example"):
        ran = acme("certificate", "export-public", which)
        assert load_pem_x509_certificates(ran.out.encode())[0].subject
        assert ran.out == (acme.folder / "own.pem").read_text()
    assert "PRIVATE" not in acme("certificate", "show", uploaded, "--json").out
    ran = acme("certificate", "export-public", "nobody.example", "--json")
    assert (ran.code, ran.error) == (Exit.NOT_FOUND, "no_such_certificate")


def test_an_upload_is_told_to_wait_for_its_domain(acme: Shell, authority: trustme.CA) -> None:
    """Held, with the hostname it waits for, until that is active."""
    acme("tenant", "set", "acme", "--external-domain", "billing.acme.com")
    chain, key = issue(authority, acme.folder, "own", "billing.acme.com")
    uploaded = acme("certificate", "upload", chain, key, "--tenant", "acme", "--json").answer
    assert (uploaded["state"], uploaded["waits_for"]) == ("held", ["billing.acme.com"])
    assert uploaded["not_covered"] == ["acme.portal.example"]
    assert "held: " in acme("certificate", "show", "billing.acme.com").out
    acme("domain", "activate", "billing.acme.com", "--reason", "a test")
    shown = acme("certificate", "show", "billing.acme.com", "--json").answer
    assert (shown["state"], shown["hostnames"]) == ("deploying", ["billing.acme.com"])


def test_waiting_for_workers_that_are_not_there_ends(acme: Shell, authority: trustme.CA) -> None:
    """The upload is kept, and the exit code says that it is not served everywhere."""
    chain, key = issue(authority, acme.folder, "own", "acme.portal.example")
    ran = acme("certificate", "upload", chain, key, "--tenant", "acme", "--wait", "0.2", "--json")
    assert (ran.code, ran.error) == (Exit.TIMED_OUT, "not_deployed")
    assert ran.answer["stored"] is True
