"""What was uploaded, judged: a chain, its key, and what is to be said about them.

PURE: takes the time as an argument and does no I/O. The steps, each in its own file: read (material.py), find
the leaf and order the chain (chain.py), judge (judge.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from router.certificates import judge
from router.certificates.chain import find_leaf, is_root, order
from router.certificates.faults import BadBundle, BundleWarning, refusal, warning
from router.certificates.judge import KeyType
from router.certificates.material import PrivateKey, read
from router.certificates.names import covers

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["BadBundle", "Bundle", "BundleWarning", "KeyType"]

_MALFORMED = (
    ValueError,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    UserWarning,  # cryptography's, of what it will refuse one day; it reaches us where warnings are errors
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A certificate that may be served: ``chain`` leaf first, its root left out.

    ``names`` are as DNS compares them (lower case, ``*.`` kept); times are unix seconds; ``fingerprint`` is
    the leaf's SHA-256 in hexadecimal.
    """

    leaf: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    private_key: PrivateKey = field(repr=False)
    names: tuple[str, ...]
    not_before: int
    not_after: int
    key_type: KeyType
    fingerprint: str
    warnings: tuple[BundleWarning, ...]

    @classmethod
    def parse(
        cls, data: bytes, key: bytes | None = None, *, passphrase: bytes | None = None, now: float
    ) -> Bundle:
        """Judge an upload: PEM in any order, DER or PKCS#12; the key in ``data`` or in a file of its own.

        Raises ``BadBundle`` with a stable code and a sentence for whoever uploaded it; nothing else.
        """
        try:
            material = read(data, key, passphrase)
            return cls._judged(material.certificates, material.keys, now)
        except _MALFORMED as fault:
            # cryptography reads extensions only when asked for them, wherever that is.
            raise refusal("unreadable") from fault

    @classmethod
    def _judged(
        cls, certificates: Sequence[x509.Certificate], keys: Sequence[PrivateKey], now: float
    ) -> Bundle:
        leaf, private_key = find_leaf(certificates, keys)
        judge.check_purpose(leaf)
        judge.check_dates(leaf, now)
        names, remarks = judge.names_of(leaf)
        chain, anchored = order(leaf, certificates, now)
        judge.check_signatures(chain)
        return cls(
            leaf=leaf,
            chain=chain,
            private_key=private_key,
            names=names,
            not_before=int(leaf.not_valid_before_utc.timestamp()),
            not_after=int(leaf.not_valid_after_utc.timestamp()),
            key_type=judge.key_type_of(leaf),
            fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
            warnings=(*remarks, *judge.warnings_about(chain, now, anchored=anchored)),
        )

    @property
    def lacks_intermediate(self) -> bool:
        """Whether whoever issued it is not in the upload, so that some programs would not trust it."""
        return any(each.code == "missing_intermediate" for each in self.warnings)

    def completed(self, known: Sequence[x509.Certificate], now: float) -> Bundle:
        """Complete a chain that lacks its intermediate out of ``known`` certificates of authorities.

        Itself where nothing is missing, or nothing fits. ``known`` are out of chains that were accepted.
        """
        if not self.lacks_intermediate:
            return self
        chain, _ = order(self.leaf, known, now)
        if len(chain) == 1:
            return self
        left = [each for each in self.warnings if each.code != "missing_intermediate"]
        return replace(self, chain=chain, warnings=(*left, warning("chain_completed")))

    @property
    def chain_pem(self) -> str:
        """The chain as PEM, leaf first."""
        return pem_of(self.chain)

    @property
    def key_der(self) -> bytes:
        """The private key as unencrypted PKCS#8 DER: to be sealed or served, never logged."""
        return self.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def covers(self, hostname: str) -> bool:
        """Whether it may answer for ``hostname``: by its own name or a one-label wildcard."""
        return covers(self.names, hostname)


def remarks_on(chain_pem: str, now: float) -> tuple[list[x509.Certificate], tuple[BundleWarning, ...]]:
    """Read a chain that was stored, and say of it what its owner should know at ``now`` (unix seconds)."""
    chain = x509.load_pem_x509_certificates(chain_pem.encode("ascii"))
    anchored = len(chain) > 1 or is_root(chain[0])
    _, remarks = judge.names_of(chain[0])
    return chain, (*remarks, *judge.warnings_about(chain, now, anchored=anchored))


def pem_of(chain: Sequence[x509.Certificate]) -> str:
    """Write certificates as PEM."""
    return "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in chain)
