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
    assert ran.answer["state"] == "active"
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
    assert states == ["active", "superseded"]


def test_warnings_are_told_with_the_answer(acme: Shell, authority: trustme.CA) -> None:
    """What is accepted with a doubt says so, to people and to programs."""
    chain, key = issue(authority, acme.folder, "own", "acme.portal.example")
    told = acme("certificate", "upload", chain, key, "--tenant", "acme")
    answer = acme("certificate", "upload", chain, key, "--tenant", "acme", "--json").answer
    assert [warning["code"] for warning in answer["warnings"]] == ["missing_intermediate"]
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
