"""What can go wrong, said once: a stable code for programs, a sentence for people.

PURE.
"""

from __future__ import annotations


class RouterError(Exception):
    """The root of every failure this router decides about.

    ``code`` is stable and lower_snake_case; ``sentence`` says what is wrong and what to do, and never
    holds a secret. The cause, if there is one, travels as ``__cause__`` and is for the log alone.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r}, {self.sentence!r})"


class BadInput(RouterError):  # noqa: N818 - named after what happened, as the whole family is
    """Whoever asked is at fault: nothing was changed."""


class NotFound(RouterError):  # noqa: N818
    """The thing named does not exist (or is none of the asker's business)."""


class Conflict(RouterError):  # noqa: N818
    """The request was sound, but what is stored already says otherwise."""


class Unavailable(RouterError):  # noqa: N818
    """Something below us (database, Redis, disk, upstream) did not do its part; trying later may help."""


class BadSettings(RouterError):  # noqa: N818
    """The router cannot start with these settings. ``sentence`` has one line for each fault."""
