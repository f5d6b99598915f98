from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.identity.throttle import (
    ACCOUNT,
    NETWORK,
    PAIR,
    PAIR_DAY,
    Allowed,
    Budget,
    Wait,
    fingerprint,
    judge,
    network_of,
    tally,
)

NOW = 1_795_300_000.0
budgets = st.sampled_from([NETWORK, PAIR, PAIR_DAY, ACCOUNT])
times = st.floats(min_value=1e9, max_value=4e9)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("not an address", "not an address"),
    ],
)
def test_network_is_what_one_person_controls(address: str, network: str) -> None:
    """An IPv4 address is a network of its own; an IPv6 address counts as its /64."""
    assert network_of(address) == network


@given(budgets, times, st.integers(min_value=1, max_value=64))
def test_limit_is_granted_and_not_one_more(budget: Budget, now: float, counters: int) -> None:
    """Together, the processes that count for themselves grant a budget at most (and each its floor)."""
    spent = tally(budget, ("subject",), now)
    granted = sum(isinstance(judge(spent, count, now, counters=counters), Allowed) for count in range(1, 300))
    assert granted >= budget.floor
    assert granted * counters <= max(budget.limit, budget.floor * counters)


@given(budgets, times)
def test_wait_ends_with_the_window(budget: Budget, now: float) -> None:
    """Whoever waits as long as told finds a new counter, and a wait is never longer than the window."""
    spent = tally(budget, ("subject",), now)
    verdict = judge(spent, budget.limit + 1, now)
    assert isinstance(verdict, Wait)
    assert 1 <= verdict.seconds <= budget.window
    assert tally(budget, ("subject",), int(now) + verdict.seconds).key != spent.key
    assert tally(budget, ("subject",), spent.ends - 1).key == spent.key


def test_windows_are_staggered() -> None:
    """The windows of different accounts do not begin at the same moment."""
    ends = {tally(ACCOUNT, (f"user{number}@example.com",), NOW).ends for number in range(50)}
    assert len(ends) > 40


@given(st.lists(st.text(max_size=8), max_size=4), st.lists(st.text(max_size=8), max_size=4))
def test_subjects_never_share_a_counter(one: list[str], other: list[str]) -> None:
    """Two subjects have one digest only if they are the same, whatever separators their parts contain."""
    assert (fingerprint(*one) == fingerprint(*other)) == (one == other)


def test_key_names_no_person() -> None:
    """The e-mail address and the network are not readable in the cache."""
    key = tally(PAIR, ("tnt_1", "mary@example.com", "192.0.2.7"), NOW).key
    assert "mary" not in key
    assert "192.0.2" not in key
