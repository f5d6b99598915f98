"""What a database is asked, as it is asked."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.storage.database import Database


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collect every statement, as long as the block lasts."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    engine = database._engine.sync_engine  # noqa: SLF001 - what it is asked is what some claims are about
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)
