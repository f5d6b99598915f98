"""What webhooks are told of certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.storage.events import Event, EventKind, moment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from router.certificates.record import CertificateRecord


def certificate_event(kind: EventKind, record: CertificateRecord, **more: object) -> Event:
    """Say that something happened to a certificate; never a word of its key."""
    facts = {
        "certificate": record.id,
        "names": list(record.names),
        "key_type": record.key_type,
        "fingerprint": record.fingerprint,
        "expires_at": moment(record.not_after),
    }
    return Event(kind, record.tenant_id, facts | more)


def change_over(
    serving: Iterable[CertificateRecord], replaced: Iterable[CertificateRecord]
) -> tuple[Event, ...]:
    """Say that some took the place of others."""
    serving, replaced = tuple(serving), tuple(replaced)
    former, by = [each.id for each in replaced], serving[0].id
    return (
        *(certificate_event(EventKind.CERTIFICATE_ACTIVE, each, replaces=former) for each in serving),
        *(certificate_event(EventKind.CERTIFICATE_SUPERSEDED, each, superseded_by=by) for each in replaced),
    )
