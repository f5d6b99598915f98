"""The life of a certificate: held → deploying → active → expiring → expired, or superseded by another.

PURE. What is stored says whether it was superseded. All else is told from what its owner holds, from what the
workers know, and from the time, so no state can be out of date. Times are unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from router.certificates.names import covers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from router.certificates.record import CertificateRecord

Stage = Literal["held", "deploying", "active", "expiring", "expired", "superseded"]

DAY: Final = 86_400

NOTICES: Final = (30, 14, 7, 1, 0)
"""Days ahead at which the owner of a certificate is told that it ends; at 0 it has."""

_EXPIRING: Final = NOTICES[0] * DAY


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a certificate stands.

    ``have`` of ``workers`` workers know of it; ``hostnames`` are those of its owner that are active and that
    it covers, none for the platform's; ``faults`` are sentences of workers that cannot serve something.
    """

    stage: Stage
    have: int
    workers: int
    hostnames: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def deployed(self) -> bool:
        """Whether every worker knows of it, and there is one."""
        return 0 < self.workers == self.have


def stage_of(record: CertificateRecord, now: float, *, serves: bool, deployed: bool) -> Stage:
    """Tell where a certificate stands; ``serves`` says whether a hostname it covers is active."""
    if record.state == "superseded":
        return "superseded"
    if now > record.not_after:
        return "expired"
    if not serves:
        return "held"
    if not deployed:
        return "deploying"
    return "expiring" if record.not_after - now <= _EXPIRING else "active"


def due_notice(not_before: int, not_after: int, now: float) -> int | None:
    """Say which notice is due: the latest of ``NOTICES`` whose time has come; none as yet.

    One that lies in the first half of a certificate's life is left out: a certificate for a week, or for a
    month, is renewed by a machine, which nobody wants to hear of half the time.
    """
    half = (not_after - not_before) / 2
    come = [days for days in NOTICES if not_after - now <= days * DAY < half]
    return min(come, default=None)


def has_successor(record: CertificateRecord, others: Iterable[CertificateRecord], hostname: str) -> bool:
    """Whether another certificate goes on for ``hostname`` when this one has ended, for the same clients."""
    return any(
        each.not_after > record.not_after
        and each.key_type == record.key_type
        and each.tenant_id in (record.tenant_id, None)
        and covers(each.names, hostname)
        for each in others
        if each.id != record.id
    )


def left_bare(
    record: CertificateRecord, others: Iterable[CertificateRecord], held: Iterable[tuple[str, str]]
) -> Iterator[str]:
    """Name the hostnames that would be without a certificate if there were not this one.

    ``held`` are (hostname, id of the tenant that holds it), ``others`` the certificates there are besides.
    """
    names: dict[str | None, set[str]] = {}
    for each in others:
        names.setdefault(each.tenant_id, set()).update(each.names)
    for hostname, tenant_id in held:
        left: tuple[Collection[str], ...] = (names.get(tenant_id, set()), names.get(None, set()))
        mine = record.tenant_id in (tenant_id, None) and covers(record.names, hostname)
        if mine and not any(covers(each, hostname) for each in left):
            yield hostname
