"""Passwords: which are good enough, and how they are hashed without stopping the loop.

Length and commonness are the only rules, as NIST SP 800-63B section 3.1.1.2 and ASVS 6.2 ask: at least 8
characters, any characters, no composition rules, no truncation. Everything is normalised to NFC first, so
that a password typed on another system is the same password.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from router.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

MIN_LENGTH: Final = 8
"""Characters of the shortest password (ASVS 6.2.1)."""

MAX_LENGTH: Final = 256
"""Characters of the longest password: far above any passphrase, and a bound on what is hashed."""

PUBLISHED: Final = Path(__file__).with_name("published_passwords.txt")
"""Common passwords as others have published them; tools/published_passwords.py writes it."""

_SHORTEST_TELLING = 4  # a name of three letters is inside too many good passwords to be refused there
_YEARS = range(1940, 2040)
_LEET = str.maketrans("@4013$5", "aaoiess")

_Answer = TypeVar("_Answer")


def normalised(text: str) -> str | None:
    """Bring a password into the form that is hashed, or None for one that no account can have.

    None is for more than 256 characters and for what is not Unicode text (lone surrogates). The length is
    looked at before the text is walked, so that a megabyte costs nothing.
    """
    if len(text) > 4 * MAX_LENGTH:  # NFC makes one character of four at most
        return None
    composed = unicodedata.normalize("NFC", text)
    if len(composed) > MAX_LENGTH or any("\ud800" <= character <= "\udfff" for character in composed):
        return None
    return composed


def check_new_password(text: str, *, email: str = "", portal: Collection[str] = ()) -> None:
    """Refuse a password that would be guessed, or that cannot be kept.

    Raises ``BadInput`` with ``password_too_short``, ``password_too_long``, ``password_common`` (ASVS 6.2.4)
    or ``password_personal`` (it contains the e-mail address's local part, or one of the names that the
    ``portal`` goes by; ASVS 6.2.11).
    """
    password = normalised(text)
    if password is None:
        raise BadInput("password_too_long", f"The password is longer than {MAX_LENGTH} characters.")
    if len(password) < MIN_LENGTH:
        raise BadInput("password_too_short", f"The password needs at least {MIN_LENGTH} characters.")
    if is_common(password):
        raise BadInput(
            "password_common", "That password is one of the first that anyone would guess: choose another."
        )
    if _is_personal(password, email, portal):
        raise BadInput(
            "password_personal", "The password contains your e-mail name or the portal's: choose another."
        )


def is_common(password: str) -> bool:
    """Whether it is a common password, in any case and in the usual disguises (``P@ssw0rd1``)."""
    folded = unicodedata.normalize("NFC", password).casefold()
    common = _common_passwords()
    plain = folded.translate(_LEET)
    if len(set(folded)) == 1 or folded in common.whole or plain in common.whole:
        return True
    half = len(folded) // 2
    if folded[:half] == folded[half:] and folded[:half] in common.words:
        return True
    return any(
        folded[cut:] in common.endings and (folded[:cut] in common.words or plain[:cut] in common.words)
        for cut in range(1, len(folded) + 1)
    )


def _is_personal(password: str, email: str, portal: Collection[str]) -> bool:
    folded = "".join(password.casefold().split())
    names = ("".join(name.casefold().split()) for name in (email.partition("@")[0], *portal))
    return any(
        folded == name or (len(name) >= _SHORTEST_TELLING and name in folded)
        for name in (unicodedata.normalize("NFC", name) for name in names)
    )


class CommonPasswords(NamedTuple):
    """What common passwords are made of; each file says where it is from. ``whole`` are written out."""

    whole: frozenset[str]
    words: frozenset[str]
    endings: frozenset[str]


@lru_cache(maxsize=1)
def _common_passwords() -> CommonPasswords:
    sections = _read_sections(files("router.identity").joinpath("common_passwords.txt").read_text("utf-8"))
    years = {f"{before}{year}{after}" for year in _YEARS for before in ("", "@") for after in ("", "!")}
    endings = sections["endings"] | years | {""}
    published = PUBLISHED.read_text("utf-8").splitlines()
    whole = sections["whole"] | {line for line in published if not line.startswith("# ")}
    return CommonPasswords(whole, sections["words"], frozenset(endings))


def _read_sections(text: str) -> Mapping[str, frozenset[str]]:
    sections: dict[str, set[str]] = {}
    entries: set[str] = set()
    for line in text.splitlines():
        if line.startswith("["):
            entries = sections.setdefault(line.strip("[]"), set())
        elif not line.startswith("# "):
            entries.update(line.split())
    return {name: frozenset(members) for name, members in sections.items()}


class Passwords:
    """Argon2id in a bounded pool of threads.

    The parameters are OWASP's minimum (19 MiB, two passes, one lane; about 20 to 40 ms). At most ``threads``
    hashes run at once and ``waiting`` more may wait; beyond that ``Unavailable("busy")`` is raised at once,
    because a queue of hashes is a way to stop a sign-in page.
    """

    def __init__(
        self,
        *,
        threads: int | None = None,
        waiting: int = 64,
        memory_kib: int = 19_456,
        passes: int = 2,
    ) -> None:
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=1)
        size = threads or min(4, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="argon2")
        self._limit = size + waiting
        self._busy = 0
        # Nobody knows what it is the hash of; an unknown user's attempt is verified against it.
        self._dummy = self._hasher.hash(secrets.token_urlsafe(32))

    def __repr__(self) -> str:
        return f"Passwords(busy={self._busy}, limit={self._limit})"

    async def hash(self, text: str) -> str:
        """Hash a password that :func:`check_new_password` has let through.

        Raises ``BadInput("password_too_long")`` and ``Unavailable("busy")``.
        """
        password = normalised(text)
        if password is None:
            raise BadInput("password_too_long", f"The password is longer than {MAX_LENGTH} characters.")
        return await self._in_a_thread(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, text: str) -> bool:
        """Say whether ``text`` is the password of ``stored``; with None, spend the same effort and say no.

        A text that no account can have (over 256 characters) is refused before anything is hashed, whoever
        it is for. Raises ``Unavailable("busy")``.
        """
        password = normalised(text)
        if password is None:
            return False
        return await self._in_a_thread(lambda: self._matches(stored, password))

    def outdated(self, stored: str) -> bool:
        """Whether ``stored`` was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Let the threads go; what is being hashed is finished first, what waits is not begun."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _matches(self, stored: str | None, password: str) -> bool:
        try:
            self._hasher.verify(stored or self._dummy, password)
        except InvalidHashError:  # a record that was damaged by hand: it opens nothing, at the same price
            return self._matches(None, password)
        except VerificationError:
            return False
        return stored is not None

    async def _in_a_thread(self, work: Callable[[], _Answer]) -> _Answer:
        if self._busy >= self._limit:
            raise Unavailable(
                "busy", "Too many people are signing in at this moment. Please try again shortly."
            )
        self._busy += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(self._one_less)
        # Shielded: a caller that goes away does not free its thread, so it must not free its place either.
        return await asyncio.shield(future)

    def _one_less(self, _future: asyncio.Future[_Answer]) -> None:
        self._busy -= 1
