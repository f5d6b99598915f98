"""Evidence, written and read: what was asked about a claim, of whom, what came, what was expected."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select

from router.storage.schema import evidence
from router.tenants.proof import Evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

KEPT: Final = 50
"""Lines that are kept of a claim: those of its last twenty checks or so."""

_FIELDS: Final = ("method", "asked", "resolver", "answer", "expected", "verdict", "code")
_LONGEST_QUESTION: Final = 300


@dataclass(frozen=True, slots=True)
class Recorded:
    """A line of evidence, and when it was taken (unix seconds)."""

    at: int
    line: Evidence


async def keep_evidence(
    connection: AsyncConnection, claim_id: str, lines: Sequence[Evidence], now: int
) -> None:
    """Write evidence down, and forget the oldest."""
    # The last of a check first, for they are read backwards.
    rows = [{**asdict(line), "claim_id": claim_id, "at": now} for line in reversed(lines)]
    for row in rows:
        row["asked"] = str(row["asked"])[:_LONGEST_QUESTION]
    if not rows:
        return
    await connection.execute(insert(evidence), rows)
    theirs = evidence.c.claim_id == claim_id
    latest = select(evidence.c.sequence).where(theirs).order_by(evidence.c.sequence.desc())
    last_gone = latest.offset(KEPT).limit(1).scalar_subquery()
    await connection.execute(delete(evidence).where(theirs, evidence.c.sequence <= last_gone))


async def find_evidence(
    connection: AsyncConnection, claim_id: str, *, most: int = KEPT
) -> tuple[Recorded, ...]:
    """Read the latest lines, the newest check first."""
    theirs = select(evidence).where(evidence.c.claim_id == claim_id)
    rows = await connection.execute(theirs.order_by(evidence.c.sequence.desc()).limit(most))
    return tuple(
        Recorded(row["at"], Evidence(**{name: row[name] for name in _FIELDS})) for row in rows.mappings()
    )
