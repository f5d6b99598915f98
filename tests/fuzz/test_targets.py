"""The claims that are fuzzed hold for the corpora, for what is made of them, and for octets at random."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.seeds import SEEDS
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_corpora_keep_the_claim(target: str) -> None:
    """Every request, answer and hello of the corpora, whole and cut anywhere, keeps the parser's claim."""
    for seed in SEEDS[target]:
        for cut in range(0, len(seed) + 1, max(1, len(seed) // 16)):
            TARGETS[target](seed[:cut])
        TARGETS[target](seed)


@pytest.mark.parametrize("target", sorted(TARGETS))
@given(data=st.data())
def test_mutations_keep_the_claim(target: str, data: st.DataObject) -> None:
    """So do seeds with octets put in, taken out or changed, and octets that were never a seed."""
    octets = bytearray(data.draw(st.sampled_from([*SEEDS[target], b""])))
    changes = st.tuples(st.integers(0, 2000), st.integers(0, 3), st.binary(max_size=4))
    for where, removed, inserted in data.draw(st.lists(changes, max_size=5)):
        at = where % (len(octets) + 1)
        octets[at : at + removed] = inserted
    TARGETS[target](bytes(octets))
