from __future__ import annotations

import pytest

from router.observe.traffic import TOOK, Tally, Traffic


def taken(traffic: Traffic, tenant_id: str = "tnt_1") -> Tally:
    """What was counted of one tenant."""
    return traffic.take()[tenant_id]


@pytest.mark.parametrize(
    ("status", "refused", "failed"),
    [(200, 0, 0), (303, 0, 0), (404, 1, 0), (499, 1, 0), (500, 0, 1), (503, 0, 1), (0, 0, 0)],
)
def test_visits_are_told_apart_by_their_answers(status: int, refused: int, failed: int) -> None:
    """4xx is refused, 5xx failed; whoever did not wait for an answer is a visit and neither."""
    traffic = Traffic()
    traffic.visited("tnt_1", status, 0.001)
    tally = taken(traffic)
    assert (tally.requests, tally.refused, tally.failed) == (1, refused, failed)


@pytest.mark.parametrize(
    ("seconds", "place"), [(0.0, 0), (0.001, 0), (0.0011, 1), (0.2, 7), (10.0, 12), (11.0, 13)]
)
def test_times_are_counted_by_their_bounds(seconds: float, place: int) -> None:
    """A visit counts where its time is at most the bound, the slowest beyond all of them."""
    traffic = Traffic()
    traffic.visited("tnt_1", 200, seconds)
    assert taken(traffic).took == [int(number == place) for number in range(len(TOOK) + 1)]


def test_a_tunnel_has_no_time() -> None:
    """How long a WebSocket was open does not count as slow."""
    traffic = Traffic()
    traffic.visited("tnt_1", 101, 3600.0)
    tally = taken(traffic)
    assert tally.requests == 1
    assert not any(tally.took)


def test_what_is_taken_is_gone_and_may_be_given_back() -> None:
    """Nothing is counted twice, and nothing is lost when it could not be written down."""
    traffic = Traffic()
    traffic.visited("tnt_1", 200, 0.001)
    traffic.signed_in("tnt_2")
    first = traffic.take()
    assert traffic.take() == {}
    traffic.visited("tnt_1", 500, 0.3)
    traffic.give_back(first)
    again = traffic.take()
    assert (again["tnt_1"].requests, again["tnt_1"].failed, sum(again["tnt_1"].took)) == (2, 1, 2)
    assert again["tnt_2"].sign_ins == 1
