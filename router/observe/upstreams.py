"""How upstreams are, as one worker tells it to operators.

PURE.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpstreamHealth:
    """One upstream of a tenant: as visits of this worker found it, and as it answered just now.

    ``passed_over`` says that visits are sent to the others until it recovers, ``busy`` how many are under way
    or wait. ``status`` is what it answered when it was asked for ``path``, within ``milliseconds``; none, and
    ``fault`` says why, if it did not answer.
    """

    url: str
    weight: int
    passed_over: bool
    busy: int
    path: str
    expected: int | None
    status: int | None
    milliseconds: float | None
    fault: str

    @property
    def well(self) -> bool:
        """Whether it answered as the tenant's check wants it, or at all where there is none."""
        return self.status is not None and self.expected in (None, self.status)


@dataclass(frozen=True, slots=True)
class Knocked:
    """An upstream that was just connected to, TLS included; ``fault`` is none if that went well."""

    url: str
    fault: str | None
