"""When deliveries are tried: growing pauses for a day, and an end."""

from __future__ import annotations

import pytest

from router.webhooks.schedule import GIVEN_UP_AFTER, PAUSES, is_hopeless, is_received, is_unwanted, pause


def test_pauses_grow_for_a_day() -> None:
    """Eight tries, none sooner after the one before than the pause before it, within about a day."""
    assert list(PAUSES) == sorted(PAUSES)
    assert [pause(attempts) for attempts in range(1, 9)] == [*PAUSES, None]
    assert 23 * 3600 < sum(PAUSES) < 24 * 3600
    assert [is_hopeless(attempts) for attempts in (8, 9)] == [False, True]


@pytest.mark.parametrize(("status", "received"), [(199, False), (200, True), (299, True), (300, False)])
def test_success_is_a_class(status: int, received: bool) -> None:  # noqa: FBT001 - a parameter of a table
    """Every 2xx, and nothing else (RFC 9110 section 15.3)."""
    assert is_received(status) is received


@pytest.mark.parametrize(
    ("status", "since", "unwanted"),
    [
        (None, None, False),
        (500, 1000, False),
        (500, 1000 - GIVEN_UP_AFTER, True),
        (None, 1000 - GIVEN_UP_AFTER, True),
        (410, None, True),
    ],
)
def test_when_a_webhook_is_given_up(status: int | None, since: int | None, unwanted: bool) -> None:  # noqa: FBT001 - the same
    """After three days of nothing but failures, or when its receiver says that it is gone."""
    assert is_unwanted(status, since, 1000) is unwanted
