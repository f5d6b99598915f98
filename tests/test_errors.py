from __future__ import annotations

import pytest

from router.errors import BadInput, Conflict, Faults, read_each


def _even(raw: str) -> int:
    if int(raw) % 2:
        raise BadInput("odd", f"{raw} is odd.")
    return int(raw)


def test_a_form_tells_all_its_faults() -> None:
    """The first fault is raised, and knows of the others, each by the field that it is in."""
    faults = Faults()
    with faults.at("name"):
        raise BadInput("bad_name", "No name.")
    with faults.at("numbers"):
        read_each(_even, ["2", "3", "4", "5"])
    with faults.at("looks"):
        raise BadInput("unknown_theme", "No such theme.", field="theme")
    with pytest.raises(BadInput) as caught:
        faults.check()
    told = [(each.field, each.code) for each in caught.value.faults]
    assert told == [
        ("name", "bad_name"),
        ("numbers/1", "odd"),
        ("numbers/3", "odd"),
        ("looks/theme", "unknown_theme"),
    ]
    assert not caught.value.further[-1].further


def test_a_sound_form_has_none() -> None:
    """What is read is answered, in order."""
    faults = Faults()
    with faults.at("numbers"):
        assert read_each(_even, ["4", "2"]) == [4, 2]
    faults.check()


def test_what_is_not_about_a_field_goes_on() -> None:
    """Only bad input is noted: whatever else goes wrong is not the form's fault."""
    faults = Faults()
    with pytest.raises(Conflict), faults.at("name"):
        raise Conflict("taken", "It is taken.")
    faults.check()
