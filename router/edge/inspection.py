"""Inspection: ask a tenant's upstreams how they are, now, for an operator who looks at them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from router.edge.probe import Probe, host_asked_for
from router.errors import Unavailable
from router.observe.upstreams import UpstreamHealth

if TYPE_CHECKING:
    from router.edge.pool import UpstreamPools
    from router.tenants.tenant import Tenant, Upstream

_FAULTS: Final = {
    "upstream_busy": "All of its connections are in use.",
    "upstream_forbidden": "Its address is one that upstreams may not have here.",
    "upstream_unreachable": "It cannot be reached.",
}
_SILENT: Final = "It did not answer in time."


class Inspection:
    """Looks at upstreams over the connections that visits use; ``default_upstreams`` are the platform's."""

    def __init__(
        self, pools: UpstreamPools, *, port_suffix: bytes, default_upstreams: tuple[Upstream, ...] = ()
    ) -> None:
        self._pools = pools
        self._port_suffix = port_suffix
        self._default_upstreams = default_upstreams

    async def look(self, tenant: Tenant) -> tuple[UpstreamHealth, ...]:
        """Ask every upstream of a tenant at the same time; in the order of its settings.

        Each has five seconds, and is asked for the path of the tenant's check, or else for ``/``.
        """
        upstreams = tenant.upstreams or self._default_upstreams
        async with asyncio.TaskGroup() as asking:
            tasks = [asking.create_task(self._ask(tenant, upstream)) for upstream in upstreams]
        return tuple(task.result() for task in tasks)

    async def _ask(self, tenant: Tenant, upstream: Upstream) -> UpstreamHealth:
        forwarding, pool = tenant.forwarding, self._pools.find(upstream.url, tenant.forwarding.upstream_ca)
        passed_over, busy = not pool.standing.admits(time.monotonic()), pool.busy
        path, began = forwarding.health_path or "/", time.monotonic()
        status, fault = None, ""
        try:
            status = await Probe().ask(pool, path, host_asked_for(tenant, pool, self._port_suffix))
        except Unavailable as away:
            fault = _FAULTS.get(away.code, "It broke off before it answered.")
        except TimeoutError:
            fault = _SILENT
        return UpstreamHealth(
            url=upstream.url,
            weight=upstream.weight,
            passed_over=passed_over,
            busy=busy,
            path=path,
            expected=forwarding.health_status if forwarding.health_path else None,
            status=status,
            milliseconds=None if status is None else round((time.monotonic() - began) * 1000, 1),
            fault=fault,
        )
