"""A certificate that may be served, wherever it is kept, and the choice among several.

PURE. Times are unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from router.certificates.names import covers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from router.certificates.judge import KeyType

Source = Literal["upload", "folder"]
State = Literal["active", "superseded"]


@dataclass(frozen=True, slots=True)
class CertificateRecord:
    """What is known of a certificate, its key aside; ``tenant_id`` is none for the platform's own."""

    id: str
    tenant_id: str | None
    source: Source
    state: State
    key_type: KeyType
    fingerprint: str
    names: tuple[str, ...]
    not_before: int
    not_after: int
    created_at: int
    superseded_at: int | None = None
    superseded_by: str | None = None
    """The id of the one that took its place."""


@dataclass(frozen=True, slots=True)
class SealedCertificate:
    """A certificate as it is stored."""

    record: CertificateRecord
    chain_pem: str
    sealed_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A certificate with what it takes to serve it: the chain as PEM, the key as PKCS#8 DER."""

    record: CertificateRecord
    chain_pem: str
    key_der: bytes = field(repr=False)


def choose(records: Iterable[CertificateRecord], name: str, now: float) -> tuple[CertificateRecord, ...]:
    """Choose what serves ``name``: the best certificate, then its peers with other kinds of keys.

    In this order: one that has not expired; one with the very name before a wildcard; the tenant's own before
    the platform's; an upload before a file; the newest.
    """
    fit = sorted(
        (each for each in records if covers(each.names, name)),
        key=lambda each: (_standing(each, name, now), each.created_at, each.id),
        reverse=True,
    )
    chosen: dict[KeyType, CertificateRecord] = {}
    for each in fit:
        if _standing(each, name, now) == _standing(fit[0], name, now):
            chosen.setdefault(each.key_type, each)
    return tuple(chosen.values())


def _standing(record: CertificateRecord, name: str, now: float) -> tuple[bool, bool, bool, bool]:
    return (
        now <= record.not_after,
        name in record.names,
        record.tenant_id is not None,
        record.source == "upload",
    )
