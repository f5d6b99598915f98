"""What the edge would do with a request, as it is told to operators.

PURE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Deed = Literal[
    "forwarded",
    "forwarded_without_identity",
    "portal",
    "console",
    "health",
    "to_https",
    "to_sign_in",
    "refused",
]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What becomes of the request of ``who``; without a ``status``, whoever it goes to answers.

    ``code`` says why it is refused, ``location`` where a redirect leads.
    """

    who: str
    does: Deed
    status: int | None = None
    code: str = ""
    location: str = ""
