"""Certificates in the API's words, as they are told and as they are sent. No private key is told ever."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime  # noqa: TC003 - pydantic reads the annotations when it runs
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, Field

from router.console.api.bodies import Body
from router.console.api.tenant_views import moment
from router.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.x509 import Certificate

    from router.certificates.faults import BundleWarning
    from router.certificates.life import Standing
    from router.certificates.record import CertificateRecord
    from router.certificates.uploads import Verdict

MOST: Final = 512 * 1024
"""Octets of an upload as JSON: 256 KiB of files, in base64 or with their line ends spelled."""

State = Literal["held", "deploying", "active", "expiring", "expired", "superseded"]

_DAY: Final = 86_400
_OF_THE_KEY: Final = frozenset(
    {
        "no_private_key",
        "public_key_uploaded",
        "ssh_key_uploaded",
        "several_keys",
        "unreadable_key",
        "key_mismatch",
    }
)
_OF_THE_PHRASE: Final = frozenset({"passphrase_needed", "wrong_passphrase", "passphrase_too_costly"})


class CertificateUpload(Body):
    """A certificate with its chain and key: as PEM, or as one PKCS#12 file."""

    certificate: str | None = Field(
        None, description="PEM: the certificate and its chain, in any order; the key too, if it is not apart."
    )
    key: str | None = Field(None, description="PEM: the private key.")
    pkcs12: str | None = Field(None, description="Base64 of a PKCS#12 file (.p12, .pfx), instead of those.")
    passphrase: str | None = Field(None, max_length=1000, description="Of the key, if it is protected.")

    @property
    def octets(self) -> tuple[bytes, bytes | None]:
        """The files. Raises ``BadInput`` with ``missing_field``, ``not_both`` or ``bad_base64``."""
        if self.certificate is None and self.pkcs12 is None:
            raise BadInput("missing_field", "Send a certificate, or a pkcs12.", field="certificate")
        if self.pkcs12 is None:
            key = self.key.encode() if self.key is not None else None
            return (self.certificate or "").encode(), key
        if self.certificate is not None or self.key is not None:
            raise BadInput("not_both", "Send a certificate with its key, or a pkcs12.", field="pkcs12")
        try:
            return base64.b64decode("".join(self.pkcs12.split()), validate=True), None
        except (ValueError, binascii.Error) as fault:
            raise BadInput("bad_base64", "The pkcs12 is not base64.", field="pkcs12") from fault

    @property
    def phrase(self) -> bytes | None:
        """The pass phrase."""
        return self.passphrase.encode() if self.passphrase is not None else None

    def at_field(self, fault: BadInput) -> BadInput:
        """Say which field a fault of the upload is in."""
        whole = "pkcs12" if self.pkcs12 is not None else "certificate"
        apart = self.pkcs12 is None and fault.code in _OF_THE_KEY
        fault.field = "passphrase" if fault.code in _OF_THE_PHRASE else "key" if apart else whole
        return fault


class WarningTold(BaseModel):
    """Something about a certificate that its owner should know."""

    code: str
    sentence: str


class Link(BaseModel):
    """A certificate of the chain."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime


class VerdictTold(BaseModel):
    """What was found about an upload that would be accepted; nothing was stored."""

    names: list[str]
    key_type: str
    fingerprint: str = Field(description="SHA-256 of the certificate, hexadecimal.")
    not_before: datetime
    not_after: datetime
    chain: list[Link] = Field(description="The certificate first, without its root.")
    serves: list[str] = Field(description="Hostnames of the tenant that it covers and that are active.")
    waits_for: list[str] = Field(description="Those that it covers and that are not active yet.")
    not_covered: list[str]
    replaces: list[str] = Field(description="Ids of certificates whose place it takes.")
    warnings: list[WarningTold]


class CertificateTold(BaseModel):
    """A certificate and where it stands."""

    id: str
    state: State
    names: list[str]
    hostnames: list[str] = Field(description="Active hostnames of the tenant that it covers.")
    key_type: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    days_left: int = Field(description="Whole days until it ends; negative afterwards.")
    workers: int = Field(description="How many workers of the router there are.")
    workers_have: int = Field(description="How many of them have it.")
    created_at: datetime
    superseded_at: datetime | None
    superseded_by: str | None


class CertificateShown(CertificateTold):
    """A certificate with its chain, and what its owner should know."""

    chain: list[Link]
    warnings: list[WarningTold]


class CertificateUploaded(CertificateShown):
    """A certificate that was just taken in."""

    waits_for: list[str]
    not_covered: list[str]
    replaces: list[str]


class CertificateList(BaseModel):
    """Some certificates, the newest first."""

    items: list[CertificateTold]
    next: str | None


def verdict_of(verdict: Verdict) -> VerdictTold:
    """Tell what was found."""
    bundle = verdict.bundle
    return VerdictTold(
        names=list(bundle.names),
        key_type=bundle.key_type,
        fingerprint=bundle.fingerprint,
        not_before=moment(bundle.not_before),
        not_after=moment(bundle.not_after),
        chain=links_of(bundle.chain),
        serves=list(verdict.serves),
        waits_for=list(verdict.waits_for),
        not_covered=list(verdict.not_covered),
        replaces=[each.id for each in verdict.replaces],
        warnings=warnings_of(bundle.warnings),
    )


def fields_of(record: CertificateRecord, standing: Standing, now: float) -> dict[str, Any]:
    """Name the fields of a certificate that is told."""
    ended = record.superseded_at
    return {
        "id": record.id,
        "state": standing.stage,
        "names": list(record.names),
        "hostnames": list(standing.hostnames),
        "key_type": record.key_type,
        "fingerprint": record.fingerprint,
        "not_before": moment(record.not_before),
        "not_after": moment(record.not_after),
        "days_left": int((record.not_after - now) // _DAY),
        "workers": standing.workers,
        "workers_have": standing.have,
        "created_at": moment(record.created_at),
        "superseded_at": None if ended is None else moment(ended),
        "superseded_by": record.superseded_by,
    }


def links_of(chain: Iterable[Certificate]) -> list[Link]:
    """Tell of a chain."""
    return [
        Link(
            subject=each.subject.rfc4514_string(),
            issuer=each.issuer.rfc4514_string(),
            not_before=each.not_valid_before_utc,
            not_after=each.not_valid_after_utc,
        )
        for each in chain
    ]


def warnings_of(warnings: Iterable[BundleWarning]) -> list[WarningTold]:
    """Tell of warnings."""
    return [WarningTold(code=each.code, sentence=each.sentence) for each in warnings]
