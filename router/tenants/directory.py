"""Directory: which tenant a hostname belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from router.storage.lookup import Lookup, Pending
from router.storage.waiting_room import WaitingRoom
from router.tenants.rows import holder_of
from router.tenants.tenant import Tenant

if TYPE_CHECKING:
    from router.hostname import Hostname
    from router.storage.cache import Cache
    from router.storage.changes import ChangeFeed
    from router.storage.database import Database

_TENANT: Final = TypeAdapter(Tenant)
_CAPACITY: Final = 100_000
"""Hostnames kept in memory, about 1 KiB each."""


class Directory:
    """Hostname → tenant, in four steps, each only where the one before did not know.

    1. memory, synchronous (:meth:`peek`): an entry is fresh for a minute, or until a change names it;
    2. the cache, shared by the fleet;
    3. the database, one question however many visits wait for it;
    4. with everything below down: the last known good.

    A hostname whose claim is not active is unknown, as one that never existed. A suspended tenant is found,
    with status ``suspended``: what that means is decided elsewhere.
    """

    def __init__(
        self,
        database: Database,
        cache: Cache | None,
        feed: ChangeFeed,
        *,
        capacity: int = _CAPACITY,
    ) -> None:
        self._database = database
        self._lookup = Lookup(
            "hostname",
            self._load,
            cache,
            _TENANT.dump_json,
            _TENANT.validate_json,
            capacity=capacity,
            room=WaitingRoom("hostnames"),
            position=lambda: feed.position,
        )
        feed.subscribe("hostname", self._lookup.drop)
        feed.subscribe_reset(self._lookup.clear)

    def peek(self, hostname: Hostname) -> Tenant | Pending | None:
        """Answer from memory alone: the tenant, None for a name known to be nobody's, or PENDING."""
        return self._lookup.peek(hostname)

    async def find(self, hostname: Hostname, asker: str = "") -> Tenant | None:
        """Answer from wherever it is known. ``asker`` is the client's address, or its network's.

        Raises ``Unavailable`` when nothing below answers, and when too many strangers' names are looked for.
        """
        return await self._lookup.find(hostname, asker)

    async def close(self) -> None:
        """End the lookups that are under way."""
        await self._lookup.close()

    async def _load(self, hostname: str) -> Tenant | None:
        async with self._database.read() as connection:
            return await holder_of(connection, hostname)
