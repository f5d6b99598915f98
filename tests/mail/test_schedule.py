from __future__ import annotations

import pytest

from router.mail.schedule import LEASE, PAUSES, TOO_OLD, is_hopeless, pause


def test_pauses_grow_and_end_within_a_day() -> None:
    """A minute, five, a quarter of an hour, an hour, two, then every four hours up to the first day's end."""
    pauses = [pause(attempts) for attempts in range(1, len(PAUSES) + 1)]
    assert pauses == [60, 300, 900, 3600, 7200, *[14_400] * 5]
    assert pause(len(PAUSES) + 1) is None
    assert 23 * 3600 < sum(PAUSES) <= 24 * 3600


def test_a_lease_outlasts_what_is_done_under_it() -> None:
    """A mail that is still being sent never falls due for another worker."""
    from router.mail.smtp import WHOLE  # noqa: PLC0415 - this test alone compares the two

    assert LEASE > 2 * WHOLE


@pytest.mark.parametrize(
    ("attempts", "age", "hopeless"),
    [
        (1, 0, False),
        (len(PAUSES) + 1, 86_400, False),
        (len(PAUSES) + 2, 60, True),  # each attempt before it ended with its worker
        (1, TOO_OLD, False),
        (1, TOO_OLD + 1, True),
    ],
)
def test_a_mail_is_hopeless_when_tried_too_often_or_too_old(
    attempts: int, age: int, *, hopeless: bool
) -> None:
    """Neither a mail that kills its workers nor one that waited for a mail server for weeks is sent."""
    assert is_hopeless(attempts, 1000, 1000 + age) is hopeless
