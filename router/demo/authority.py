"""The demo's own certificate authority, and the certificates it drops into the demo's certs folder.

Whoever tries the demo in a browser is asked to trust this authority, so it can do as little as possible: it
is constrained (RFC 5280 section 4.2.1.10) to names that no one owns, those below ``localhost`` and ``test``
(RFC 6761). Its stolen key would impersonate nobody else.
"""

from __future__ import annotations

import datetime as dt
import os
import secrets
import time
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from router.certificates.bundle import BadBundle, Bundle
from router.demo.seed import PLATFORM_DOMAIN
from router.errors import BadInput
from router.hostname import Hostname

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PERMITTED: Final = ("localhost", "test")

_DAY: Final = 86_400
_CA_DAYS: Final = 3650
_LEAF_DAYS: Final = 90  # as Mozilla recommends (guideline 5.7)
_RENEW_BEFORE: Final = 30 * _DAY
_HOUR: Final = 3600  # certificates begin a little earlier, for clocks that are behind


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate for a website, as the two files that an operator would be sent."""

    chain_pem: bytes
    key_pem: bytes

    def __repr__(self) -> str:
        return "<Leaf>"


class Authority:
    """A certificate authority in a folder of its own: ``ca.pem`` to trust, ``ca.key`` to keep."""

    def __init__(self, file: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.file = file
        self.certificate = certificate
        self._key = key

    @classmethod
    def open(cls, folder: Path, *, now: float) -> Authority:
        """Open the authority in ``folder``, or make one where there is none that will last another month."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return cls._stored(folder, now) or cls._made(folder, now)

    @classmethod
    def _stored(cls, folder: Path, now: float) -> Authority | None:
        try:
            certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
            key = load_pem_private_key((folder / "ca.key").read_bytes(), None)
        except (FileNotFoundError, ValueError):
            return None
        ends = certificate.not_valid_after_utc.timestamp()
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            return None
        return cls(folder / "ca.pem", certificate, key) if now < ends - _RENEW_BEFORE else None

    @classmethod
    def _made(cls, folder: Path, now: float) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        # A name of its own for each: two with one name but different keys confuse browsers that trust both.
        name = _name(f"tenant-router demo {secrets.token_hex(4)}")
        builder = _builder(name, name, key.public_key(), now, _CA_DAYS)
        constraints = x509.NameConstraints(
            permitted_subtrees=[x509.DNSName(each) for each in PERMITTED],
            excluded_subtrees=[x509.IPAddress(ip_network(each)) for each in ("0.0.0.0/0", "::/0")],
        )
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(constraints, critical=True)
            .sign(key, hashes.SHA256())
        )
        _write(folder / "ca.key", _pem(key), 0o600)
        _write(folder / "ca.pem", certificate.public_bytes(Encoding.PEM), 0o644)
        return cls(folder / "ca.pem", certificate, key)

    def issue(self, names: Sequence[str], *, now: float) -> Leaf:
        """Issue a certificate for ``names``, which may be wildcards.

        Raises ``BadInput("name_not_permitted")`` for what is not below ``localhost`` or ``test``.
        """
        for name in names:
            host = Hostname.parse(name.removeprefix("*."))
            if not any(host.is_under(domain) for domain in PERMITTED):
                raise BadInput("name_not_permitted", f"The demo's authority may not sign for {name}.")
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(
            _name(names[0]), self.certificate.subject, key.public_key(), now, _LEAF_DAYS, issuer=self._key
        )
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        # The authority stands in the chain too: without it nobody can tell that no link is missing.
        chain = certificate.public_bytes(Encoding.PEM) + self.certificate.public_bytes(Encoding.PEM)
        return Leaf(chain, _pem(key))

    def issued(self, bundle: Bundle) -> bool:
        """Whether a certificate is of this authority."""
        try:
            bundle.leaf.verify_directly_issued_by(self.certificate)
        except (ValueError, InvalidSignature):
            return False
        return True


def prepare(data_dir: Path, certs: Path, hostnames: Iterable[str], *, now: float | None = None) -> Path:
    """Make what the demo needs: the authority below ``data_dir``, and certificates in the folder ``certs``.

    One certificate for the platform's domain and its sub-domains, one for each hostname elsewhere. What is
    there and good for another month is left alone. Answers the file with the authority to trust.
    """
    now = time.time() if now is None else now
    authority = Authority.open(data_dir / "authority", now=now)
    platform = (str(PLATFORM_DOMAIN), f"*.{PLATFORM_DOMAIN}")
    elsewhere = [(name,) for name in hostnames if not Hostname.parse(name).is_under(PLATFORM_DOMAIN)]
    for names in (platform, *elsewhere):
        drop(authority, certs, names, now=now)
    return authority.file


def drop(authority: Authority, certs: Path, names: Sequence[str], *, now: float) -> bool:
    """Put a certificate for ``names`` into a certs folder, as any operator would; False if one is there.

    The files are called after the first name: ``example.test.pem`` and ``example.test.key``.
    """
    certs.mkdir(mode=0o700, parents=True, exist_ok=True)
    chain, key = certs / f"{names[0]}.pem", certs / f"{names[0]}.key"
    if _is_good(authority, chain, key, names, now):
        return False
    leaf = authority.issue(names, now=now)
    _write(key, leaf.key_pem, 0o600)
    _write(chain, leaf.chain_pem, 0o644)
    return True


def _is_good(authority: Authority, chain: Path, key: Path, names: Sequence[str], now: float) -> bool:
    try:
        bundle = Bundle.parse(chain.read_bytes(), key.read_bytes(), now=now)
    except (FileNotFoundError, BadBundle):
        return False
    lasts = now < bundle.not_after - _RENEW_BEFORE
    return lasts and set(bundle.names) == set(names) and authority.issued(bundle)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer_name: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: float,
    days: int,
    *,
    issuer: ec.EllipticCurvePrivateKey | None = None,
) -> x509.CertificateBuilder:
    begin = dt.datetime.fromtimestamp(now - _HOUR, dt.UTC)
    authority_key = issuer.public_key() if issuer else key
    return (
        x509.CertificateBuilder(issuer_name, subject, key, x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file in one stroke, never readable by more than ``mode`` says."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    draft.replace(path)
