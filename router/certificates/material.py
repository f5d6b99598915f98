"""What is in an upload: certificates and keys, out of PEM, DER or PKCS#12.

PURE. This reads; whether what was read belongs together and is fit to be served is bundle.py's business.
Formats: RFC 7468 (PEM), RFC 5280 (certificates), RFC 5958 (keys), RFC 7292 (PKCS#12).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    pkcs12,
)

from router.certificates.cost import Cost, cost_of
from router.certificates.faults import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

MAX_BYTES: Final = 256 * 1024
"""Octets of a whole upload, certificate and key together."""

MAX_CERTIFICATES: Final = 20

_MAX_KEY = 4096
"""Octets of one key: RSA-4096 has 2,400. Checking the primes of a far larger one takes seconds."""

_MAX_KEYS = 2
"""The same key may stand in both files, and in two spellings in one."""

_CERTIFICATE = frozenset({"CERTIFICATE", "X509 CERTIFICATE"})
_KEY = frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"})
_TRADITIONAL = frozenset({"RSA PRIVATE KEY", "EC PRIVATE KEY"})
# RFC 1421 section 4.6.1.1, as OpenSSL writes it. Spelled out, because cryptography 50 panics, which nothing
# catches, on an IV that is too short for its cipher. The text does not begin with white space, for that would
# match in more than one way: a quarter of a megabyte of it takes minutes then.
_LOCKED = re.compile(
    rb"\s*Proc-Type: *4,ENCRYPTED\s+DEK-Info: *((?:AES-(?:128|192|256)-CBC,[0-9A-Fa-f]{16}|DES-EDE3-CBC,)"
    rb"[0-9A-Fa-f]{16})\s+([A-Za-z0-9+/=][A-Za-z0-9+/=\s]*)"
)
_REQUEST = frozenset({"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"})
_PUBLIC_KEY = frozenset({"PUBLIC KEY", "RSA PUBLIC KEY"})
_LABEL_END = 64


@dataclass(frozen=True, slots=True)
class Material:
    """The certificates and private keys of an upload in the order they were found, each once."""

    certificates: tuple[x509.Certificate, ...]
    keys: tuple[PrivateKey, ...] = field(repr=False)


@dataclass(slots=True)
class _Found:
    certificates: list[x509.Certificate] = field(default_factory=list)
    keys: list[PrivateKey] = field(default_factory=list, repr=False)
    request: bool = False
    public_key: bool = False


def read(data: bytes, key: bytes | None, passphrase: bytes | None) -> Material:
    """Read the certificate file and, where it is a file of its own, the key file.

    Raises ``BadBundle`` for what is too large, unreadable, encrypted without a passphrase, or lacks a
    certificate or a private key.
    """
    check_size(data, key)
    if not data.strip() or (key is not None and not key.strip()):
        raise refusal("empty")
    first = _contents(data, passphrase)
    second = _contents(key, passphrase) if key is not None else _Found()
    if first.keys and not first.certificates and second.certificates and not second.keys:
        raise refusal("files_swapped")
    certificates = tuple(dict.fromkeys(first.certificates + second.certificates))
    keys = tuple(second.keys + first.keys)
    _complain_of_missing(certificates, keys, first, second)
    return Material(certificates, keys)


def check_size(data: bytes, key: bytes | None) -> None:
    """Refuse what no certificate with its chain and key is; ask before doing anything else with it."""
    if len(data) + len(key or b"") > MAX_BYTES:
        raise refusal("too_large")


def _complain_of_missing(
    certificates: tuple[x509.Certificate, ...], keys: tuple[PrivateKey, ...], *found: _Found
) -> None:
    if len(certificates) > MAX_CERTIFICATES:
        raise refusal("too_many_certificates")
    if not certificates and any(each.request for each in found):
        raise refusal("request_uploaded")
    if not certificates:
        raise refusal("no_certificate")
    if not keys and any(each.public_key for each in found):
        raise refusal("public_key_uploaded")
    if not keys:
        raise refusal("no_private_key")


def _contents(data: bytes, passphrase: bytes | None) -> _Found:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # Notepad's “Unicode”
        data = data.decode("utf-16", "replace").encode("ascii", "replace")
    if b"-----BEGIN " in data:
        return _pem(data, passphrase)
    return _der(data, passphrase)


def _pem(data: bytes, passphrase: bytes | None) -> _Found:
    found = _Found()
    for label, body in _blocks(data):
        if label in _CERTIFICATE:
            found.certificates.append(_certificate(_decode(body)))
            if len(found.certificates) > MAX_CERTIFICATES:
                raise refusal("too_many_certificates")
        elif label in _KEY:
            found.keys.append(_pem_key(label, body, passphrase))
            if len(found.keys) > _MAX_KEYS:
                raise refusal("several_keys")
        elif label == "OPENSSH PRIVATE KEY":
            raise refusal("ssh_key_uploaded")
        found.request |= label in _REQUEST
        found.public_key |= label in _PUBLIC_KEY
    return found


def _blocks(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield each PEM block as (label, what stands between its lines); text around blocks is skipped.

    One pass over the data, whatever it holds: a block without its end is refused, not searched for again.
    """
    at = data.find(b"-----BEGIN ")
    while at >= 0:
        start = at + len(b"-----BEGIN ")
        stop = data.find(b"-----", start, start + _LABEL_END)
        label = data[start : max(stop, start)]
        end = data.find(b"-----END " + label + b"-----", stop) if stop >= 0 else -1
        if end < 0:
            raise refusal("truncated")
        yield label.decode("ascii", "replace"), data[stop + len(b"-----") : end]
        at = data.find(b"-----BEGIN ", end)


def _decode(body: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as fault:
        raise refusal("unreadable") from fault


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion) as fault:
        raise refusal("unreadable") from fault


def _pem_key(label: str, body: bytes, passphrase: bytes | None) -> PrivateKey:
    locked = _LOCKED.fullmatch(body) if label in _TRADITIONAL else None
    if locked is None:
        encrypted = label == "ENCRYPTED PRIVATE KEY"
        return _key(load_der_private_key, _decode(body), passphrase, encrypted=encrypted)
    text = b"-----BEGIN %b-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: %b\n\n%b\n-----END %b-----\n" % (
        label.encode(),
        locked[1],
        b"\n".join(locked[2].split()),
        label.encode(),
    )
    return _key(load_pem_private_key, text, passphrase, encrypted=True)


def _key(
    load: Callable[[bytes, bytes | None], object], data: bytes, passphrase: bytes | None, *, encrypted: bool
) -> PrivateKey:
    if encrypted and not passphrase:
        raise refusal("passphrase_needed")
    if len(data) > 2 * _MAX_KEY or (not encrypted and len(data) > _MAX_KEY):
        raise refusal("key_too_large")
    if encrypted and load is load_der_private_key:  # the traditional form hashes once
        _grant(data, untold="unreadable_key")
    try:
        key = load(data, passphrase if encrypted else None)
    except TypeError as fault:  # a plain label around an encrypted key
        raise refusal("passphrase_needed") from fault
    except UnsupportedAlgorithm as fault:
        raise refusal("unsupported_key") from fault
    except ValueError as fault:
        raise (refusal("wrong_passphrase") if encrypted else refusal("unreadable_key")) from fault
    return _known(key)


def _grant(der: bytes, *, untold: str) -> None:
    """Refuse what would take too long to open; ``untold`` is the refusal where that cannot be told."""
    cost = cost_of(der)
    if cost is not Cost.FAIR:
        raise refusal("passphrase_too_costly" if cost is Cost.DEAR else untold)


def _known(key: object) -> PrivateKey:
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey):
        raise refusal("unsupported_key")
    return key


def _der(data: bytes, passphrase: bytes | None) -> _Found:
    if not data.startswith(b"\x30"):
        raise refusal("unreadable")
    if is_pkcs12(data):
        held = read_pkcs12(data, passphrase)
        return _Found(certificates=list(held.certificates), keys=list(held.keys))
    try:
        return _Found(certificates=[x509.load_der_x509_certificate(data)])
    except (ValueError, x509.InvalidVersion):
        return _der_other(data, passphrase)


def is_pkcs12(data: bytes) -> bool:
    """Whether it looks like PKCS#12: PFX ::= SEQUENCE { version INTEGER (3), … } (RFC 7292 section 4)."""
    return data.startswith(b"\x30") and _inside(data).startswith(b"\x02\x01\x03")


def _inside(data: bytes) -> bytes:
    """What follows the head of the outermost element: its length has 1 to 5 octets (X.690 section 8.1.3)."""
    size = data[1] if len(data) > 1 else 0
    return data[2 + (size & 0x7F if size > 0x80 else 0) :]  # noqa: PLR2004 - long form


def read_pkcs12(data: bytes, passphrase: bytes | None) -> Material:
    """Read a PKCS#12 file. Raises ``BadBundle``.

    Opening one may take longer than its head tells (cost.py); unlock.py does it with a time limit.
    """
    _grant(data, untold="damaged_pkcs12")
    try:
        held = pkcs12.load_pkcs12(data, passphrase or None)
    except UnsupportedAlgorithm as fault:
        raise refusal("unsupported_key") from fault
    except (ValueError, TypeError) as fault:
        if "deserialize" in str(fault):
            raise refusal("truncated") from fault
        raise (refusal("wrong_passphrase") if passphrase else refusal("passphrase_needed")) from fault
    certificates = [held.cert.certificate] if held.cert else []
    certificates += [each.certificate for each in held.additional_certs]
    return Material(tuple(certificates), (_known(held.key),) if held.key else ())


def _der_other(data: bytes, passphrase: bytes | None) -> _Found:
    """A key, or one of the things people upload in its place."""
    found = _Found(request=_loads(x509.load_der_x509_csr, data), public_key=_loads(load_der_public_key, data))
    if not found.request and not found.public_key:
        # EncryptedPrivateKeyInfo ::= SEQUENCE { SEQUENCE …; a plain key has its version there, an INTEGER.
        encrypted = _inside(data).startswith(b"\x30")
        found.keys.append(_key(load_der_private_key, data, passphrase, encrypted=encrypted))
    return found


def _loads(load: Callable[[bytes], object], data: bytes) -> bool:
    try:
        load(data)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        return False
    return True
