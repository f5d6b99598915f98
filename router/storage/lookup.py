"""A lookup on the hot path: memory, then the cache, then the database.

1. :meth:`Lookup.peek` answers from memory, at once: a value, None for what is known to be absent, or PENDING.
2. :meth:`Lookup.find` goes on to the cache and then to the database. Many who ask for the same key wait for
   one flight; who stops waiting does not stop it for the others.
3. Every copy carries a stamp, the feed's position when its load began: it knows every change up to there. A
   change is named by :meth:`Lookup.drop` with its sequence number, and from then on a copy of that key with a
   lower stamp is refused, wherever it comes from: a load that was under way, or a cache that another worker
   wrote late. So the cache needs no deletions that could be lost or overtaken.
4. When the database is away, the last known good value is served, for as long as that lasts.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeAlias, TypeVar

import structlog

from router.errors import RouterError, Unavailable
from router.observe.tasks import Tasks
from router.storage.cache import CACHE_TTL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from router.storage.cache import Cache
    from router.storage.waiting_room import WaitingRoom

_log = structlog.get_logger(__name__)
V = TypeVar("V")


class Pending(Enum):
    """The type of :data:`PENDING`."""

    PENDING = "pending"


PENDING: Final = Pending.PENDING
"""Memory does not know: ask ``find``."""

_Pending: TypeAlias = Literal[Pending.PENDING]
_DROPS = 50_000
_RETRY_AFTER = 1.0
_VERSION = b"1"


@dataclass(slots=True)
class _Entry(Generic[V]):
    value: V | None
    fresh_until: float


class _Source(Enum):
    MEMORY = "memory"  # the last known good value, in an outage
    CACHE = "cache"
    DATABASE = "database"


@dataclass(frozen=True, slots=True)
class _Copy(Generic[V]):
    value: V | None
    stamp: int
    source: _Source


class Lookup(Generic[V]):
    """Finds values of one kind by key, remembers them, and forgets them when told.

    ``load`` reads the database and gives None for what does not exist. ``encode`` and ``decode`` turn a value
    into the bytes a cache holds and back; ``decode`` raises ``ValueError`` for what it cannot read: a miss.
    ``capacity`` and ``negative_capacity`` bound what is remembered of the present and the absent, apart
    from each other, so that a stranger's names never push out a tenant. Times are in seconds. In ``room``
    those wait who ask below memory. ``position`` is the feed's: whoever drops keys with sequence numbers
    gives it, or no copy would ever be recent enough.
    """

    def __init__(  # noqa: PLR0913 - most have defaults, which only tests override
        self,
        name: str,
        load: Callable[[str], Awaitable[V | None]],
        cache: Cache | None,
        encode: Callable[[V], bytes],
        decode: Callable[[bytes], V],
        *,
        capacity: int,
        negative_capacity: int = 10_000,
        fresh_for: float = 60.0,
        negative_for: float = 5.0,
        room: WaitingRoom | None = None,
        position: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if ":" in name:
            raise ValueError("the name separates one lookup's keys from another's, so it has no colon")
        self._name = name
        self._load = load
        self._cache = cache
        self._encode = encode
        self._decode = decode
        self._present: OrderedDict[str, _Entry[V]] = OrderedDict()
        self._absent: OrderedDict[str, _Entry[V]] = OrderedDict()
        self._capacity = capacity
        self._negative_capacity = negative_capacity
        self._fresh_for = fresh_for
        self._negative_for = negative_for
        self._room = room
        self._position = position
        self._clock = clock
        self._flights: dict[str, asyncio.Future[V | None]] = {}
        self._drops: OrderedDict[str, int] = OrderedDict()
        self._floor = 0
        self._doubted: dict[str, None] = {}  # the latest last
        self._told_undecodable = False
        self._tasks = Tasks()

    def __repr__(self) -> str:
        return (
            f"<Lookup {self._name}: {len(self._present)} present, {len(self._absent)} absent, "
            f"{len(self._flights)} in flight>"
        )

    def peek(self, key: str) -> V | _Pending | None:
        """Answer from memory: the value, None when known to be absent, PENDING when ``find`` must look."""
        entry = self._present.get(key)
        if entry is not None:
            self._present.move_to_end(key)
        else:
            entry = self._absent.get(key)
        if entry is None or self._clock() >= entry.fresh_until:
            return PENDING
        return entry.value

    def remembers(self, key: str) -> bool:
        """Whether the key is an old acquaintance: in memory, fresh or not, or dropped because it changed."""
        return key in self._present or key in self._drops or key in self._doubted

    async def find(self, key: str, asker: str = "") -> V | None:
        """Find the value, or None if there is none. ``asker`` is for the waiting room.

        Raises ``Unavailable`` when the database is needed and away, and there is no last known good value to
        bridge that with; and when the waiting room is full.
        """
        known = self.peek(key)
        if known is not PENDING:
            return known
        flight = self._flights.get(key)
        if flight is None:
            flight = self._start(key, asker)
        return await asyncio.shield(flight)

    def drop(self, key: str, sequence: int = 0) -> None:
        """Forget a key that changed; ``sequence`` is its number in the feed.

        With 0, for a change that the feed has yet to name, the next answer comes from the database.
        """
        self._present.pop(key, None)
        self._absent.pop(key, None)
        self._flights.pop(key, None)  # those who wait get its answer; who asks from now on, a newer one
        if sequence == 0:
            self._doubt(key)
        else:
            self._drops[key] = max(sequence, self._drops.pop(key, 0))
            if len(self._drops) > _DROPS:
                self._floor = max(self._floor, self._drops.popitem(last=False)[1])

    def drop_if(self, changed: Callable[[V], bool], sequence: int = 0) -> None:
        """Forget every value of which ``changed(value)`` is true, and the absent ones.

        What the cache holds cannot be asked, so all of it that is older than ``sequence`` is read anew.
        """
        for key, entry in list(self._present.items()):
            if entry.value is not None and changed(entry.value):
                del self._present[key]
        self._absent.clear()
        self._flights.clear()
        self._floor = max(self._floor, sequence)

    def clear(self) -> None:
        """Trust nothing in memory any more: read everything anew, and bridge an outage only until then."""
        self._floor = max(self._floor, self._position())
        self._flights.clear()
        self._absent.clear()
        for entry in self._present.values():
            entry.fresh_until = 0.0

    async def close(self) -> None:
        """End the flights that are under way."""
        await self._tasks.close()

    def _start(self, key: str, asker: str) -> asyncio.Future[V | None]:
        flight: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        # A flight that everybody stopped waiting for may fail unheard; the database has logged its outage.
        flight.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._flights[key] = flight
        self._tasks.start(self._fly(key, asker, flight), name=f"find {self._name}")
        return flight

    async def _fly(self, key: str, asker: str, flight: asyncio.Future[V | None]) -> None:
        try:
            copy = await self._in_turn(key, asker)
        except BaseException as fault:
            flight.cancel() if isinstance(fault, asyncio.CancelledError) else flight.set_exception(fault)
            self._land(key, flight)
            if not isinstance(fault, RouterError):
                raise
        else:
            flight.set_result(copy.value)
            if self._land(key, flight) and copy.stamp >= self._oldest_good(key):
                await self._keep(key, copy)

    def _land(self, key: str, flight: asyncio.Future[V | None]) -> bool:
        # False when the key was dropped meanwhile: what was read may be older than that.
        if self._flights.get(key) is not flight:
            return False
        del self._flights[key]
        return True

    async def _in_turn(self, key: str, asker: str) -> _Copy[V]:
        if self._room is None:
            return await self._fetch(key)
        async with self._room.turn(known=self.remembers(key), asker=asker):
            return await self._fetch(key)

    async def _fetch(self, key: str) -> _Copy[V]:
        cached = await self._cached(key)
        if cached is not None:
            return cached
        stamp = self._position()
        try:
            return _Copy(await self._load(key), stamp, _Source.DATABASE)
        except Unavailable:
            known = self._present.get(key) or self._absent.get(key)
            if known is None:
                raise
            return _Copy(known.value, stamp, _Source.MEMORY)

    async def _keep(self, key: str, copy: _Copy[V]) -> None:
        if copy.source is _Source.MEMORY:
            self._remember(key, copy.value, _RETRY_AFTER)
            return
        self._remember(key, copy.value, self._negative_for if copy.value is None else self._fresh_for)
        if copy.source is _Source.DATABASE:
            self._doubted.pop(key, None)
            await self._share(key, copy)

    def _oldest_good(self, key: str) -> int:
        return max(self._floor, self._drops.get(key, 0))

    def _doubt(self, key: str) -> None:
        self._doubted[key] = None
        if len(self._doubted) > _DROPS:
            # The feed has named that one's change by now, or soon will: until then, older copies are refused.
            del self._doubted[next(iter(self._doubted))]
            self._floor = max(self._floor, self._position())

    def _remember(self, key: str, value: V | None, fresh_for: float) -> None:
        self._present.pop(key, None)
        self._absent.pop(key, None)
        entries, capacity = (
            (self._absent, self._negative_capacity) if value is None else (self._present, self._capacity)
        )
        entries[key] = _Entry(value, self._clock() + fresh_for)
        if len(entries) > capacity:
            entries.popitem(last=False)

    async def _cached(self, key: str) -> _Copy[V] | None:
        if self._cache is None or key in self._doubted:
            return None
        raw = await self._cache.get(f"{self._name}:{key}")
        if raw is None:
            return None
        try:
            version, stamp, named, payload = raw.split(b"\n", 3)
            if version != _VERSION or named != key.encode() or int(stamp) < self._oldest_good(key):
                return None
            return _Copy(self._decode(payload), int(stamp), _Source.CACHE)
        except ValueError as fault:
            self._tell_undecodable(fault)
            return None

    async def _share(self, key: str, copy: _Copy[V]) -> None:
        if self._cache is None or copy.value is None:
            return
        head = b"%b\n%d\n%b\n" % (_VERSION, copy.stamp, key.encode())
        await self._cache.set(f"{self._name}:{key}", head + self._encode(copy.value), CACHE_TTL)

    def _tell_undecodable(self, fault: ValueError) -> None:
        if not self._told_undecodable:
            self._told_undecodable = True
            # Not the fault's text: it may quote the value.
            _log.warning("cached values cannot be read", lookup=self._name, fault=type(fault).__name__)
