"""Certificates as their pages show them: the chain, and where one stands. Never a key."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from cryptography.x509.oid import NameOID

from router.certificates.chain import is_root
from router.certificates.names import covers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography.x509 import Certificate, Name

    from router.certificates.life import Standing
    from router.certificates.record import CertificateRecord

DAY: Final = 86_400

_BADGES: Final = MappingProxyType(
    {
        "held": "warn",
        "deploying": "warn",
        "active": "good",
        "expiring": "warn",
        "expired": "bad",
        "superseded": "plain",
    }
)
_KEYS: Final = MappingProxyType({"rsa": "RSA", "ecdsa": "ECDSA", "ed25519": "Ed25519"})


@dataclass(frozen=True, slots=True)
class Link:
    """A certificate of a chain; without dates it is the issuer of the last one, which was not sent."""

    role: str
    name: str
    not_before: int | None = None
    not_after: int | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate and where it stands. ``path`` is its page's; times are unix seconds."""

    record: CertificateRecord
    standing: Standing
    path: str
    now: float
    replaces: tuple[str, ...] = ()

    @property
    def badge(self) -> str:
        """The kind of badge that its stage has."""
        return _BADGES[self.standing.stage]

    @property
    def key(self) -> str:
        """The kind of its key, as people write it."""
        return _KEYS[self.record.key_type]

    @property
    def days(self) -> int:
        """Whole days until it ends; negative afterwards."""
        return int((self.record.not_after - self.now) // DAY)

    @property
    def sentence(self) -> str:
        """What its stage means, and what comes next."""
        have, workers = self.standing.have, self.standing.workers
        deploying = f"{have} of {workers} workers have it." if workers else "It serves once a worker runs."
        said = {
            "held": "It serves as soon as a hostname that it covers is active.",
            "deploying": deploying,
            "active": f"It is served by all {workers} workers." if workers > 1 else "It is served.",
            "expiring": f"It ends in {self.days} days: upload its successor.",
            "expired": "It has ended, and browsers warn of it: upload its successor.",
            "superseded": "Another took its place; it is kept to go back to.",
        }
        return said[self.standing.stage]

    @property
    def goes_back(self) -> bool:
        """Whether there is a way back: to what it took the place of, or to itself."""
        return self.record.state == "superseded" or bool(self.replaces)


@dataclass(frozen=True, slots=True)
class Filed:
    """A certificate out of a node's ``certs/`` folder."""

    record: CertificateRecord

    @property
    def name(self) -> str:
        """What its files are called."""
        return self.record.id.removeprefix("folder:")

    @property
    def key(self) -> str:
        """The kind of its key, as people write it."""
        return _KEYS[self.record.key_type]


def filed(records: Iterable[CertificateRecord], hostnames: Sequence[str] | None) -> list[Filed]:
    """Name what the folder has, or of it what covers one of the hostnames."""
    return [
        Filed(each)
        for each in sorted(records, key=lambda record: record.id)
        if hostnames is None or any(covers(each.names, name) for name in hostnames)
    ]


def shown(
    records: Sequence[CertificateRecord], standings: dict[str, Standing], below: str, now: float
) -> list[Shown]:
    """Join records with where they stand; ``below`` is the path of their list."""
    replaced: dict[str, list[str]] = {}
    for each in records:
        if each.superseded_by is not None:
            replaced.setdefault(each.superseded_by, []).append(each.id)
    return [
        Shown(each, standings[each.id], f"{below}/{each.id}", now, tuple(replaced.get(each.id, ())))
        for each in records
    ]


def drawn(chain: Sequence[Certificate]) -> list[Link]:
    """Draw a chain as it was stored or sent, leaf first, up to the issuer that its last link names.

    Whether that one is a root, and one that browsers have, cannot be told: an intermediate may be missing.
    """
    links = [
        Link(
            "Certificate" if place == 0 else "Intermediate",
            _name(each.subject),
            int(each.not_valid_before_utc.timestamp()),
            int(each.not_valid_after_utc.timestamp()),
        )
        for place, each in enumerate(chain)
    ]
    if not is_root(chain[-1]):
        links.append(Link("Its issuer, which is not sent", _name(chain[-1].issuer)))
    return links


def _name(name: Name) -> str:
    """Name somebody by what people know them by."""
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        if found := name.get_attributes_for_oid(kind):
            return str(found[0].value)
    return name.rfc4514_string() or "unnamed"
