"""What load balancers are told: whether this worker lives, and whether it wants traffic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

HealthState = Literal["starting", "ready", "draining"]

_OK = 200
_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """An HTTP status and a JSON document, ready to be sent."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Check:
    """One thing below us, judged by ``probe`` from what is already known, without waiting.

    ``probe`` answers ``True`` for well; ``False``, or a short sentence that names no secret and no address,
    for not well. Without a ``critical`` one this worker is of no use; without another it is only degraded.
    """

    name: str
    critical: bool
    probe: Callable[[], bool | str]

    def fault(self) -> str | None:
        """Say what is wrong, or ``None``."""
        answer = self.probe()
        if answer is True:
            return None
        return answer or "not available"


class Health:
    """The state of one worker, from its start to its drain; it never goes back."""

    def __init__(self) -> None:
        self._state: HealthState = "starting"
        self._checks: list[Check] = []

    def __repr__(self) -> str:
        return f"<Health {self._state}: {', '.join(check.name for check in self._checks) or 'no checks'}>"

    @property
    def state(self) -> HealthState:
        """Where the worker is in its life."""
        return self._state

    def register(self, name: str, probe: Callable[[], bool | str], *, critical: bool) -> None:
        """Add a check to what readiness reports."""
        self._checks.append(Check(name, critical, probe))

    def ready(self) -> None:
        """Ask for traffic; a worker that drains already stays as it is."""
        if self._state == "starting":
            self._state = "ready"

    def drain(self) -> None:
        """Ask for no more traffic, for good."""
        self._state = "draining"

    def live(self) -> HealthAnswer:
        """Liveness: whoever can answer at all is alive, whatever is down below."""
        return _answer(_OK, {"status": "alive"})

    def readiness(self, *, details: bool = True) -> HealthAnswer:
        """Readiness: 200 ``ready`` or ``degraded``, 503 ``starting``, ``draining`` or ``unavailable``.

        Without ``details``, for whoever may be asking: the same status code, and no word about its reasons.
        """
        faults = {check: fault for check in self._checks if (fault := check.fault()) is not None}
        if self._state != "ready":
            status: str = self._state
        elif any(check.critical for check in faults):
            status = "unavailable"
        else:
            status = "degraded" if faults else "ready"
        code = _OK if status in {"ready", "degraded"} else _UNAVAILABLE
        if not details:
            return _answer(code, {"status": "ready" if code == _OK else "not ready"})
        checks = {check.name: faults.get(check, "ok") for check in self._checks}
        return _answer(code, {"status": status, "checks": checks})


def _answer(status: int, document: dict[str, object]) -> HealthAnswer:
    return HealthAnswer(status, json.dumps(document).encode() + b"\n")
