from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest

from router.certificates.bundle import Bundle
from router.certificates.context import build_context
from router.certificates.folder import CertificateFolder
from router.demo.authority import Authority, drop, prepare
from router.errors import BadInput
from tests.certificates.tls import serving

if TYPE_CHECKING:
    from pathlib import Path

NOW = time.time()  # clients check these certificates against their own clock
DAY = 86_400
PLATFORM = ("portal.localhost", "*.portal.localhost")
ELSEWHERE = "billing.globex.test"


def contents(folder: Path) -> dict[str, bytes]:
    """Everything below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def verified(ca_file: Path, bundle: Bundle, hostname: str) -> bool:
    """Whether a client that trusts nothing but the authority accepts the certificate for a hostname."""
    client = ssl.create_default_context(cafile=str(ca_file))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    with serving(build_context(bundle.chain_pem, bundle.key_der)) as address:
        try:
            with (
                socket.create_connection(address) as plain,
                client.wrap_socket(plain, server_hostname=hostname) as channel,
            ):
                channel.recv(1)
                channel.sendall(b"y")
        except ssl.SSLCertVerificationError:
            return False
    return True


async def test_the_demos_folder_serves_what_was_prepared(tmp_path: Path) -> None:
    """The watched folder takes the files in as any others, without a flaw, and clients trust them."""
    ca_file = prepare(tmp_path, tmp_path / "certs", ["acme.portal.localhost", ELSEWHERE])
    folder = CertificateFolder(tmp_path / "certs")
    await folder.look()
    assert folder.faults() == {}
    assert {record.names for record in folder.list()} == {PLATFORM, (ELSEWHERE,)}
    for name, hostname in ((PLATFORM[1], "acme.portal.localhost"), (PLATFORM[0],) * 2, (ELSEWHERE,) * 2):
        (found,) = folder.find(name)
        bundle = Bundle.parse(found.chain_pem.encode(), found.key_der, now=NOW)
        assert bundle.key_type == "ecdsa"
        assert verified(ca_file, bundle, hostname)


def test_a_second_start_leaves_everything_as_it_is(tmp_path: Path) -> None:
    """Who trusted the authority once need not do it again."""
    prepare(tmp_path, tmp_path / "certs", [ELSEWHERE])
    before = contents(tmp_path)
    prepare(tmp_path, tmp_path / "certs", [ELSEWHERE], now=NOW + 50 * DAY)
    assert contents(tmp_path) == before


def test_leaves_are_renewed_in_time_by_the_same_authority(tmp_path: Path) -> None:
    """Less than a month before its end a certificate is issued anew; the authority lasts."""
    ca_file = prepare(tmp_path, tmp_path / "certs", [ELSEWHERE])
    before = contents(tmp_path)
    prepare(tmp_path, tmp_path / "certs", [ELSEWHERE], now=NOW + 70 * DAY)
    after = contents(tmp_path)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {
        f"certs/{name}.{end}" for name in ("portal.localhost", ELSEWHERE) for end in ("pem", "key")
    }
    bundle = Bundle.parse(
        after[f"certs/{ELSEWHERE}.pem"], after[f"certs/{ELSEWHERE}.key"], now=NOW + 70 * DAY
    )
    assert Authority.open(ca_file.parent, now=NOW).issued(bundle)
    assert bundle.not_after > NOW + 150 * DAY


@pytest.mark.parametrize("spoil", ["missing", "damaged", "another key", "old"])
def test_an_authority_that_cannot_be_used_is_made_anew_with_its_leaves(tmp_path: Path, spoil: str) -> None:
    """A half-deleted or expired folder does not keep the demo from starting."""
    ca_file = prepare(tmp_path / "one", tmp_path / "one" / "certs", [ELSEWHERE])
    key, before = ca_file.with_name("ca.key"), contents(tmp_path / "one")
    match spoil:
        case "missing":
            key.unlink()
        case "damaged":
            ca_file.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        case "another key":
            key.write_bytes(
                prepare(tmp_path / "two", tmp_path / "two" / "certs", []).with_name("ca.key").read_bytes()
            )
    now = NOW + 3640 * DAY if spoil == "old" else NOW
    prepare(tmp_path / "one", tmp_path / "one" / "certs", [ELSEWHERE], now=now)
    after = contents(tmp_path / "one")
    assert not [name for name in before if after[name] == before[name]]


def test_a_replaced_or_damaged_leaf_is_issued_anew(tmp_path: Path) -> None:
    """Each file pair is checked against the authority, its names and its key."""
    authority = Authority.open(tmp_path / "one", now=NOW)
    stranger = Authority.open(tmp_path / "two", now=NOW)
    certs = tmp_path / "certs"
    assert drop(authority, certs, [ELSEWHERE], now=NOW)
    assert not drop(authority, certs, [ELSEWHERE], now=NOW)
    assert drop(stranger, certs, [ELSEWHERE], now=NOW)
    assert drop(authority, certs, [ELSEWHERE], now=NOW)
    assert drop(authority, certs, [ELSEWHERE, "more.globex.test"], now=NOW)
    (certs / f"{ELSEWHERE}.key").write_bytes(b"")
    assert drop(authority, certs, [ELSEWHERE, "more.globex.test"], now=NOW)


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Private keys are 0600, in folders of 0700, and nothing is left of the drafts."""
    prepare(tmp_path, tmp_path / "certs", [ELSEWHERE])
    keys = list(tmp_path.rglob("*.key"))
    assert len(keys) == 3
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert {path.parent.stat().st_mode & 0o777 for path in keys} == {0o700}
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_the_authority_signs_for_names_that_nobody_owns_only(tmp_path: Path) -> None:
    """It refuses other names itself, and clients refuse them if its key signs them all the same."""
    authority = Authority.open(tmp_path, now=NOW)
    for name in ("example.com", "*.example.com", "localhost.example.com", "test.com"):
        with pytest.raises(BadInput) as caught:
            authority.issue([name], now=NOW)
        assert caught.value.code == "name_not_permitted"


def test_clients_refuse_what_a_stolen_key_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The constraint is in the certificate that is trusted, so a thief cannot lift it."""
    authority = Authority.open(tmp_path, now=NOW)
    monkeypatch.setattr("router.demo.authority.PERMITTED", ("localhost", "test", "com"))
    leaf = authority.issue(["www.example.com"], now=NOW)
    bundle = Bundle.parse(leaf.chain_pem, leaf.key_pem, now=NOW)
    assert not verified(authority.file, bundle, "www.example.com")


def test_a_leaf_does_not_print_its_key(tmp_path: Path) -> None:
    """No repr holds key material."""
    leaf = Authority.open(tmp_path, now=NOW).issue([ELSEWHERE], now=NOW)
    assert repr(leaf) == "<Leaf>"
