"""What can go wrong, said once: a stable code for programs, a sentence for people.

PURE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Value = TypeVar("Value")


class RouterError(Exception):
    """The root of every failure this router decides about.

    ``code`` is stable and lower_snake_case; ``sentence`` says what is wrong and what to do, and never
    holds a secret. The cause, if there is one, travels as ``__cause__`` and is for the log alone. ``field``
    is the field of a form that it is about, such as ``theme_colour`` or ``upstreams/0``; empty for none.
    """

    def __init__(self, code: str, sentence: str, *, field: str = "") -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.field = field

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r}, {self.sentence!r})"


class BadInput(RouterError):  # noqa: N818 - named after what happened, as the whole family is
    """Whoever asked is at fault: nothing was changed.

    ``further`` are the other faults of the same form.
    """

    further: Sequence[BadInput] = ()

    @property
    def faults(self) -> tuple[BadInput, ...]:
        """Every fault of the form, this one first."""
        return (self, *self.further)


class NotFound(RouterError):  # noqa: N818
    """The thing named does not exist (or is none of the asker's business)."""


class Conflict(RouterError):  # noqa: N818
    """The request was sound, but what is stored already says otherwise."""


class Unavailable(RouterError):  # noqa: N818
    """Something below us (database, Redis, disk, upstream) did not do its part; trying later may help."""


class BadSettings(RouterError):  # noqa: N818
    """The router cannot start with these settings. ``sentence`` has one line for each fault."""


class Faults:
    """The faults of a form, noted field by field, so that whoever filled it in hears of all at once."""

    def __init__(self) -> None:
        self._found: list[BadInput] = []

    def at(self, field: str = "") -> Noting:
        """Note what goes wrong with a field in a ``with`` block, and go on after it."""
        return Noting(self, field)

    def note(self, fault: BadInput, field: str = "") -> None:
        """Note a fault, and those that it knows of; within ``upstreams``, the field ``0`` is upstreams/0."""
        for each in fault.faults:
            each.field = "/".join(filter(None, (field, each.field)))
            self._found.append(each)
        fault.further = ()

    def check(self) -> None:
        """Raise the first fault, which knows of the others."""
        if self._found:
            first, *further = self._found
            first.further = further
            raise first


class Noting:
    """The reading of one field: a ``BadInput`` ends it, and is noted."""

    def __init__(self, faults: Faults, field: str) -> None:
        self._faults = faults
        self._field = field

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, fault: BaseException | None, trace: object) -> bool:
        if isinstance(fault, BadInput):
            self._faults.note(fault, self._field)
            return True
        return False


def read_each(read: Callable[[str], Value], given: Sequence[str]) -> list[Value]:
    """Read each of a list. Raises ``BadInput`` for the first that is at fault, which knows of the others."""
    faults, found = Faults(), []
    for index, raw in enumerate(given):
        with faults.at(str(index)):
            found.append(read(raw))
    faults.check()
    return found
