"""Probe: ask an upstream how it is, over the same connections that visits use.

Checks run while a tenant is visited, and ten minutes longer: with a hundred thousand tenants nobody wants
them all asked all day.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from router.errors import Unavailable

if TYPE_CHECKING:
    from router.edge.answer_head import AnswerHead
    from router.edge.headers import Header
    from router.edge.pool import UpstreamPool
    from router.observe.tasks import Tasks
    from router.tenants.tenant import Forwarding, Tenant

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


def host_asked_for(tenant: Tenant, pool: UpstreamPool, port_suffix: bytes) -> bytes:
    """Name the Host that a question to an upstream is for: that of the tenant's visits, in one spelling."""
    own = str(tenant.hostname).encode() + port_suffix
    return own if tenant.forwarding.keep_host else pool.target.authority


class _Check(NamedTuple):
    """How an upstream is checked: tenants that want the same of the same one share a check and its outcome.

    A plain tuple, because one is made for each visit.
    """

    url: str
    ca: str
    host: bytes
    path: str
    status: int
    interval: int


@dataclass(slots=True, eq=False)
class _Watch:
    """A check that is running; ``well`` is its latest outcome, and the benefit of the doubt before."""

    pool: UpstreamPool
    last_visit: float
    well: bool = True


class Probes:
    """The checks that are running, one for each upstream and way to check it."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._watched: dict[_Check, _Watch] = {}

    def __repr__(self) -> str:
        return f"<Probes {len(self._watched)} checks>"

    def watch(self, pool: UpstreamPool, forwarding: Forwarding, host: bytes) -> bool:
        """Note a visit to ``pool``; tell whether it is well by the tenant's check, which begins now if new.

        ``host`` is whom the check asks for. What it says counts for nobody who checks in another way.
        """
        check = _Check(
            pool.target.url,
            pool.target.ca,
            host,
            forwarding.health_path,
            forwarding.health_status,
            forwarding.health_interval,
        )
        watch = self._watched.get(check)
        if watch is None:
            watch = self._watched[check] = _Watch(pool, 0.0)
            self._tasks.start(self._run(check, watch), name="check an upstream")
        watch.pool, watch.last_visit = pool, time.monotonic()
        return watch.well

    async def _run(self, check: _Check, watch: _Watch) -> None:
        try:
            while time.monotonic() < watch.last_visit + _WATCHED_FOR:
                well = await _is_well(watch.pool, check)
                if well != watch.well:
                    told = "upstream is well again" if well else "upstream fails its check"
                    _log.warning(told, upstream=check.url, host=check.host.decode("latin-1"), path=check.path)
                    watch.well = well
                await asyncio.sleep(check.interval)
        finally:
            del self._watched[check]


async def _is_well(pool: UpstreamPool, check: _Check) -> bool:
    try:
        return await Probe().ask(pool, check.path, check.host) == check.status
    except (Unavailable, TimeoutError):
        return False
