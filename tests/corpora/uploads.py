"""Uploads of certificates as people make them, good, unwise and wrong, and what must become of each.

Gathered from what the uploads of other products complain of, from RFC 5280, 5958, 7292 and 7468, and from
what authorities, Windows, OpenSSL and hosting panels hand out. All are made here, afresh in each process.
"""

from __future__ import annotations

import base64
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.certificates.maker import INTERMEDIATE, LEAF, ROOT, Made, key_of, make, pem_key

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTNAME: Final = "www.example.com"
"""What the tenant that uploads has claimed."""

PHRASE: Final = b"correct horse"


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload: two files at most, and perhaps a pass phrase.

    ``refused`` is the code of the refusal, empty for what is accepted; ``warned`` are the codes of all that
    is said about what is accepted.
    """

    name: str
    data: bytes = field(repr=False)
    key: bytes | None = field(default=None, repr=False)
    passphrase: bytes | None = field(default=None, repr=False)
    refused: str = ""
    warned: frozenset[str] = frozenset()


_CHAIN: Final = LEAF.pem + INTERMEDIATE.pem
_KEY: Final = LEAF.key_pem
_OPEN: Final = NoEncryption()
_LOCK: Final = BestAvailableEncryption(PHRASE)


def _pem(label: str, der: bytes) -> bytes:
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (
        label.encode(),
        base64.encodebytes(der),
        label.encode(),
    )


def _p12(
    lock: KeySerializationEncryption = _OPEN, *, leaf: bool = True, key: bool = True, more: bool = True
) -> bytes:
    above = [INTERMEDIATE.certificate, ROOT.certificate] if more else []
    return pkcs12.serialize_key_and_certificates(
        b"shop", LEAF.key if key else None, LEAF.certificate if leaf else None, above, lock
    )


def _old_lock() -> KeySerializationEncryption:
    """How Windows locked PKCS#12 for twenty years."""
    form = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048)
    form = form.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1())  # noqa: S303 - what is to be read
    return form.build(PHRASE)


def _request() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTNAME)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(LEAF.key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM)


def _accepted() -> Iterator[Upload]:
    """However it is spelled, the leaf comes first, its intermediate follows, and the root is left out."""
    ec = LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, _OPEN)
    parameters = _pem("EC PARAMETERS", b"\x06\x08*\x86H\xce=\x03\x01\x07")
    locked = pem_key(LEAF.key, PHRASE)
    rsa = make(HOSTNAME, issuer=INTERMEDIATE, kind="rsa2048")
    old = pem_key(rsa.key, PHRASE, PrivateFormat.TraditionalOpenSSL)
    p384 = make(HOSTNAME, issuer=INTERMEDIATE, kind="p384")
    wild = make("*.example.com", "example.com", issuer=INTERMEDIATE, slot=4)
    yield Upload("chain and key in two files", _CHAIN, _KEY)
    yield Upload("one file, key first", _KEY + _CHAIN)
    yield Upload("one file, key last", _CHAIN + _KEY)
    yield Upload("chain in reverse", INTERMEDIATE.pem + LEAF.pem, _KEY)
    yield Upload("root along", ROOT.pem + _CHAIN, _KEY)
    yield Upload("everything twice", _CHAIN + _CHAIN, _KEY + _KEY)
    yield Upload("intermediate in the key's file", LEAF.pem, _KEY + INTERMEDIATE.pem)
    yield Upload("another authority along", _CHAIN + make(subject="Other", authority=True, slot=7).pem, _KEY)
    yield Upload("line ends of Windows", _CHAIN.replace(b"\n", b"\r\n"), _KEY.replace(b"\n", b"\r\n"))
    yield Upload("line ends of old Macs", _CHAIN.replace(b"\n", b"\r"), _KEY.replace(b"\n", b"\r"))
    yield Upload("byte order mark", b"\xef\xbb\xbf" + _CHAIN, b"\xef\xbb\xbf" + _KEY)
    yield Upload("Notepad's Unicode", _CHAIN.decode().encode("utf-16"), _KEY.decode().encode("utf-16"))
    yield Upload("text around the blocks", b"subject=/CN=x\n" + _CHAIN + b"\nregards\n", b"Bag\n" + _KEY)
    yield Upload("indented", _CHAIN.replace(b"\n", b"\n    "), _KEY.replace(b"\n", b"\n  "))
    yield Upload("pasted onto one line", _CHAIN.replace(b"\n", b" "), _KEY.replace(b"\n", b" "))
    yield Upload("EC PARAMETERS before the key", _CHAIN, parameters + ec)
    yield Upload("request left in the file", _request() + _CHAIN, _KEY)
    yield Upload("key as DER", _CHAIN, LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, _OPEN))
    yield Upload("locked key", _CHAIN, locked, PHRASE)
    yield Upload("locked key, old form", rsa.pem + INTERMEDIATE.pem, old, PHRASE)
    locked_der = LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, _LOCK)
    yield Upload("locked key as DER", _CHAIN, locked_der, PHRASE)
    yield Upload("pass phrase for an open key", _CHAIN, _KEY, PHRASE)
    yield Upload("PKCS#12 without pass phrase", _p12())
    yield Upload("PKCS#12 with AES", _p12(_LOCK), None, PHRASE)
    yield Upload("PKCS#12 with 3DES", _p12(_old_lock()), None, PHRASE)
    yield Upload("RSA with 2048 bits", rsa.pem + INTERMEDIATE.pem, rsa.key_pem)
    yield Upload("P-384", p384.pem + INTERMEDIATE.pem, p384.key_pem)
    yield Upload("a wildcard", wild.pem + INTERMEDIATE.pem, wild.key_pem)


def _unwise() -> Iterator[Upload]:
    """Served, with a word about who will have trouble."""
    staple = x509.TLSFeature([x509.TLSFeatureType.status_request])
    yield Upload("intermediate missing", LEAF.pem, _KEY, warned=frozenset({"missing_intermediate"}))
    yield Upload("certificate as DER", LEAF.der, _KEY, warned=frozenset({"missing_intermediate"}))
    bare = _p12(more=False)
    yield Upload("PKCS#12 without intermediates", bare, warned=frozenset({"missing_intermediate"}))
    above = (INTERMEDIATE.pem,)
    for name, code, made in (
        ("Ed25519", "ed25519", make(HOSTNAME, issuer=INTERMEDIATE, kind="ed25519")),
        ("P-521", "p521", make(HOSTNAME, issuer=INTERMEDIATE, kind="p521")),
        ("three days left", "expires_soon", make(HOSTNAME, issuer=INTERMEDIATE, days=(-80, 3))),
        ("ten years", "valid_too_long", make(HOSTNAME, issuer=INTERMEDIATE, days=(-10, 3650))),
        ("must staple", "must_staple", make(HOSTNAME, issuer=INTERMEDIATE, extensions=[(staple, False)])),
        ("an odd name beside", "name_ignored", make(HOSTNAME, "a_b.example.com", issuer=INTERMEDIATE)),
    ):
        yield Upload(name, b"".join((made.pem, *above)), made.key_pem, warned=frozenset({code}))
    own = make(HOSTNAME)
    yield Upload("signed by itself", own.pem, own.key_pem, warned=frozenset({"self_signed"}))


def _wrong_files() -> Iterator[Upload]:
    """Files that are something else, or less, than what was wanted."""
    public = LEAF.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    locked = pem_key(LEAF.key, PHRASE)
    ssh = pem_key(LEAF.key, None, PrivateFormat.OpenSSH)
    rows: list[tuple[str, str, bytes, bytes | None, bytes | None]] = [
        ("an empty file", "empty", b"", _KEY, None),
        ("an empty key", "empty", _CHAIN, b" \n", None),
        ("ten megabytes", "too_large", b"x" * 10_000_000, _KEY, None),
        ("some text", "unreadable", b"To be sent tomorrow.", _KEY, None),
        ("a web page", "unreadable", b"<!doctype html><title>Not found</title>", _KEY, None),
        ("zeroes", "unreadable", bytes(1000), _KEY, None),
        ("a letter lost", "unreadable", _CHAIN.replace(b"MII", b"M!I"), _KEY, None),
        ("cut off", "truncated", _CHAIN[:-30], _KEY, None),
        ("the wrong way round", "files_swapped", _KEY, _CHAIN, None),
        ("a request", "request_uploaded", _request(), _KEY, None),
        ("the key alone", "no_certificate", _KEY, None, None),
        ("no key", "no_private_key", _CHAIN, None, None),
        ("the public key", "public_key_uploaded", _CHAIN, public, None),
        ("a key for SSH", "ssh_key_uploaded", _CHAIN, ssh, None),
        ("three keys", "several_keys", _CHAIN, _KEY * 3, None),
        ("twenty-one certificates", "too_many_certificates", LEAF.pem * 21, _KEY, None),
        ("locked, no pass phrase", "passphrase_needed", _CHAIN, locked, None),
        ("locked, wrong pass phrase", "wrong_passphrase", _CHAIN, locked, b"wrong"),
        ("locked for a week", "passphrase_too_costly", _CHAIN, _dear(), PHRASE),
        ("key cut off", "truncated", _CHAIN, _KEY[:-40], None),
        ("key damaged", "unreadable_key", _CHAIN, _KEY.replace(b"MIG", b"AAG"), None),
        ("another key", "key_mismatch", _CHAIN, pem_key(key_of("p256", 50)), None),
        ("key of another kind", "key_mismatch", _CHAIN, pem_key(key_of("rsa2048")), None),
        ("the intermediate alone", "key_mismatch", INTERMEDIATE.pem, _KEY, None),
        ("a DSA key", "unsupported_key", _CHAIN, _dsa(), None),
        ("a key without end", "key_too_large", _CHAIN, _pem("PRIVATE KEY", b"\x30" * 5000), None),
        ("PKCS#12, no pass phrase", "passphrase_needed", _p12(_LOCK), None, None),
        ("PKCS#12, wrong pass phrase", "wrong_passphrase", _p12(_LOCK), None, b"wrong"),
        ("PKCS#12 cut off", "damaged_pkcs12", _p12(_LOCK)[:-40], None, PHRASE),
        ("PKCS#12 without a key", "no_private_key", _p12(key=False), None, None),
        ("PKCS#12 without the leaf", "key_mismatch", _p12(leaf=False), None, None),
    ]
    for name, code, data, key, passphrase in rows:
        yield Upload(name, data, key, passphrase, refused=code)
    other = make("other.example.com", issuer=INTERMEDIATE, slot=3)
    yield Upload("two websites", _CHAIN + other.pem, _KEY, refused="several_leaves")


def _dear() -> bytes:
    """A locked key whose pass phrase is to be hashed two thousand million times (RFC 8018, appendix A.2)."""
    der = LEAF.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, _LOCK)
    # The salt makes room: OCTET STRING, then the rounds, INTEGER 2,048.
    salted = rb"\x04\x10(.{14})..\x02\x02\x08\x00"
    found = re.search(salted, der, re.DOTALL)
    assert found is not None
    dear = b"\x04\x0e" + found[1] + b"\x02\x04\x7f\xff\xff\xff"
    return der[: found.start()] + dear + der[found.end() :]


def _dsa() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dsa.generate_private_key(2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _OPEN)


def _usage(*, signature: bool) -> x509.KeyUsage:
    off = ("content_commitment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
    flags = dict.fromkeys((*off, "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=signature, key_encipherment=True, **flags)


def _signed_with(oid: str) -> Made:
    """Make a certificate that says it was signed in another way than it was."""
    made = make(HOSTNAME, kind="rsa2048")
    der = made.der.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex(oid))
    return Made(x509.load_der_x509_certificate(der), made.key)


def _unfit() -> Iterator[Upload]:
    """Certificates that are none for a website, or none that browsers take."""
    client = (ExtendedKeyUsageOID.CLIENT_AUTH,)
    many = [f"a{number}.example.com" for number in range(501)]
    rows = [
        ("expired", "expired", make(HOSTNAME, days=(-100, -1))),
        ("not valid yet", "not_yet_valid", make(HOSTNAME, days=(1, 90))),
        ("RSA with 1024 bits", "weak_key", make(HOSTNAME, kind="rsa1024")),
        ("RSA with 4608 bits", "key_too_large", make(HOSTNAME, kind="rsa4608")),
        ("P-224", "unsupported_key", make(HOSTNAME, kind="p224")),
        ("SHA-1", "weak_signature", _signed_with("2a864886f70d010105")),
        ("MD5", "weak_signature", _signed_with("2a864886f70d010104")),
        ("a signature nobody knows", "unsupported_signature", _signed_with("2a864886f70d01017f")),
        ("an authority", "authority_certificate", make(HOSTNAME, authority=True)),
        ("for clients only", "not_for_servers", make(HOSTNAME, usages=client)),
        (
            "not for signatures",
            "not_for_signatures",
            make(HOSTNAME, extensions=[(_usage(signature=False), True)]),
        ),
        ("a precertificate", "precertificate", make(HOSTNAME, extensions=[(x509.PrecertPoison(), True)])),
        ("common name alone", "no_alternative_names", make(subject=HOSTNAME)),
        ("no hostname", "no_usable_name", make("10.0.0.1")),
        ("a NUL in the name", "bad_name", make("www.example.com\0.evil.test")),
        ("a wildcard for all", "wildcard_too_wide", make("*")),
        ("a wildcard for .com", "wildcard_too_wide", make("*.com")),
        ("a wildcard for .co.uk", "wildcard_too_wide", make("*.co.uk")),
        ("501 names", "too_many_names", make(*many)),
    ]
    for name, code, made in rows:
        yield Upload(name, made.pem, made.key_pem, refused=code)
    foreign = make("shop.globex.test", issuer=INTERMEDIATE, slot=9)
    yield Upload(
        "another hostname", foreign.pem + INTERMEDIATE.pem, foreign.key_pem, refused="hostname_not_covered"
    )


UPLOADS: Final = (*_accepted(), *_unwise(), *_wrong_files(), *_unfit())
