"""Whom a token speaks for: asked with every call, answered from memory wherever that is known."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn

from sqlalchemy import bindparam, update

from router.console.tokens import PREFIX, Token, key_of, read_token, selected_tokens
from router.errors import Unavailable
from router.storage.lookup import Lookup
from router.storage.schema import tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.storage.changes import ChangeFeed
    from router.storage.database import Database
    from router.storage.lookup import Pending

_TOKEN: Final = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_WRITTEN_EVERY: Final = 60
_CAPACITY: Final = 10_000


class TokenFinder:
    """Finds tokens by what a caller showed: in memory, else in the database.

    One that is expired or revoked is none; a revocation is heard of within a second. ``run`` must be running
    for uses to be written down, once a minute at most for each token.
    """

    def __init__(
        self, database: Database, feed: ChangeFeed, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._clock = clock
        self._used: dict[str, int] = {}
        self._lookup: Lookup[Token] = Lookup(
            "token", self._load, None, _stays_here, _stays_here, capacity=_CAPACITY
        )
        # No sequence numbers: they guard against copies in a shared cache, and these are not shared.
        feed.subscribe("token", lambda key, _sequence: self._lookup.drop(key))
        feed.subscribe_reset(self._lookup.clear)

    def __repr__(self) -> str:
        return f"<TokenFinder {len(self._used)} used and not yet written>"

    def peek(self, shown: str) -> Token | Pending | None:
        """Answer from memory alone: a valid token, None for what is none, or PENDING."""
        if _TOKEN.fullmatch(shown) is None:
            return None
        found = self._lookup.peek(key_of(shown))
        return self._valid(found) if isinstance(found, Token) else found

    async def find(self, shown: str) -> Token | None:
        """Answer from wherever it is known. Raises ``Unavailable``."""
        if _TOKEN.fullmatch(shown) is None:
            return None
        found = await self._lookup.find(key_of(shown))
        return self._valid(found) if found is not None else None

    def used(self, token: Token) -> None:
        """Note that a token was used."""
        self._used[token.id] = int(self._clock())

    async def run(self) -> None:
        """Write down once a minute which tokens were used; for ever, and a last time when it is cancelled."""
        try:
            while True:
                await asyncio.sleep(_WRITTEN_EVERY)
                with suppress(Unavailable):  # the database says so itself; what is unwritten is kept
                    await self.flush()
        finally:
            with suppress(Unavailable):
                await self.flush()

    async def flush(self) -> None:
        """Write down what ``used`` has noted. Raises ``Unavailable``, having lost nothing."""
        batch, self._used = self._used, {}
        if not batch:
            return
        later = tokens.c.last_used_at.is_(None) | (tokens.c.last_used_at < bindparam("at"))
        used = update(tokens).where(tokens.c.id == bindparam("of"), later)
        try:
            async with self._database.write() as connection:
                # In one order everywhere, so that two workers' batches never wait for each other.
                rows = [{"of": token_id, "at": batch[token_id]} for token_id in sorted(batch)]
                await connection.execute(used.values(last_used_at=bindparam("at")), rows)
        except BaseException:
            self._used = batch | self._used
            raise

    async def close(self) -> None:
        """End the lookups that are under way."""
        await self._lookup.close()

    def _valid(self, token: Token) -> Token | None:
        return token if token.state(self._clock()) == "valid" else None

    async def _load(self, key: str) -> Token | None:
        async with self._database.read() as connection:
            row = (await connection.execute(selected_tokens().where(tokens.c.key == key))).one_or_none()
        return None if row is None else read_token(row)


def _stays_here(_: object) -> NoReturn:
    raise AssertionError("tokens are not shared through a cache")
