from __future__ import annotations

import json

import pytest

from router.observe.health import Health, HealthAnswer


def _document(answer: HealthAnswer) -> dict[str, object]:
    document = json.loads(answer.body)
    assert isinstance(document, dict)
    return document


def _worker(state: str) -> Health:
    health = Health()
    if state in {"ready", "draining"}:
        health.ready()
    if state == "draining":
        health.drain()
    return health


@pytest.mark.parametrize(
    ("state", "critical", "other", "status", "word"),
    [
        ("starting", True, True, 503, "starting"),
        ("ready", True, True, 200, "ready"),
        ("ready", True, "behind", 200, "degraded"),
        ("ready", False, True, 503, "unavailable"),
        ("ready", "gone", False, 503, "unavailable"),
        ("draining", True, True, 503, "draining"),
        ("draining", False, False, 503, "draining"),
    ],
)
def test_readiness(state: str, critical: bool | str, other: bool | str, status: int, word: str) -> None:  # noqa: FBT001 - a table of cases
    """Readiness refuses traffic while starting, draining or without a critical part; else it is 200."""
    health = _worker(state)
    health.register("listener", lambda: critical, critical=True)
    health.register("database", lambda: other, critical=False)
    answer = health.readiness()
    assert (answer.status, _document(answer)["status"]) == (status, word)


@pytest.mark.parametrize(
    ("state", "critical", "other", "answer"),
    [
        ("ready", True, True, HealthAnswer(200, b'{"status": "ready"}\n')),
        ("ready", True, "behind", HealthAnswer(200, b'{"status": "ready"}\n')),
        ("ready", "gone", True, HealthAnswer(503, b'{"status": "not ready"}\n')),
        ("starting", True, True, HealthAnswer(503, b'{"status": "not ready"}\n')),
        ("draining", True, True, HealthAnswer(503, b'{"status": "not ready"}\n')),
    ],
)
def test_without_details_nothing_is_told_but_whether(
    state: str,
    critical: bool | str,  # noqa: FBT001 - a table of cases
    other: bool | str,  # noqa: FBT001
    answer: HealthAnswer,
) -> None:
    """Where anybody may ask, the answer is yes or no, by the same status code as with the details."""
    health = _worker(state)
    health.register("listener", lambda: critical, critical=True)
    health.register("cache", lambda: other, critical=False)
    assert health.readiness(details=False) == answer
    assert health.readiness().status == answer.status


def test_readiness_says_what_is_wrong() -> None:
    """Each check is listed with “ok” or what is wrong with it."""
    health = _worker("ready")
    health.register("database", lambda: "last use failed", critical=False)
    health.register("cache", lambda: False, critical=False)
    health.register("listener", lambda: True, critical=True)
    assert _document(health.readiness())["checks"] == {
        "database": "last use failed",
        "cache": "not available",
        "listener": "ok",
    }


@pytest.mark.parametrize("state", ["starting", "ready", "draining"])
def test_liveness(state: str) -> None:
    """Liveness is 200 in every state, whatever is down below."""
    health = _worker(state)
    health.register("database", lambda: False, critical=True)
    assert health.live().status == 200


def test_a_drain_is_for_good() -> None:
    """A worker that started to drain never asks for traffic again."""
    health = _worker("draining")
    health.ready()
    assert health.state == "draining"
