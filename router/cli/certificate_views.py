"""How certificates are told of: to people in sentences, to programs as records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from router.cli.output import Record, when

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from router.certificates.faults import BundleWarning
    from router.certificates.life import Standing
    from router.certificates.record import CertificateRecord
    from router.certificates.uploads import Verdict

_DAY: Final = 86_400
_MANY: Final = 6
_NOBODY: Final = "deploying: no worker is running; it serves when one is"


def described(
    record: CertificateRecord, slug: str | None, now: float, standing: Standing | None = None
) -> Record:
    """Describe a certificate and where it stands; its key is in no answer."""
    told: dict[str, object] = {
        "id": record.id,
        "tenant": slug or "(platform)",
        "names": list(record.names),
        "state": standing.stage if standing else record.state,
        "source": record.source,
        "key_type": record.key_type,
        "fingerprint": record.fingerprint,
        "not_before": when(record.not_before),
        "not_after": when(record.not_after),
        "days_left": days_left(record.not_after, now),
        "created_at": when(record.created_at),
        "superseded_by": record.superseded_by,
    }
    if standing is not None:
        told["workers"] = {"have": standing.have, "all": standing.workers}
        told["hostnames"] = list(standing.hostnames)
        told["faults"] = list(standing.faults)
    return told


def days_left(not_after: int, now: float) -> int:
    """Count the whole days until it expires; negative afterwards."""
    return int((not_after - now) // _DAY)


def some(names: Sequence[str]) -> str:
    """Name a few, and count the rest."""
    more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
    return ", ".join(names[:_MANY]) + more


def told(standing: Standing) -> str:
    """Say where a certificate stands, and what comes next."""
    knowing = f"{standing.have} of {standing.workers} workers have it"
    said = {
        "held": "held: it serves as soon as its hostname is active",
        "deploying": f"deploying: {knowing}" if standing.workers else _NOBODY,
        "active": f"active: {knowing}",
        "expiring": "expiring: upload its successor",
        "expired": "expired: still presented, and browsers warn; upload its successor",
        "superseded": "superseded: kept for a rollback",
    }
    return said[standing.stage]


def judged(verdict: Verdict, slug: str | None) -> Record:
    """Describe what was found about an upload."""
    bundle = verdict.bundle
    return {
        "tenant": slug,
        "names": list(bundle.names),
        "key_type": bundle.key_type,
        "fingerprint": bundle.fingerprint,
        "not_before": when(bundle.not_before),
        "not_after": when(bundle.not_after),
        "chain": [each.subject.rfc4514_string() for each in bundle.chain],
        "serves": list(verdict.serves),
        "waits_for": list(verdict.waits_for),
        "not_covered": list(verdict.not_covered),
        "replaces": [each.id for each in verdict.replaces],
        "warnings": warnings_of(bundle.warnings),
    }


def warnings_of(warnings: Iterable[BundleWarning]) -> list[dict[str, str]]:
    """Spell warnings for programs."""
    return [{"code": each.code, "sentence": each.sentence} for each in warnings]


def sentences(verdict: Verdict) -> list[str]:
    """Tell people what was found about an upload, the warnings last."""
    said = []
    if verdict.waits_for:
        said.append(f"It waits for {some(verdict.waits_for)} to be active.")
    if verdict.not_covered:
        said.append(f"It does not cover {some(verdict.not_covered)}.")
    if verdict.replaces:
        said.append(f"It takes the place of {some([each.id for each in verdict.replaces])}, which is kept.")
    return [*said, *(f"Warning: {each.sentence}" for each in verdict.bundle.warnings)]
