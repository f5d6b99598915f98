"""Whose turn it is, who is out and for how long, and how many retries an outage gets."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.edge.balance import RetryBudget, Standing, Turns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.tenants.tenant import Balance

_WEIGHTS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.integers(min_value=1, max_value=20), min_size=1, max_size=8
)
_KEYS = [f"session-{number}" for number in range(2000)]


def order(
    turns: Turns,
    weights: Mapping[str, int],
    policy: Balance = "round_robin",
    *,
    tenant: str = "tnt-1",
    key: str = "",
    busy: Mapping[str, int] | None = None,
) -> list[str]:
    """The order of the upstreams named in ``weights``, for one visit."""
    loads = busy or {}
    return turns.order(
        tenant,
        policy,
        list(weights),
        name=lambda each: each,
        weight=lambda each: weights[each],
        busy=lambda each: loads.get(each, 0),
        key=key,
    )


def firsts(turns: Turns, weights: Mapping[str, int], count: int, *, tenant: str = "tnt-1") -> list[str]:
    """Who goes first in each of ``count`` visits in turn."""
    return [order(turns, weights, tenant=tenant)[0] for _ in range(count)]


# -- round robin ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "turn"),
    [
        ({"a": 1}, "aaa"),
        ({"a": 1, "b": 1}, "abab"),
        ({"a": 5, "b": 1, "c": 1}, "aabacaa"),
        ({"a": 2, "b": 1}, "abaaba"),
        ({"a": 1, "b": 2, "c": 3}, "cbacbc"),
    ],
)
def test_turns_go_by_weight(weights: dict[str, int], turn: str) -> None:
    """The heavier goes more often, and never in one long row."""
    assert "".join(firsts(Turns(), weights, len(turn))) == turn


@given(_WEIGHTS, st.integers(min_value=1, max_value=3))
def test_a_cycle_is_exact(weights: dict[str, int], cycles: int) -> None:
    """Over as many visits as the weights add up to, each goes first exactly as often as its weight says."""
    turns = Turns()
    for _ in range(cycles):
        assert Counter(firsts(turns, weights, sum(weights.values()))) == Counter(weights)


@given(_WEIGHTS)
def test_each_steps_in_once(weights: dict[str, int]) -> None:
    """The order names every upstream exactly once: whoever is tried next is another."""
    turns = Turns()
    for _ in range(5):
        assert sorted(order(turns, weights)) == sorted(weights)


def test_tenants_have_turns_of_their_own() -> None:
    """One tenant's visits do not use up another's turns."""
    turns, weights = Turns(), {"a": 1, "b": 1}
    assert firsts(turns, weights, 1) == ["a"]
    assert firsts(turns, weights, 1, tenant="tnt-2") == ["a"]
    assert firsts(turns, weights, 1) == ["b"]


@given(_WEIGHTS, st.integers(min_value=0, max_value=50))
def test_one_that_was_away_gets_no_rush(weights: dict[str, int], visits: int) -> None:
    """An upstream that comes back gets its share from then on, not all that it missed.

    Its turns among any run of visits are at most its share and two more.
    """
    turns = Turns()
    whole = {**weights, "back": 3}
    firsts(turns, whole, 7)
    firsts(turns, weights, visits)
    span = sum(whole.values())
    assert firsts(turns, whole, span).count("back") <= 3 + 2


def test_upstreams_that_go_are_forgotten() -> None:
    """A tenant whose upstreams change with every visit does not fill the memory."""
    turns = Turns()
    for number in range(100):
        assert firsts(turns, {f"u{number}": 1, "stays": 1}, 1)
    assert len(turns._credits["tnt-1"]) <= 4  # noqa: SLF001 - what is kept is the claim


# -- least connections ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "busy", "expected"),
    [
        ({"a": 1, "b": 1}, {"a": 1}, "ba"),
        ({"a": 1, "b": 1}, {"b": 1}, "ab"),
        ({"a": 1, "b": 1, "c": 1}, {"a": 5, "b": 2, "c": 3}, "bca"),
        ({"a": 3, "b": 1}, {"a": 1}, "ab"),  # 2/3 with one more, against 1
        ({"a": 3, "b": 1}, {"a": 3}, "ba"),  # 4/3 with one more, against 1
    ],
)
def test_the_least_busy_for_its_weight_goes_first(
    weights: dict[str, int], busy: dict[str, int], expected: str
) -> None:
    """Least connections counts what each would carry, the visit included, for its weight."""
    assert "".join(order(Turns(), weights, "least_connections", busy=busy)) == expected


# -- affinity -------------------------------------------------------------------------------------------


def _homes(weights: Mapping[str, int]) -> dict[str, str]:
    turns = Turns()
    return {key: order(turns, weights, "session_affinity", key=key)[0] for key in _KEYS}


@given(_WEIGHTS, st.text())
def test_a_session_stays(weights: dict[str, int], key: str) -> None:
    """The same session gets the same order, on every worker, however the upstreams are listed."""
    backwards = dict(reversed(weights.items()))
    first = order(Turns(), weights, "session_affinity", key=key)
    assert order(Turns(), backwards, "session_affinity", key=key) == first


@given(_WEIGHTS.filter(lambda weights: len(weights) > 1), st.text())
def test_only_the_sessions_of_one_that_goes_move(weights: dict[str, int], key: str) -> None:
    """Without one upstream the others keep their order: its sessions go to who was next, the rest stay."""
    whole = order(Turns(), weights, "session_affinity", key=key)
    for gone in weights:
        left = {name: weight for name, weight in weights.items() if name != gone}
        expected = [name for name in whole if name != gone]
        assert order(Turns(), left, "session_affinity", key=key) == expected


@pytest.mark.parametrize(
    "weights", [{"a": 1, "b": 1}, {"a": 3, "b": 1}, {"a": 1, "b": 2, "c": 7}, {"a": 100, "b": 1}]
)
def test_sessions_are_shared_out_by_weight(weights: dict[str, int]) -> None:
    """Of two thousand sessions each upstream has its share, within four standard deviations."""
    found = Counter(_homes(weights).values())
    for name, weight in weights.items():
        share = weight / sum(weights.values())
        spread = (len(_KEYS) * share * (1 - share)) ** 0.5
        assert abs(found[name] - len(_KEYS) * share) <= 4 * spread


def test_a_heavier_upstream_only_gains() -> None:
    """More weight draws sessions to one upstream, and moves none between the others."""
    before, after = _homes({"a": 1, "b": 1, "c": 1}), _homes({"a": 2, "b": 1, "c": 1})
    moved = {key for key in _KEYS if before[key] != after[key]}
    assert moved
    assert {after[key] for key in moved} == {"a"}


# -- standing -------------------------------------------------------------------------------------------


def _fail(standing: Standing, times: int, now: float) -> None:
    for _ in range(times):
        standing.failed(now)


@pytest.mark.parametrize(("failures", "admitted"), [(0, True), (1, True), (2, True), (3, False)])
def test_three_failures_in_a_row_take_it_out(failures: int, *, admitted: bool) -> None:
    """Fewer are chance."""
    standing = Standing()
    _fail(standing, failures, 100.0)
    assert standing.admits(100.0) is admitted


def test_an_answer_between_failures_starts_the_count_anew() -> None:
    """Two failures, an answer, two failures: it is still in."""
    standing = Standing()
    _fail(standing, 2, 100.0)
    standing.answered()
    _fail(standing, 2, 100.0)
    assert standing.admits(100.0)


def test_absences_grow_to_five_minutes() -> None:
    """5 seconds first, twice as long with each trial that fails, never more than 300."""
    standing, now = Standing(), 1000.0
    _fail(standing, 2, now)
    absences = []
    for _ in range(9):
        standing.failed(now)
        began = now
        while not standing.admits(now):
            now += 0.5
        absences.append(now - began)
    assert absences == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_failures_of_visits_still_under_way_do_not_lengthen_an_absence() -> None:
    """A hundred visits that fail together are one outage: it is out for 5 seconds, not for minutes."""
    standing = Standing()
    _fail(standing, 100, 100.0)
    assert not standing.admits(104.9)
    assert standing.admits(105.0)


def test_a_trial_that_is_answered_forgives() -> None:
    """After an answer there is nothing to remember: the next absence takes three failures, and 5 seconds."""
    standing = Standing()
    _fail(standing, 3, 100.0)
    standing.failed(105.0)
    standing.answered()
    assert not standing.troubled
    _fail(standing, 2, 200.0)
    assert standing.admits(200.0)
    standing.failed(200.0)
    assert not standing.admits(204.9)
    assert standing.admits(205.0)


@given(st.lists(st.tuples(st.booleans(), st.floats(min_value=0, max_value=20)), max_size=60))
def test_nothing_is_out_for_ever(events: list[tuple[bool, float]]) -> None:
    """Whatever happened, 5 minutes later a visit tries again."""
    standing, now = Standing(), 0.0
    for answered, passed in events:
        now += passed
        if answered:
            standing.answered()
        else:
            standing.failed(now)
    assert standing.admits(now + 300)


# -- retry budget ---------------------------------------------------------------------------------------


def test_a_quiet_portal_may_retry() -> None:
    """Twenty retries are granted out of nothing, and no more."""
    budget = RetryBudget()
    assert [budget.spend() for _ in range(22)] == [True] * 20 + [False] * 2


def test_ten_visits_earn_one_retry() -> None:
    """When the first twenty are spent, a retry takes ten visits."""
    budget = RetryBudget()
    while budget.spend():
        pass
    granted = []
    for _ in range(1000):
        budget.earn()
        granted.append(budget.spend())
    assert 99 <= granted.count(True) <= 100
    gaps = [later - earlier for earlier, later in pairwise(_places(granted))]
    assert min(gaps) >= 9


def _places(granted: Sequence[bool]) -> list[int]:
    return [place for place, each in enumerate(granted) if each]


@given(st.lists(st.booleans(), max_size=2000))
def test_retries_are_bounded_by_a_tenth_of_the_visits(events: list[bool]) -> None:
    """However visits and failures mix, there are at most twenty retries and a tenth of the visits."""
    budget, visits, retries = RetryBudget(), 0, 0
    for visit in events:
        if visit:
            budget.earn()
            visits += 1
        else:
            retries += budget.spend()
        assert retries <= 20 + visits / 10 + 1e-6


def test_a_good_year_is_not_saved_up() -> None:
    """A million visits without a retry earn no more than twenty."""
    budget = RetryBudget()
    for _ in range(10_000):
        budget.earn()
    assert [budget.spend() for _ in range(21)] == [True] * 20 + [False]
