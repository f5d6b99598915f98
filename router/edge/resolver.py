"""Resolver: the name of an upstream → its addresses, for as long as its name servers say.

What is known answers at once. What has run out is asked for again in the background while it is used: for
a moment the former answer serves, after that whoever asks waits for the new one. The last good answer serves
for an hour when the name servers fail. A visit that finds an idle connection passes by all of this.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final

import structlog

from router.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.edge.name_servers import Found, NameServers
    from router.observe.tasks import Tasks

_log = structlog.get_logger(__name__)

_SHORTEST: Final = 1.0
_LONGEST: Final = 300.0
"""Seconds for which an answer is taken to be good, whatever its time to live."""

_AT_ONCE: Final = 10.0
"""Seconds after that in which it still serves, while a new one is on its way."""

_LAST_GOOD: Final = 3600.0
"""Seconds after which an answer serves no longer, even if no other can be had (RFC 8767)."""

_RETRY: Final = 5.0
_NEGATIVE: Final = 5.0
_UNANSWERED: Final = 2.0
_MOST_NAMES: Final = 10_000
_LOOK_UPS: Final = 64
_DOUBTFUL_LOOK_UPS: Final = 8
_MOST_FLIGHTS: Final = 1_000


@dataclass(slots=True, eq=False)
class _Known:
    """What is known of a name: addresses, or the code and sentence that say why there are none.

    Times are monotonic: fresh until then; good enough to be used at once; and as the last good one.
    ``answered`` says whether the last look-up was answered at all.
    """

    v4: tuple[str, ...] = ()
    v6: tuple[str, ...] = ()
    fault: tuple[str, str] | None = None
    asked_at: float = 0.0
    fresh_until: float = 0.0
    at_once_until: float = 0.0
    good_until: float = 0.0
    answered: bool = True
    turn: int = 0

    @property
    def addresses(self) -> tuple[str, ...]:
        return self.v4 + self.v6

    def in_turn(self) -> list[str]:
        """The addresses in the order of trying: another one first each time, IPv4 and IPv6 alternating."""
        self.turn += 1
        kinds = _rotated(self.v4, self.turn), _rotated(self.v6, self.turn)
        return [each for each in chain.from_iterable(zip_longest(*kinds)) if each is not None]


def _rotated(addresses: tuple[str, ...], turn: int) -> tuple[str, ...]:
    first = turn % len(addresses) if addresses else 0
    return addresses[first:] + addresses[:first]


class Resolver:
    """Name → addresses. One look-up at a time for each name, a bounded number of them at once.

    Names whose servers did not answer the last time wait in a line of their own, so that a tenant whose name
    servers hang delays nobody else's. ``clock`` is monotonic.
    """

    def __init__(
        self, name_servers: NameServers, tasks: Tasks, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name_servers = name_servers
        self._tasks = tasks
        self._clock = clock
        self._names: OrderedDict[str, _Known] = OrderedDict()
        self._flights: dict[str, asyncio.Task[_Known]] = {}
        self._room = asyncio.Semaphore(_LOOK_UPS)
        self._doubtful_room = asyncio.Semaphore(_DOUBTFUL_LOOK_UPS)

    def __repr__(self) -> str:
        return f"<Resolver {len(self._names)} names, {len(self._flights)} look-ups>"

    async def find(self, host: str) -> list[str]:
        """The addresses of a host, a name or an IP literal, in the order in which to try them.

        Raises ``Unavailable``: ``name_unknown`` or ``name_unanswered``.
        """
        if is_literal(host):
            return [host]
        known = self._names.get(host)
        if known is None or self._clock() >= known.at_once_until:
            known = await asyncio.shield(self._look_up(host))
        elif self._clock() >= known.fresh_until:
            self._look_up_some_time(host)
        if known.fault is not None:
            raise Unavailable(*known.fault)
        return known.in_turn()

    def peek(self, host: str) -> tuple[str, ...] | None:
        """Tell from memory where a name leads, empty for nowhere; None when that is not known, or no name.

        A name that is watched so is looked up again in the background when its answer has run out.
        """
        known = self._names.get(host)
        if known is None:
            return None
        if self._clock() >= known.fresh_until:
            self._look_up_some_time(host)
        return known.addresses if known.answered or known.fault is None else None

    def is_looking_up(self, host: str) -> bool:
        """Whether a look-up of this name is under way."""
        return host in self._flights

    def doubt(self, host: str) -> bool:
        """Take what is known for run out, because nobody was met there; at most once a second for a name.

        Docker's name server says “600 seconds” of containers that are replaced any time. Answers whether the
        next :meth:`find` asks anew.
        """
        known, now = self._names.get(host), self._clock()
        if known is None or now < known.asked_at + _SHORTEST or not known.answered:
            return False
        known.fresh_until = known.at_once_until = now
        return True

    def _look_up(self, name: str) -> asyncio.Task[_Known]:
        flight = self._flights.get(name)
        if flight is None:
            if len(self._flights) >= _MOST_FLIGHTS:
                raise Unavailable("name_unanswered", "Too many names are being looked up.")
            flight = self._flights[name] = self._tasks.start(self._fly(name), name="look up a name")
        return flight

    def _look_up_some_time(self, name: str) -> None:
        with suppress(Unavailable):  # the next who uses the name tries again
            self._look_up(name)

    async def _fly(self, name: str) -> _Known:
        former = self._names.get(name)
        room = self._room if former is None or former.answered else self._doubtful_room
        try:
            known = self._taken_in(await self._asked(name, room))
        except Unavailable as fault:
            known = self._failed(name, former, fault)
        finally:
            del self._flights[name]
        self._names.pop(name, None)
        self._names[name] = known
        if len(self._names) > _MOST_NAMES:
            self._names.popitem(last=False)
        if former is not None and known.answered and not former.answered:
            _log.info("name servers answer again", name=name)
        return known

    async def _asked(self, name: str, room: asyncio.Semaphore) -> Found:
        try:
            async with asyncio.timeout(self._name_servers.patience), room:
                return await self._name_servers.look_up(name)
        except TimeoutError as fault:
            raise Unavailable("name_unanswered", f"The name servers do not answer for {name}.") from fault

    def _taken_in(self, found: Found) -> _Known:
        now = self._clock()
        fresh_until = now + min(max(found.ttl, _SHORTEST), _LONGEST)
        return _Known(
            found.v4,
            found.v6,
            asked_at=now,
            fresh_until=fresh_until,
            at_once_until=fresh_until + _AT_ONCE,
            good_until=now + _LAST_GOOD,
        )

    def _failed(self, name: str, former: _Known | None, fault: Unavailable) -> _Known:
        """Make the best of a look-up without addresses: if it was not answered, of the last good ones."""
        now, answered = self._clock(), fault.code == "name_unknown"
        bridged = not answered and former is not None and now < former.good_until
        if not answered and (former is None or former.answered):
            _log.warning(
                "name servers do not answer", name=name, cause=fault.sentence, last_good_serves=bridged
            )
        if bridged and former is not None:
            former.answered = False
            former.asked_at, former.fresh_until, former.at_once_until = now, now + _RETRY, former.good_until
            return former
        until = now + (_NEGATIVE if answered else _UNANSWERED)
        told = (fault.code, fault.sentence)
        return _Known(fault=told, asked_at=now, fresh_until=until, at_once_until=until, answered=answered)


def is_literal(host: str) -> bool:
    """Whether a host is an IP address already."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
