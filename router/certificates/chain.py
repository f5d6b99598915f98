"""Which of the uploaded certificates is served, and in which order the others follow it.

PURE. RFC 8446 section 4.4.2: the leaf first, each next one certifies the one before it, the root may be left
out (and is: a client that trusts it has it, and one that does not gains nothing).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from router.certificates.faults import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from router.certificates.material import PrivateKey


def find_leaf(
    certificates: Sequence[x509.Certificate], keys: Sequence[PrivateKey]
) -> tuple[x509.Certificate, PrivateKey]:
    """Find the one certificate that belongs to the private key.

    Raises ``BadBundle``: ``key_mismatch``, or ``several_leaves`` when it is not clear which one is meant.
    """
    owned = {_spki(key.public_key()): key for key in reversed(keys)}
    pairs = [(each, owned[spki]) for each in certificates if (spki := public_key_of(each)) in owned]
    if not pairs:
        raise refusal("key_mismatch")
    leaf, key = pairs[0]
    strangers = [each for each in certificates if each != leaf and not is_authority(each)]
    if len(pairs) > 1 or strangers:
        raise refusal("several_leaves")
    return leaf, key


def order(
    leaf: x509.Certificate, others: Iterable[x509.Certificate], now: float
) -> tuple[tuple[x509.Certificate, ...], bool]:
    """Build the chain from the leaf upwards, roots left out.

    The flag says whether it is anchored: whether the leaf has an issuer in the upload or is its own. Where
    two certificates of one authority would fit (cross-signing), the one that is valid and leads on is taken.
    """
    chain, left = [leaf], [each for each in others if each != leaf]
    anchored = is_root(leaf)
    while not is_root(chain[-1]):
        issuers = [each for each in left if _issued(chain[-1], each) and is_valid(each, now)]
        if not issuers:
            break
        anchored = True
        issuer = min(issuers, key=is_root)
        if is_root(issuer):
            break
        chain.append(issuer)
        left.remove(issuer)
    return tuple(chain), anchored


def public_key_of(certificate: x509.Certificate) -> bytes:
    """The public key as DER SubjectPublicKeyInfo. Raises ``BadBundle("unsupported_key")``."""
    try:
        return _spki(certificate.public_key())
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise refusal("unsupported_key") from fault


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue others (RFC 5280 section 4.2.1.9), or is an old root that says nothing of it."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1 and is_root(certificate)


def is_root(certificate: x509.Certificate) -> bool:
    """Whether it is signed by itself, as far as names tell."""
    return certificate.issuer == certificate.subject


def is_valid(certificate: x509.Certificate, now: float) -> bool:
    """Whether ``now`` (unix seconds) lies within its dates."""
    return certificate.not_valid_before_utc.timestamp() <= now <= certificate.not_valid_after_utc.timestamp()


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject or not is_authority(issuer):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _spki(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined, no-any-return]
