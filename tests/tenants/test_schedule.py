"""When a claim's proof is looked for."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.tenants.schedule import (
    LOST_LIFE,
    NOTICES,
    TRIES,
    notices_due,
    pause,
    pause_in_doubt,
    pause_while_proved,
    serves_until,
)

DAY = 86_400
EVEN = 0.5
luck = st.floats(0, 1)


@pytest.mark.parametrize(
    ("checks", "seconds"),
    [(0, 60), (1, 63), (9, 93), (10, 243), (11, 279), (39, 13_975), (40, 14_400), (74, 14_400)],
)
def test_pauses_grow_slowly_and_then_faster(checks: int, seconds: int) -> None:
    """60 s x 1.05^n for ten, 60 s x 1.15^n afterwards, four hours at most."""
    assert pause(checks, EVEN) == seconds


def test_seventy_five_checks_are_seven_days() -> None:
    """Whoever takes a weekend to publish a record is not forgotten, and nobody is asked for ever."""
    times = list(accumulate(pause(checks, EVEN) for checks in range(TRIES)))
    assert 6.5 * DAY < times[-2] < 7.5 * DAY
    assert sum(at < 3600 for at in times) >= 15


@given(st.integers(0, TRIES), luck)
def test_luck_spreads_by_a_twentieth_either_way(checks: int, drawn: float) -> None:
    """A thousand claims made at once are not checked at once for ever."""
    for pick in (lambda luck: pause(checks, luck), pause_while_proved, pause_in_doubt):
        assert 0.94 * pick(EVEN) <= pick(drawn) <= 1.06 * pick(EVEN)
    assert pause(checks, 0) < pause(checks, 1)


def test_an_active_hostname_is_looked_at_every_few_hours() -> None:
    """And within the hour while something is wrong."""
    assert pause_while_proved(EVEN) == 4 * 3600
    assert pause_in_doubt(EVEN) == 3600


@pytest.mark.parametrize(
    ("after", "due"), [(0, 1), (DAY, 1), (3 * DAY, 2), (6 * DAY - 1, 2), (6 * DAY, 3), (9 * DAY, 3)]
)
def test_the_loss_is_told_three_times(after: int, due: int) -> None:
    """At once, with four days left, and with one."""
    assert notices_due(1000, 1000 + after) == due
    assert max(NOTICES) < LOST_LIFE
    assert serves_until(1000) == 1000 + 7 * DAY
