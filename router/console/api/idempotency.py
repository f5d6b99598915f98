"""Idempotency: a call that makes something, sent twice because its answer was lost, is done once.

By a key that the caller thinks of (draft-ietf-httpapi-idempotency-key-header-07). Who comes with it:

1. first: claims the key and is done. What fails has made nothing, and its key is free again;
2. with the same call again: is answered as the first was, for a day; a secret is told once, though, and kept
   nowhere: 409;
3. while the first is being done: 409. A claim whose worker died with it is free after a minute;
4. with another call: 422.

Keys are each principal's own. Neither a key nor what was asked is stored, only digests of them.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from router.console.problems import Refused
from router.storage.hourly import hourly
from router.storage.schema import idempotency_keys as rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Row

    from router.storage.database import Database

HEADER: Final = "Idempotency-Key"
KEPT: Final = 86_400
"""Seconds for which an answer is kept."""

CLAIMED: Final = 60
"""Seconds after which a claim without an answer is free; no call takes as long."""

_KEY: Final = re.compile(r"[ -~]{1,255}")
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """A call and its key, both as digests."""

    principal: str
    key: str
    request: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do a call, until ``CLAIMED`` seconds after ``at``."""

    asked: Asked
    at: int


@dataclass(frozen=True, slots=True)
class Kept:
    """What a call was answered; ``body`` is none where there was none, or it was a secret."""

    status: int
    headers: Mapping[str, str]
    body: str | None


def read_key(fields: Sequence[str]) -> str | None:
    """Read the key of a call, from its header's fields. Raises ``Refused`` (400)."""
    if not fields:
        return None
    if len(fields) > 1 or _KEY.fullmatch(fields[0]) is None:
        sentence = f"{HEADER} is 1 to 255 printable ASCII characters, such as a UUID, in one field."
        raise Refused(400, "bad_idempotency_key", sentence)
    return fields[0]


def asked(principal: str, key: str, *call: bytes) -> Asked:
    """Digest what is asked. The key salts it, so that a digest does not give away a short body's secret."""
    digest = hashlib.sha256()
    for part in (key.encode(), *call):
        digest.update(b"%d:" % len(part) + part)
    return Asked(principal, hashlib.sha256(key.encode()).hexdigest(), digest.hexdigest())


class Idempotency:
    """Remembers what was answered. All methods raise ``Unavailable`` (the database)."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def claim(self, wanted: Asked) -> Claim | Kept:
        """Claim a key for a call, or answer what it was answered before. Raises ``Refused`` (409, 422)."""
        for _ in range(_TRIES):
            claim = Claim(wanted, int(self._clock()))
            if await self._insert(claim):
                return claim
            found = await self._taken_over(claim)
            if found is not None:
                return found
        raise _in_use()

    async def keep(self, claim: Claim, answer: Kept) -> None:
        """Remember what a call was answered, if the claim is still ours."""
        values = {"status": answer.status, "headers": dict(answer.headers), "body": answer.body}
        async with self._database.write() as connection:
            await connection.execute(update(rows).where(_ours(claim)).values(values))

    async def release(self, claim: Claim) -> None:
        """Let go of the key of a call that did nothing, if the claim is still ours."""
        async with self._database.write() as connection:
            await connection.execute(delete(rows).where(_ours(claim)))

    async def prune(self) -> int:
        """Forget what is older than a day; answer how many there were."""
        old = rows.c.created_at <= int(self._clock()) - KEPT
        async with self._database.write() as connection:
            return (await connection.execute(delete(rows).where(old))).rowcount

    async def run(self) -> None:
        """Forget old answers every hour, for ever."""
        await hourly(self.prune)

    async def _insert(self, claim: Claim) -> bool:
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(rows).values(_values(claim)))
        except IntegrityError:  # somebody came with this key before, or at the same moment
            return False
        return True

    async def _taken_over(self, claim: Claim) -> Claim | Kept | None:
        """Take over a key that has run out, or answer what is kept; None when it is free just now."""
        this = _this(claim.asked)
        async with self._database.write() as connection:
            row = (await connection.execute(select(rows).where(this).with_for_update())).one_or_none()
            if row is None:
                return None
            if not _has_run_out(row, claim.at):
                return _kept(row, claim.asked)
            await connection.execute(update(rows).where(this).values(_values(claim)))
        return claim


def _has_run_out(row: Row[Any], now: int) -> bool:
    return bool(row.created_at <= now - (CLAIMED if row.status is None else KEPT))


def _kept(row: Row[Any], wanted: Asked) -> Kept:
    if row.request != wanted.request:
        sentence = "This key was sent with another call: think of a new one for each thing to be made."
        raise Refused(422, "idempotency_key_reused", sentence)
    if row.status is None:
        raise _in_use()
    return Kept(row.status, row.headers, row.body)


def _in_use() -> Refused:
    sentence = "The call with this key is being done just now: ask again in a moment."
    return Refused(409, "idempotency_key_in_use", sentence, headers={"Retry-After": "1"})


def _this(wanted: Asked) -> ColumnElement[bool]:
    return (rows.c.principal == wanted.principal) & (rows.c.key == wanted.key)


def _ours(claim: Claim) -> ColumnElement[bool]:
    return _this(claim.asked) & (rows.c.created_at == claim.at) & rows.c.status.is_(None)


def _values(claim: Claim) -> dict[str, object]:
    wanted = claim.asked
    told = {"principal": wanted.principal, "key": wanted.key, "request": wanted.request}
    return {**told, "status": None, "headers": None, "body": None, "created_at": claim.at}
