from __future__ import annotations

import pytest
from sqlalchemy import LargeBinary

from router.storage.schema import metadata
from router.storage.sealed import SEALED, told


def test_whatever_is_sealed_is_known() -> None:
    """A column of sealed values that nobody rotates would be lost with its key."""
    found = {
        column
        for table in metadata.tables.values()
        for column in table.c
        if column.name.startswith("sealed_") and isinstance(column.type, LargeBinary)
    }
    assert {sealed.column for sealed in SEALED} == found


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [({}, "nothing"), ({"mails": 1}, "1 mail"), ({"certificates": 2, "mails": 0}, "2 certificates, 0 mails")],
    ids=["nothing", "one", "several"],
)
def test_counts_are_told_as_people_say_them(counts: dict[str, int], sentence: str) -> None:
    """One mail, two mails."""
    assert told(counts) == sentence
