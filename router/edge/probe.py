"""Probe: ask an upstream how it is, over the same connections that visits use.

Checks run while a tenant is visited, and ten minutes longer: with a hundred thousand tenants nobody wants
them all asked all day.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import structlog

from router.errors import Unavailable

if TYPE_CHECKING:
    from router.edge.answer_head import AnswerHead
    from router.edge.headers import Header
    from router.edge.pool import UpstreamPool
    from router.observe.tasks import Tasks
    from router.tenants.tenant import Forwarding

_log = structlog.get_logger(__name__)

_WATCHED_FOR: Final = 600.0
_PATIENCE: Final = 5.0


class Probe:
    """One question to an upstream. Implements ``upstream.Visitor``; only the status matters."""

    def __init__(self) -> None:
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def ask(self, pool: UpstreamPool, path: str, host: bytes) -> int:
        """The status that ``path`` answers. Raises ``Unavailable`` and ``TimeoutError``."""
        async with asyncio.timeout(_PATIENCE):
            connection = pool.take() or await pool.connect()
            try:
                head = (
                    b"GET %b%b HTTP/1.1\r\nHost: %b\r\nUser-Agent: tenant-router\r\nConnection: close\r\n\r\n"
                )
                connection.send(self, head % (pool.target.prefix, path.encode(), host), to_head=False)
                return await self._status
            finally:
                connection.abort()

    def answer(self, head: AnswerHead) -> None:
        """Take the status; the rest is of no interest."""
        if not head.interim and not self._status.done():
            self._status.set_result(head.status)

    def answer_data(self, data: bytes) -> None:
        """Throw the body away."""

    def answer_end(self, trailers: list[Header]) -> None:
        """Nothing is waited for."""

    def answer_pause(self) -> None:
        """Nothing is held."""

    def upstream_lost(self, reason: str) -> None:
        """Say so to whoever asks."""
        if not self._status.done():
            self._status.set_exception(Unavailable("upstream_broke_off", reason))

    def upstream_full(self, *, full: bool) -> None:
        """A question is too small to wait for room."""


_Key: TypeAlias = tuple[str, str, str, int, int]
"""URL and trust, which make a pool; path, interval and expected status, which make a check."""


@dataclass(slots=True, eq=False)
class _Watch:
    pool: UpstreamPool
    last_visit: float


class Probes:
    """The checks that are running, one for each upstream and way to check it."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._watched: dict[_Key, _Watch] = {}

    def watch(self, pool: UpstreamPool, forwarding: Forwarding, host: bytes) -> None:
        """Note a visit to ``pool``; begin to check it if its tenant wants that and nobody does yet."""
        key = (
            pool.target.url,
            pool.target.ca,
            forwarding.health_path,
            forwarding.health_interval,
            forwarding.health_status,
        )
        watch = self._watched.get(key)
        if watch is None:
            watch = self._watched[key] = _Watch(pool, 0.0)
            self._tasks.start(self._check(key, watch, host), name="check an upstream")
        watch.pool, watch.last_visit = pool, time.monotonic()

    async def _check(self, key: _Key, watch: _Watch, host: bytes) -> None:
        url, _, path, interval, wanted = key
        try:
            watch.last_visit = time.monotonic()
            while time.monotonic() < watch.last_visit + _WATCHED_FOR:
                well = await _is_well(watch.pool, path, host, wanted)
                if well != watch.pool.standing.checked_well:
                    _log.warning(
                        "upstream is well again" if well else "upstream fails its check", upstream=url
                    )
                    watch.pool.standing.checked_well = well
                await asyncio.sleep(interval)
        finally:
            watch.pool.standing.checked_well = True
            del self._watched[key]


async def _is_well(pool: UpstreamPool, path: str, host: bytes, wanted: int) -> bool:
    try:
        return await Probe().ask(pool, path, host) == wanted
    except (Unavailable, TimeoutError):
        return False
