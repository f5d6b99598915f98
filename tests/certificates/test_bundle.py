from __future__ import annotations

import base64
import contextlib
import datetime as dt
import re
import subprocess
import time
import warnings
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from router.certificates.bundle import BadBundle, Bundle
from router.certificates.faults import REFUSALS, WARNINGS
from tests.certificates.maker import INTERMEDIATE, LEAF, NOW, ROOT, Made, key_of, make, pem_key

if TYPE_CHECKING:
    from pathlib import Path

CHAIN = LEAF.pem + INTERMEDIATE.pem


def parse(data: bytes, key: bytes | None = None, passphrase: bytes | None = None) -> Bundle:
    """Judge an upload at NOW."""
    return Bundle.parse(data, key, passphrase=passphrase, now=NOW)


def code_of(data: bytes, key: bytes | None = None, passphrase: bytes | None = None) -> str:
    """Tell why an upload is refused."""
    with pytest.raises(BadBundle) as caught:
        parse(data, key, passphrase)
    assert caught.value.sentence
    assert "{" not in caught.value.sentence
    return caught.value.code


def refused(made: Made) -> str:
    """Tell why a certificate is refused."""
    return code_of(made.pem, made.key_pem)


def warned(made: Made, *more: Made) -> set[str]:
    """Tell what a certificate is accepted with."""
    return {
        each.code for each in parse(made.pem + b"".join(each.pem for each in more), made.key_pem).warnings
    }


def pem(label: str, der: bytes) -> bytes:
    """Wrap bytes as PEM."""
    return (
        f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(der) + f"-----END {label}-----\n".encode()
    )


# --- what is accepted ---------------------------------------------------------------------------------------


def test_a_bundle_tells_what_it_is() -> None:
    """A good upload yields its leaf, chain, names, dates, kind of key and fingerprint, and no warning."""
    bundle = parse(CHAIN, LEAF.key_pem)
    assert bundle.leaf == LEAF.certificate
    assert bundle.chain == (LEAF.certificate, INTERMEDIATE.certificate)
    assert bundle.names == ("www.example.com", "example.com")
    assert (bundle.not_before, bundle.not_after) == (int(NOW) - 10 * 86_400, int(NOW) + 80 * 86_400)
    assert (bundle.key_type, bundle.warnings) == ("ecdsa", ())
    assert bundle.fingerprint == LEAF.certificate.fingerprint(hashes.SHA256()).hex()
    assert bundle.chain_pem.encode() == CHAIN
    key = load_der_private_key(bundle.key_der, None)
    assert key.public_key() == LEAF.certificate.public_key()


def test_a_bundle_covers_its_names() -> None:
    """covers() goes by the names of the certificate."""
    bundle = parse(CHAIN, LEAF.key_pem)
    assert bundle.covers("example.com")
    assert not bundle.covers("other.example.com")


SPELLINGS = {
    "reversed": (INTERMEDIATE.pem + LEAF.pem, LEAF.key_pem),
    "root along, shuffled": (ROOT.pem + LEAF.pem + INTERMEDIATE.pem, LEAF.key_pem),
    "everything twice": (CHAIN + CHAIN, LEAF.key_pem + LEAF.key_pem),
    "one file": (LEAF.key_pem + CHAIN, None),
    "one file, given twice": (LEAF.key_pem + CHAIN, LEAF.key_pem + CHAIN),
    "chain in the key's file": (LEAF.pem, LEAF.key_pem + INTERMEDIATE.pem),
    "CRLF": (CHAIN.replace(b"\n", b"\r\n"), LEAF.key_pem.replace(b"\n", b"\r\n")),
    "CR": (CHAIN.replace(b"\n", b"\r"), LEAF.key_pem.replace(b"\n", b"\r")),
    "UTF-8 with BOM": (b"\xef\xbb\xbf" + CHAIN, b"\xef\xbb\xbf" + LEAF.key_pem),
    "UTF-16": (CHAIN.decode().encode("utf-16"), LEAF.key_pem.decode().encode("utf-16")),
    "text around": (
        b"subject=/CN=x\n" + CHAIN.replace(b"-----END", b"-----END") + b"\nbye",
        b"Bag \xff\n" + LEAF.key_pem,
    ),
    "indented": (CHAIN.replace(b"\n", b"\n   "), b"  " + LEAF.key_pem.replace(b"\n", b" \n\t")),
    "on one line": (CHAIN.replace(b"\n", b" "), LEAF.key_pem.replace(b"\n", b" ")),
    "EC PARAMETERS": (
        CHAIN,
        pem("EC PARAMETERS", b"\x06\x08*\x86H\xce=\x03\x01\x07")
        + pem_key(LEAF.key, None, PrivateFormat.TraditionalOpenSSL),
    ),
    "request left in": (CHAIN + pem("CERTIFICATE REQUEST", b"0\x00"), LEAF.key_pem),
    "DER key": (CHAIN, LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())),
    "DER key, SEC 1": (
        CHAIN,
        LEAF.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
    ),
    "intermediate of others along": (CHAIN + make(subject="Other", authority=True, slot=7).pem, LEAF.key_pem),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_however_it_is_spelled_the_leaf_comes_first_and_the_root_is_left_out(spelling: str) -> None:
    """Order, line ends, byte order marks, text around and duplicates change nothing."""
    bundle = parse(*SPELLINGS[spelling])
    assert bundle.chain_pem.encode() == CHAIN
    assert bundle.warnings == ()


def test_a_der_certificate_is_read() -> None:
    """A binary certificate with its key is enough; the chain is missed."""
    bundle = parse(LEAF.der, LEAF.key_pem)
    assert [each.code for each in bundle.warnings] == ["missing_intermediate"]


def test_a_passphrase_that_is_not_needed_is_ignored() -> None:
    """A passphrase for a key that has none is no fault."""
    assert parse(CHAIN, LEAF.key_pem, b"secret").leaf == LEAF.certificate


def test_a_long_chain_is_ordered() -> None:
    """Each intermediate follows the one it certifies, whatever the order of the upload."""
    upper = make(subject="Upper", issuer=ROOT, authority=True, slot=110)
    lower = make(subject="Lower", issuer=upper, authority=True, slot=111)
    leaf = make("deep.example.com", issuer=lower, slot=2)
    bundle = parse(upper.pem + ROOT.pem + leaf.pem + lower.pem, leaf.key_pem)
    assert bundle.chain == (leaf.certificate, lower.certificate, upper.certificate)


def test_a_cross_signed_authority_does_not_end_the_chain_early() -> None:
    """Of two certificates for one authority the one that leads on is served; loops end."""
    old = make(subject="Old root", authority=True, slot=112)
    cross = make(subject="Root of the tests", issuer=old, authority=True, slot=100)
    back = make(subject="Old root", issuer=ROOT, authority=True, slot=112)
    bundle = parse(CHAIN + ROOT.pem + cross.pem + back.pem, LEAF.key_pem)
    assert bundle.chain[:3] == (LEAF.certificate, INTERMEDIATE.certificate, cross.certificate)
    assert len(bundle.chain) <= 4


def test_an_expired_intermediate_is_not_served() -> None:
    """An authority's certificate that ran out is left out, and its absence is told."""
    expired = make(
        subject="Intermediate of the tests", issuer=ROOT, authority=True, slot=101, days=(-500, -1)
    )
    bundle = parse(LEAF.pem + expired.pem, LEAF.key_pem)
    assert bundle.chain == (LEAF.certificate,)
    assert [each.code for each in bundle.warnings] == ["missing_intermediate"]


def test_a_namesake_of_the_authority_is_not_taken_for_it() -> None:
    """A certificate with the issuer's name but another key certifies nothing."""
    namesake = make(subject="Intermediate of the tests", issuer=ROOT, authority=True, slot=120)
    assert parse(LEAF.pem + namesake.pem + INTERMEDIATE.pem, LEAF.key_pem).chain_pem.encode() == CHAIN


@pytest.mark.parametrize(("kind", "key_type"), [("rsa2048", "rsa"), ("p256", "ecdsa"), ("p384", "ecdsa")])
def test_good_keys_pass_without_a_word(kind: str, key_type: str) -> None:
    """RSA with 2048 bits, P-256 and P-384 are what browsers want."""
    made = make("a.example.com", issuer=INTERMEDIATE, kind=kind)
    bundle = parse(made.pem + INTERMEDIATE.pem, made.key_pem)
    assert (bundle.key_type, bundle.warnings) == (key_type, ())


def test_names_are_compared_in_lower_case_and_other_kinds_left_out() -> None:
    """DNS names are normalised; what is no hostname is left out with a warning."""
    made = make(
        "*.Example.COM", "EXAMPLE.com", "bad_name.example.com", "10.0.0.1", "a*.example.com", issuer=ROOT
    )
    bundle = parse(made.pem + ROOT.pem, made.key_pem)
    assert bundle.names == ("*.example.com", "example.com")
    assert [each.code for each in bundle.warnings] == ["name_ignored"] * 3


# --- PKCS#12 ------------------------------------------------------------------------------------------------


def p12(passphrase: bytes | None, *, key: bool = True, certificate: bool = True) -> bytes:
    """Make a PKCS#12 file of LEAF."""
    protection = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return pkcs12.serialize_key_and_certificates(
        b"name",
        LEAF.key if key else None,
        LEAF.certificate if certificate else None,
        [INTERMEDIATE.certificate, ROOT.certificate],
        protection,
    )


@pytest.mark.parametrize("passphrase", [b"secret", None, "pässword".encode()])
def test_pkcs12_is_read(passphrase: bytes | None) -> None:
    """A .p12 is a whole upload, with a passphrase or without."""
    assert parse(p12(passphrase), passphrase=passphrase).chain_pem.encode() == CHAIN


@pytest.mark.parametrize(
    "options", [["-legacy"], ["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES"], []]
)
def test_pkcs12_of_openssl_is_read(tmp_path: Path, options: list[str]) -> None:
    """Old ciphers of Windows (RC2, 3DES) and new ones (AES) open alike."""
    (tmp_path / "in.pem").write_bytes(CHAIN + LEAF.key_pem)
    arguments = ["-export", *options, "-in", "in.pem", "-out", "out.p12", "-passout", "pass:hi"]
    try:
        subprocess.run(["openssl", "pkcs12", *arguments], cwd=tmp_path, check=True, capture_output=True)  # noqa: S603, S607 - whichever openssl there is
    except FileNotFoundError:
        pytest.skip("there is no openssl command here")
    assert parse((tmp_path / "out.p12").read_bytes(), passphrase=b"hi").chain_pem.encode() == CHAIN


@pytest.mark.parametrize(
    ("data", "passphrase", "code"),
    [
        (p12(b"secret"), None, "passphrase_needed"),
        (p12(b"secret"), b"wrong", "wrong_passphrase"),
        (p12(b"secret")[:-40], b"secret", "damaged_pkcs12"),
        (b"\x30\x80" + p12(b"secret")[4:] + bytes(2), b"secret", "damaged_pkcs12"),
        (p12(b"secret", key=False, certificate=False), b"secret", "no_private_key"),
        (p12(b"secret", certificate=False), b"secret", "key_mismatch"),
    ],
)
def test_pkcs12_faults_are_told(data: bytes, passphrase: bytes | None, code: str) -> None:
    """A .p12 that does not open, or lacks a part, is refused with the reason."""
    assert code_of(data, passphrase=passphrase) == code


# --- what is refused ----------------------------------------------------------------------------------------


def request_pem() -> bytes:
    """Make a certificate request."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example.com")])
    request = (
        x509.CertificateSigningRequestBuilder().subject_name(name).sign(key_of("p256", 1), hashes.SHA256())
    )
    return request.public_bytes(Encoding.PEM)


PUBLIC = LEAF.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
PUBLIC_DER = LEAF.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
LOCKED = pem_key(LEAF.key, b"secret")
LOCKED_OLD = pem_key(key_of("rsa2048"), b"secret", PrivateFormat.TraditionalOpenSSL)

WRONG_FILES: list[tuple[str, bytes, bytes | None]] = [
    ("empty", b"", None),
    ("empty", CHAIN, b" \n"),
    ("too_large", CHAIN + b"\n" * 256 * 1024, LEAF.key_pem),
    ("unreadable", b"hello", None),
    ("unreadable", b"\x00" * 1000, None),
    ("unreadable", CHAIN.replace(b"MII", b"M!I"), LEAF.key_pem),
    ("unreadable", CHAIN.replace(b"MII", b"AAA"), LEAF.key_pem),
    ("truncated", CHAIN[:-30], LEAF.key_pem),
    ("truncated", b"-----BEGIN CERTIFICATE", None),
    ("files_swapped", LEAF.key_pem, CHAIN),
    ("request_uploaded", request_pem(), LEAF.key_pem),
    ("request_uploaded", x509.load_pem_x509_csr(request_pem()).public_bytes(Encoding.DER), LEAF.key_pem),
    ("no_certificate", LEAF.key_pem, None),
    ("no_certificate", LEAF.key_pem, LEAF.key_pem),
    ("no_private_key", CHAIN, None),
    ("no_private_key", CHAIN, CHAIN),
    ("public_key_uploaded", CHAIN, PUBLIC),
    ("public_key_uploaded", CHAIN, PUBLIC_DER),
    ("ssh_key_uploaded", CHAIN, pem_key(LEAF.key, None, PrivateFormat.OpenSSH)),
    ("several_keys", CHAIN, LEAF.key_pem * 3),
    ("passphrase_needed", CHAIN, LOCKED),
    ("passphrase_needed", CHAIN, LOCKED_OLD),
    (
        "passphrase_needed",
        CHAIN,
        LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
    ),
    ("passphrase_needed", CHAIN, LOCKED.replace(b"ENCRYPTED ", b"")),
    ("unreadable_key", CHAIN, LEAF.key_pem.replace(b"MIG", b"AAG")),
    ("unreadable_key", CHAIN, b"\x30\x03\x02\x01\x00"),
    ("unreadable", CHAIN, LOCKED_OLD.replace(b"RSA ", b"ENCRYPTED ")),
    ("unreadable", CHAIN, re.sub(rb"(DEK-Info: [^,]+),\w+", rb"\1,00", LOCKED_OLD)),
    ("unreadable", CHAIN, re.sub(rb"(DEK-Info: .*\n)", rb"DEK-Info: AES-256-CBC,00\n\1", LOCKED_OLD)),
    ("key_mismatch", CHAIN, pem_key(key_of("p256", 50))),
    ("key_mismatch", CHAIN, pem_key(key_of("rsa2048"))),
    ("key_mismatch", INTERMEDIATE.pem, LEAF.key_pem),
    ("several_leaves", CHAIN + make("other.example.com", issuer=INTERMEDIATE, slot=3).pem, LEAF.key_pem),
    ("several_leaves", CHAIN + make("www.example.com", issuer=INTERMEDIATE, slot=1).pem, LEAF.key_pem),
    ("authority_certificate", INTERMEDIATE.pem, INTERMEDIATE.key_pem),
    ("key_too_large", CHAIN, pem("PRIVATE KEY", b"\x30" * 5000)),
    ("key_too_large", CHAIN, b"\x30\x82\x13\x88\x02\x01\x00" + b"\x30" * 5000),
]


# Keys are made anew in each process, and an id must be the same in all of them.
WRONG_FILE_IDS = [f"{code}-{number}" for number, (code, _, _) in enumerate(WRONG_FILES)]


@pytest.mark.parametrize(("code", "data", "key"), WRONG_FILES, ids=WRONG_FILE_IDS)
def test_the_wrong_files_are_refused_with_the_reason(code: str, data: bytes, key: bytes | None) -> None:
    """Each mistake with files has its code."""
    assert code_of(data, key) == code


def test_a_wrong_passphrase_is_told() -> None:
    """PKCS#8 and the old OpenSSL form alike: a passphrase that opens, and one that does not."""
    made = make("a.example.com", kind="rsa2048")
    for locked in (pem_key(made.key, b"secret"), LOCKED_OLD):
        for spelled in (locked, locked.replace(b"\n", b"\r\n"), locked.replace(b"\n", b"\n  ")):
            assert parse(made.pem, spelled, b"secret").key_type == "rsa"
        assert code_of(made.pem, locked, b"wrong") == "wrong_passphrase"


def signed_with(digest: str) -> Made:
    """Make a certificate that claims to be signed with another digest."""
    oids = {"sha256": "2a864886f70d01010b", "sha1": "2a864886f70d010105", "md5": "2a864886f70d010104"}
    made = make("weak.example.com", kind="rsa2048")
    old, new = bytes.fromhex(oids["sha256"]), bytes.fromhex(oids[digest])
    return Made(x509.load_der_x509_certificate(made.der.replace(old, new)), made.key)


def usage(*, signature: bool) -> x509.KeyUsage:
    """Make a key usage extension."""
    return x509.KeyUsage(
        digital_signature=signature,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def weak_rsa() -> Made:
    """Make a certificate with a key that is too short."""
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - weak on purpose
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "short.example.com")])
    moment = dt.datetime.fromtimestamp(NOW, dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, moment, moment + dt.timedelta(90))
    alternatives = x509.SubjectAlternativeName([x509.DNSName("short.example.com")])
    return Made(builder.add_extension(alternatives, critical=False).sign(key, hashes.SHA256()), key)


NUL_NAME = Made(
    x509.load_der_x509_certificate(make("bank.exampleX.evil.test").der.replace(b"exampleX", b"example\x00")),
    key_of("p256"),
)

BAD_CERTIFICATES = [
    ("expired", make("a.example.com", days=(-90, -1))),
    ("not_yet_valid", make("a.example.com", days=(1, 90))),
    ("weak_key", weak_rsa()),
    ("key_too_large", make("a.example.com", kind="rsa4608")),
    ("unsupported_key", make("a.example.com", kind="p224")),
    ("weak_signature", signed_with("sha1")),
    ("weak_signature", signed_with("md5")),
    ("no_alternative_names", make(subject="www.example.com")),
    ("bad_name", NUL_NAME),
    ("authority_certificate", make("a.example.com", authority=True)),
    ("not_for_servers", make("a.example.com", usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))),
    ("not_for_signatures", make("a.example.com", extensions=[(usage(signature=False), True)])),
    ("precertificate", make("a.example.com", extensions=[(x509.PrecertPoison(), True)])),
    ("wildcard_too_wide", make("*")),
    ("wildcard_too_wide", make("*.com")),
    ("wildcard_too_wide", make("*.com.")),
    ("wildcard_too_wide", make("*.co.uk")),
    ("wildcard_too_wide", make("www.example.com", "*.XN--P1AI")),
    ("wildcard_too_wide", make("*.")),
    ("no_usable_name", make("10.0.0.1")),
    ("no_usable_name", make("*.*.example.com")),
    ("too_many_names", make(*[f"a{number}.example.com" for number in range(501)])),
]


@pytest.mark.parametrize(("code", "made"), BAD_CERTIFICATES)
def test_unfit_certificates_are_refused(code: str, made: Made) -> None:
    """What browsers would refuse, or what was never meant for a website, is refused with the reason."""
    assert refused(made) == code


def test_server_or_any_usage_will_do() -> None:
    """A certificate for clients and servers, or for anything, is fit for servers."""
    both = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
    for usages in (both, (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,), ()):
        made = make("a.example.com", usages=usages, extensions=[(usage(signature=True), True)])
        assert parse(made.pem, made.key_pem).names == ("a.example.com",)


def test_a_weak_authority_is_refused() -> None:
    """A chain is as strong as its weakest key; a root is not served and so not judged."""
    weak = weak_rsa()
    authority = make(subject="Weak", issuer=ROOT, authority=True, slot=130)
    builder_key = weak.key
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Weak")])
    short = (
        x509.CertificateBuilder(name, ROOT.certificate.subject, builder_key.public_key(), 9)
        .not_valid_before(authority.certificate.not_valid_before_utc)
        .not_valid_after(authority.certificate.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ROOT.key, hashes.SHA256())
    )
    leaf = make("a.example.com", issuer=Made(short, builder_key), slot=5)
    assert code_of(leaf.pem + short.public_bytes(Encoding.PEM), leaf.key_pem) == "weak_key"


def test_a_key_of_an_unknown_kind_is_refused() -> None:
    """DSA belongs to the past."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        key = dsa.generate_private_key(2048)
        data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        assert code_of(CHAIN, data) == "unsupported_key"


def test_twenty_one_certificates_are_too_many() -> None:
    """The limit holds for one file and for two together, and before each is looked at."""
    some = b"".join(make(subject=f"CA {number}", authority=True, slot=140).pem for number in range(19))
    assert parse(CHAIN, LEAF.key_pem + some[: some.rindex(b"-----BEGIN")]).names
    assert code_of(CHAIN, LEAF.key_pem + some) == "too_many_certificates"
    assert code_of(LEAF.pem * 21, LEAF.key_pem) == "too_many_certificates"


# --- what is accepted with a warning ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (make("a.example.com", issuer=INTERMEDIATE), {"missing_intermediate"}),
        (make("a.example.com"), {"self_signed"}),
        (make("a.example.com", kind="ed25519"), {"self_signed", "ed25519"}),
        (make("a.example.com", kind="p521"), {"self_signed", "p521"}),
        (make("a.example.com", days=(-80, 3)), {"self_signed", "expires_soon"}),
        (make("a.example.com", days=(-1, 824)), {"self_signed"}),
        (make("a.example.com", days=(-1, 825)), {"self_signed", "valid_too_long"}),
        (
            make(
                "a.example.com", extensions=[(x509.TLSFeature([x509.TLSFeatureType.status_request]), False)]
            ),
            {"self_signed", "must_staple"},
        ),
        (make("a.example.com", "b_c.example.com"), {"self_signed", "name_ignored"}),
    ],
)
def test_unwise_certificates_are_served_with_a_warning(made: Made, expected: set[str]) -> None:
    """What works for some clients, or not for long, is accepted and told."""
    assert warned(made) == expected


def test_a_leaf_right_under_its_root_misses_nothing() -> None:
    """With the root uploaded along, a private authority without intermediates is complete."""
    made = make("a.example.com", issuer=ROOT)
    assert warned(made, ROOT) == set()


def test_a_chain_is_completed_from_what_is_known() -> None:
    """What the leaf's issuer is known by is added, what stands above it too, and that is told."""
    upper = make(subject="Upper", issuer=ROOT, authority=True, slot=110)
    lower = make(subject="Lower", issuer=upper, authority=True, slot=111)
    leaf = make("deep.example.com", issuer=lower, slot=2)
    known = [INTERMEDIATE.certificate, upper.certificate, lower.certificate]
    bundle = parse(leaf.pem, leaf.key_pem)
    completed = bundle.completed(known, NOW)
    assert completed.chain == (leaf.certificate, lower.certificate, upper.certificate)
    assert [each.code for each in completed.warnings] == ["chain_completed"]
    assert bundle.completed([INTERMEDIATE.certificate], NOW) is bundle
    whole = parse(CHAIN, LEAF.key_pem)
    assert whole.completed(known, NOW) is whole


def test_a_wildcard_below_a_listed_domain_of_ones_own_is_no_fault() -> None:
    """A platform may have its domain on the private part of the public suffix list."""
    made = make("*.github.io", issuer=ROOT)
    assert parse(made.pem + ROOT.pem, made.key_pem).names == ("*.github.io",)


def test_each_code_is_shown_by_a_test() -> None:
    """No refusal and no warning exists that these tables do not cause."""
    told = {code for code, _, _ in WRONG_FILES} | {code for code, _ in BAD_CERTIFICATES}
    elsewhere = {
        "damaged_pkcs12",
        "wrong_passphrase",
        "passphrase_too_costly",
        "too_many_certificates",
        "unsupported_signature",
        "unusable",  # test_context.py
    }
    assert set(REFUSALS) == told | elsewhere
    assert set(WARNINGS) == {
        "missing_intermediate",
        "self_signed",
        "ed25519",
        "p521",
        "expires_soon",
        "must_staple",
        "name_ignored",
        "valid_too_long",
        "chain_completed",
    }


def test_an_unknown_signature_is_refused() -> None:
    """A signature algorithm nobody knows is told as such."""
    made = make("weak.example.com", kind="rsa2048")
    odd = made.der.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d01017f"))
    assert code_of(pem("CERTIFICATE", odd), made.key_pem) == "unsupported_signature"


# --- secrets and hostile bytes ------------------------------------------------------------------------------


def test_a_bundle_does_not_print_its_key() -> None:
    """Neither repr nor an error ever holds the key."""
    bundle = parse(CHAIN, LEAF.key_pem)
    assert "rivate" not in repr(bundle)


@given(st.binary(max_size=2000), st.none() | st.binary(max_size=500), st.none() | st.binary(max_size=8))
def test_arbitrary_bytes_are_refused(data: bytes, key: bytes | None, passphrase: bytes | None) -> None:
    """Whatever is uploaded, the answer is a BadBundle."""
    with pytest.raises(BadBundle):
        parse(data, key, passphrase)


SEEDS = [CHAIN + LEAF.key_pem, LEAF.der, p12(b"secret"), LOCKED, LOCKED_OLD, PUBLIC_DER, request_pem()]


@given(st.sampled_from(SEEDS), st.data())
def test_damaged_uploads_are_refused_and_nothing_worse(seed: bytes, data: st.DataObject) -> None:
    """A few flipped bytes in something real lead to a Bundle or a BadBundle."""
    damaged = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadBundle):
        parse(bytes(damaged), LEAF.key_pem, b"secret")


@given(st.binary(max_size=60), st.sampled_from(["CERTIFICATE", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "X"]))
def test_arbitrary_blocks_are_refused_and_nothing_worse(body: bytes, label: str) -> None:
    """PEM around nonsense is nonsense."""
    with pytest.raises(BadBundle):
        parse(pem(label, body), LEAF.key_pem, b"secret")


@pytest.mark.parametrize(
    "junk",
    [
        b"\x30\x80" * 120_000,
        b"\x30\x84\x00\x03\xff\xf9" + b"\x30\x82\xff\xff" * 60_000,
        b"-----BEGIN CERTIFICATE-----" * 9_000,
        b"-----BEGIN " * 23_000,
        b"-----BEGIN X-----\n-----END X-----\n" * 7_000,
        # The head of an encrypted key, and then nothing but white space: 300 seconds with a careless pattern.
        b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,"
        + b"A" * 32
        + b"\n " * 100_000
        + b"!\n-----END RSA PRIVATE KEY-----\n",
        b"-----BEGIN RSA PRIVATE KEY-----" + b" \n" * 100_000 + b"-----END RSA PRIVATE KEY-----",
        b"\x04\x82\xff\xff" * 60_000,
        b"\x30\x83\x03\xf0\x00\x02\x01\x03" + b"\x04\x00" * 129_000,
    ],
)
def test_junk_is_refused_quickly(junk: bytes) -> None:
    """Nested, endless or repeated junk at the size limit costs well under a second of CPU."""
    started = time.process_time()
    code_of(junk, None, b"x")
    assert time.process_time() - started < 1
