"""Deadlines: what is due expires, once, and what is not does not."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.edge.deadlines import NEVER, Deadlines
from router.observe.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable


class Patient:
    """Something with a deadline, which counts how often it expired."""

    def __init__(self, deadline: float, then: Callable[[], None] = lambda: None) -> None:
        self.deadline = deadline
        self.expired = 0
        self._then = then

    def expire(self) -> None:
        """Count, and do what was said."""
        self.expired += 1
        self._then()


@pytest.mark.parametrize(
    ("deadline", "expired"),
    [(0.0, 1), (99.999, 1), (100.0, 1), (100.001, 0), (NEVER, 0)],
)
def test_what_is_due_expires(deadline: float, expired: int) -> None:
    """A deadline at or before the sweep has passed; a later one, or none, has not."""
    deadlines, patient = Deadlines(), Patient(deadline)
    deadlines.add(patient)
    deadlines.sweep(100.0)
    assert patient.expired == expired


def test_a_deadline_may_be_moved() -> None:
    """What puts its deadline off in time does not expire; what does not, expires in each sweep."""
    deadlines, patient = Deadlines(), Patient(10.0)
    deadlines.add(patient)
    patient.deadline = 20.0
    deadlines.sweep(15.0)
    assert patient.expired == 0
    deadlines.sweep(20.0)
    deadlines.sweep(21.0)
    assert patient.expired == 2


WAITS = st.floats(min_value=2.0, max_value=30.0)


@given(st.lists(st.tuples(st.integers(0, 7), WAITS | st.just(NEVER)), min_size=1, max_size=60))
def test_none_is_forgotten_for_being_far(writes: list[tuple[int, float]]) -> None:
    """Whatever is written when, far or near, expires in the first sweep after its time, and never before."""
    deadlines = Deadlines(period=0.5, nearest=2.0)
    everyone = [Patient(NEVER) for _ in range(8)]
    for patient in everyone:
        deadlines.add(patient)
    now = deadlines.now
    for which, wait in [*writes, *((which, 2.0) for which in range(8))]:
        everyone[which].deadline = deadlines.now + wait
        now += 0.5
        due = [patient for patient in everyone if patient.deadline <= now]
        before = [patient.expired for patient in everyone]
        deadlines.sweep(now)
        after = [patient.expired for patient in everyone]
        assert after == [count + (patient in due) for patient, count in zip(everyone, before, strict=True)]
        for patient in due:
            patient.deadline = NEVER


def test_the_far_are_seldom_looked_at() -> None:
    """Idle connections cost nothing in most sweeps."""
    looks = 0

    class Idle(Patient):
        @property
        def deadline(self) -> float:
            nonlocal looks
            looks += 1
            return 1_000.0

        @deadline.setter
        def deadline(self, deadline: float) -> None:
            """As it is."""

    deadlines = Deadlines(period=0.5, nearest=2.0)
    deadlines.add(Idle(0.0))
    for sweep in range(40):
        deadlines.sweep(sweep / 2)
    assert looks == 10


def test_what_is_discarded_is_watched_no_longer() -> None:
    """Discarding is final, and once more is harmless; adding twice is watching once."""
    deadlines, gone, here = Deadlines(), Patient(0.0), Patient(0.0)
    deadlines.add(gone)
    for _ in range(2):
        deadlines.add(here)
        deadlines.discard(gone)
    deadlines.sweep(1.0)
    assert (gone.expired, here.expired) == (0, 1)


@pytest.mark.parametrize("ending", ["discards", "puts off"])
def test_of_two_that_are_due_one_may_save_the_other(ending: str) -> None:
    """A client and its exchange, due in one sweep: the end of the first is the end of the matter.

    Otherwise a client could be answered twice.
    """
    deadlines = Deadlines()

    def spare(other: Patient) -> None:
        if ending == "discards":
            deadlines.discard(other)
        else:
            other.deadline = NEVER

    first = Patient(0.0, lambda: spare(second))
    second = Patient(0.0, lambda: spare(first))
    deadlines.add(first)
    deadlines.add(second)
    deadlines.sweep(1.0)
    assert first.expired + second.expired == 1


def test_the_watched_may_change_during_a_sweep() -> None:
    """What is added while others expire waits for the next sweep."""
    deadlines, late = Deadlines(), Patient(0.0)
    patient = Patient(0.0, lambda: deadlines.add(late))
    deadlines.add(patient)
    deadlines.sweep(1.0)
    assert (patient.expired, late.expired) == (1, 0)
    deadlines.sweep(2.0)
    assert late.expired == 1


def test_now_is_the_time_of_the_last_sweep() -> None:
    """The clock that deadlines are reckoned from is monotonic time, as of the last sweep."""
    before = time.monotonic()
    deadlines = Deadlines()
    assert before <= deadlines.now <= time.monotonic()
    deadlines.sweep(before + 5)
    assert deadlines.now == before + 5


async def test_the_sweep_goes_on() -> None:
    """What is due expires without anybody asking, and so does what comes later."""
    deadlines = Deadlines(period=0.001)
    passed: asyncio.Queue[str] = asyncio.Queue()

    def watch(name: str) -> None:
        def pass_on() -> None:
            deadlines.discard(patient)
            passed.put_nowait(name)

        patient = Patient(time.monotonic(), pass_on)
        deadlines.add(patient)

    async with asyncio.timeout(10), Tasks() as tasks:
        tasks.start(deadlines.run(), name="sweep")
        watch("first")
        assert await passed.get() == "first"
        watch("second")
        assert await passed.get() == "second"


def test_one_fault_costs_no_other_its_deadline() -> None:
    """What fails when its time has come is reported and dropped; the others expire all the same."""
    deadlines = Deadlines()

    class Broken:
        deadline = 0.0

        def expire(self) -> None:
            raise RuntimeError("a fault of ours")

    expired: list[str] = []

    class Sound:
        deadline = 0.0

        def expire(self) -> None:
            expired.append("sound")
            self.deadline = 99.0

    deadlines.add(Broken())
    deadlines.add(Sound())
    deadlines.sweep(1.0)
    deadlines.sweep(2.0)
    assert expired == ["sound"]
