"""Real certificates for the tests, good ones and each kind of bad one."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.certificates.material import PrivateKey

NOW = 1_795_305_600.0
"""2026-11-22, the moment at which the tests judge."""

SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)


def key_of(kind: str, slot: int = 0) -> PrivateKey:
    """Make a private key, the same one for the same (kind, slot): RSA keys are slow to make."""
    return _key_of(kind, slot)


@cache
def _key_of(kind: str, _slot: int) -> PrivateKey:
    curves: dict[str, ec.EllipticCurve] = {
        "p256": ec.SECP256R1(),
        "p384": ec.SECP384R1(),
        "p521": ec.SECP521R1(),
        "p224": ec.SECP224R1(),
    }
    if kind in curves:
        return ec.generate_private_key(curves[kind])
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, int(kind.removeprefix("rsa")))


def pem_key(
    key: PrivateKey, passphrase: bytes | None = None, form: PrivateFormat = PrivateFormat.PKCS8
) -> bytes:
    """The key as PEM, protected where there is a passphrase."""
    protection: KeySerializationEncryption = (
        BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    )
    return key.private_bytes(Encoding.PEM, form, protection)


@dataclass(frozen=True)
class Made:
    """A certificate and the key it belongs to."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        """The certificate as DER."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        """The key as unprotected PEM."""
        return pem_key(self.key)


def make(
    *names: str,
    issuer: Made | None = None,
    kind: str = "p256",
    slot: int = 0,
    subject: str | None = None,
    authority: bool | None = False,
    days: tuple[float, float] = (-10, 80),
    usages: Sequence[x509.ObjectIdentifier] = SERVER,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Made:
    """Make a certificate; ``days`` are its validity counted from NOW, without ``issuer`` it signs itself."""
    key = key_of(kind, slot)
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, subject or (names[0] if names else "nobody")[:60])]
    )
    moments = [dt.datetime.fromtimestamp(NOW + day * 86_400, dt.UTC) for day in days]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moments[0])
        .not_valid_after(moments[1])
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(alternatives, critical=False)
    if authority is not None:
        builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    if usages and not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    signer = issuer.key if issuer else key
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Made(builder.sign(signer, digest), key)


ROOT = make(subject="Root of the tests", authority=True, slot=100, days=(-1000, 3000))
INTERMEDIATE = make(
    subject="Intermediate of the tests", issuer=ROOT, authority=True, slot=101, days=(-500, 1500)
)
LEAF = make("www.example.com", "example.com", issuer=INTERMEDIATE, slot=1)
