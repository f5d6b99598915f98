"""What takes long or changes much: progress while it lasts, and a question before it begins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from router.cli.output import Exit, complain


@contextmanager
def progress(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Show how far something is, at a terminal, on standard error; yields what is called after each part."""
    if quiet or not sys.stderr.isatty() or total == 0:
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where somebody watches
    from rich.progress import (  # noqa: PLC0415 - the same
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done: shown.advance(task, done)


def confirmed(question: str, *, yes: bool, as_json: bool) -> Exit | None:
    """Ask whether to go on: None is yes, else the exit code. Without a terminal, only ``--yes`` is yes."""
    if yes:
        return None
    if not sys.stdin.isatty() or as_json:
        sentence = "Nobody can be asked here, and nothing was changed: say --yes, or --check to look only."
        complain("not_confirmed", sentence, as_json=as_json)
        return Exit.UNCONFIRMED
    try:
        said = input(f"{question} [y/N] ")
    except EOFError:
        said = ""
    if said.strip().lower() in ("y", "yes"):
        return None
    complain("not_confirmed", "Nothing was changed.", as_json=False)
    return Exit.UNCONFIRMED
