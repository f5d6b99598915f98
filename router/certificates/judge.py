"""Whether a certificate is fit to be served: its names, dates, purpose and strength.

PURE (the public suffix list is data of its package, read once). Rules: RFC 5280 (profile), CA/Browser Forum
Baseline Requirements 3.2.2.6 (wildcards), 6.1.5 (keys) and 7.1 (names, algorithms), RFC 6962 section 3.1
(precertificates), RFC 7633 (must-staple). Refusals raise ``BadBundle``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID
from publicsuffixlist import PublicSuffixList

from router.certificates.chain import is_authority, is_root
from router.certificates.faults import BundleWarning, refusal, warning
from router.errors import BadInput
from router.hostname import Hostname

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KeyType = Literal["rsa", "ecdsa", "ed25519"]

MAX_NAMES: Final = 500
DAY: Final = 86_400
_SOON = 14 * DAY
_TOO_LONG = 825 * DAY  # Apple's limit for every certificate, that of a private authority too (HT210176)
_MIN_RSA, _MAX_RSA = 2048, 4096
_SHOWN = 80  # characters of a name in a sentence
_FOR_SERVERS = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
_WEAK_HASHES = (hashes.SHA1, hashes.MD5)


def names_of(leaf: x509.Certificate) -> tuple[tuple[str, ...], tuple[BundleWarning, ...]]:
    """Read the DNS names a certificate may be served for, as ``example.com`` or ``*.example.com``.

    Names that no client can ask for are left out with a warning.
    """
    try:
        raw = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound as fault:
        raise refusal("no_alternative_names") from fault
    spelled = raw.get_values_for_type(x509.DNSName)
    if len(spelled) > MAX_NAMES:
        raise refusal("too_many_names")
    names = {name: _servable(name) for name in spelled}
    good = tuple(dict.fromkeys(name for name in names.values() if name))
    if not good:
        raise refusal("no_usable_name")
    odd = [name for name, servable in names.items() if servable is None]
    return good, tuple(warning("name_ignored", name=name[:_SHOWN]) for name in odd)


def _servable(name: str) -> str | None:
    if not name.isascii() or not name.isprintable():
        raise refusal("bad_name")
    host = name.removeprefix("*.")
    if name == "*" or (host != name and "." not in host.strip(".")):
        raise refusal("wildcard_too_wide", name=name[:_SHOWN])
    try:
        parsed = Hostname.parse(host)
    except BadInput:
        return None
    if host == name:
        return parsed
    if _suffixes().is_public(parsed):
        raise refusal("wildcard_too_wide", name=name[:_SHOWN])
    return f"*.{parsed}"


@cache
def _suffixes() -> PublicSuffixList:
    # Those of registries alone: a platform may well have listed its own domain in the private part.
    return PublicSuffixList(only_icann=True)


def check_dates(leaf: x509.Certificate, now: float) -> None:
    """Refuse what is expired or not valid yet at ``now`` (unix seconds)."""
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now > end.timestamp():
        raise refusal("expired", date=f"{end:%Y-%m-%d}")
    if now < start.timestamp():
        raise refusal("not_yet_valid", date=f"{start:%Y-%m-%d %H:%M} UTC")


def check_purpose(leaf: x509.Certificate) -> None:
    """Refuse what is not the certificate of a web server."""
    if _has(leaf.extensions, x509.PrecertPoison):
        raise refusal("precertificate")
    if is_authority(leaf):
        raise refusal("authority_certificate")
    _check_extended_usage(leaf)
    _check_usage(leaf)


def _check_extended_usage(leaf: x509.Certificate) -> None:
    if not _has(leaf.extensions, x509.ExtendedKeyUsage):
        return
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    if _FOR_SERVERS.isdisjoint(usages):
        raise refusal("not_for_servers")


def _check_usage(leaf: x509.Certificate) -> None:
    if not _has(leaf.extensions, x509.KeyUsage):
        return
    if not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
        raise refusal("not_for_signatures")


def _has(extensions: x509.Extensions, kind: type[x509.ExtensionType]) -> bool:
    return any(isinstance(each.value, kind) for each in extensions)


def key_type_of(leaf: x509.Certificate) -> KeyType:
    """Name the kind of key (``rsa``, ``ecdsa``, ``ed25519``), refusing weak and unknown ones."""
    key = leaf.public_key()
    match key:
        case RSAPublicKey():
            _check_rsa(key)
            return "rsa"
        case EllipticCurvePublicKey(curve=SECP256R1() | SECP384R1() | SECP521R1()):
            return "ecdsa"
        case Ed25519PublicKey():
            return "ed25519"
        case _:
            raise refusal("unsupported_key")


def _check_rsa(key: RSAPublicKey) -> None:
    if key.key_size < _MIN_RSA:
        raise refusal("weak_key", bits=key.key_size)
    if key.key_size > _MAX_RSA:
        raise refusal("key_too_large")


def check_signatures(chain: Sequence[x509.Certificate]) -> None:
    """Refuse chains that rest on SHA-1 or MD5 anywhere, or on an authority's weak key."""
    for each in chain:
        try:
            weak = isinstance(each.signature_hash_algorithm, _WEAK_HASHES)
        except UnsupportedAlgorithm as fault:
            raise refusal("unsupported_signature") from fault
        key = each.public_key()
        if weak:
            raise refusal("weak_signature")
        if isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA:
            raise refusal("weak_key", bits=key.key_size)


def warnings_about(
    chain: Sequence[x509.Certificate], now: float, *, anchored: bool
) -> Iterator[BundleWarning]:
    """What the owner of an acceptable certificate should know."""
    leaf, key = chain[0], chain[0].public_key()
    left = leaf.not_valid_after_utc.timestamp() - now
    if left < _SOON:
        yield warning("expires_soon", days=int(left // DAY))
    if not anchored:
        yield warning("missing_intermediate")
    if is_root(leaf):
        yield warning("self_signed")
    if isinstance(key, Ed25519PublicKey):
        yield warning("ed25519")
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP521R1):
        yield warning("p521")
    if _has(leaf.extensions, x509.TLSFeature):
        yield warning("must_staple")
    if (leaf.not_valid_after_utc - leaf.not_valid_before_utc).total_seconds() > _TOO_LONG:
        yield warning("valid_too_long")
