"""Routes: the way of a visit that is to be forwarded, and what goes along with it.

To a tenant's upstreams with who is asking, or to our own portal with what only the edge knows.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from router.edge.balance import Turns
from router.edge.decide import Refuse
from router.edge.exchange import Route
from router.edge.headers import encode_value, fields_of_the_host, forwarded_lines, identity_lines
from router.edge.probe import host_asked_for
from router.errors import Unavailable
from router.hostname import port_suffix
from router.tenants.tenant import Forwarding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.edge.pool import UpstreamPool, UpstreamPools
    from router.edge.probe import Probes
    from router.edge.rates import Rates
    from router.edge.visit import Visit
    from router.identity.assertion import Assertions
    from router.identity.session import Session
    from router.tenants.tenant import Tenant, Upstream

_log = structlog.get_logger(__name__)

_MAX_IDENTITIES = 4096
_OWN_WAY = Forwarding()
_CONSOLE_WAY = Forwarding(max_body=3 << 20)
"""A logo has two MiB at most; the console says of each call how much it takes."""


def _own_way(tenant: Tenant) -> Forwarding:
    fields = tenant.forwarding.answer_fields
    return Forwarding(answer_fields=fields_of_the_host(fields)) if fields else _OWN_WAY


class Routes:
    """Finds the route of a visit.

    ``public_port`` is the HTTPS port as customers see it; ``default_upstreams`` serve the tenants that have
    none of their own.
    """

    def __init__(
        self,
        pools: UpstreamPools,
        probes: Probes,
        rates: Rates,
        assertions: Assertions,
        *,
        portal: UpstreamPool,
        console: UpstreamPool,
        public_port: int,
        default_upstreams: tuple[Upstream, ...] = (),
    ) -> None:
        self._pools = pools
        self._probes = probes
        self._rates = rates
        self._assertions = assertions
        self._portal = (portal,)
        self._console = (console,)
        self._port = str(public_port).encode()
        self._port_suffix = port_suffix(public_port).encode()
        self._default_upstreams = default_upstreams
        self._turns = Turns()
        self._identities: dict[str, bytes] = {}

    def to_portal(self, tenant: Tenant, visit: Visit) -> Route:
        """To our own pages, which see our own cookies."""
        cookies = visit.cookies.line if visit.cookies is not None else None
        named = b"X-Router-Tenant: %b\r\n" % encode_value(tenant.id)
        return Route(self._portal, named + self._own_lines(visit), cookies, tenant, _own_way(tenant))

    def to_console(self, visit: Visit) -> Route | Refuse:
        """To the console, which sees its own cookies: they are for its hostname alone."""
        if visit.body > _CONSOLE_WAY.max_body:
            return Refuse(413, "body_too_large", close=True)
        cookies = visit.cookies.line if visit.cookies is not None else None
        return Route(self._console, self._own_lines(visit), cookies, None, _CONSOLE_WAY)

    def to_upstream(
        self, tenant: Tenant, session: Session | None, visit: Visit, now: float
    ) -> Route | Refuse:
        """To the tenant's upstreams, within its limits; ``session`` is none on a public path."""
        upstreams, forwarding = tenant.upstreams or self._default_upstreams, tenant.forwarding
        if not upstreams:
            return Refuse(502, "upstream_missing", tenant)
        if 0 < forwarding.max_body < visit.body:
            return Refuse(413, "body_too_large", tenant, close=True)
        limit = forwarding.requests_per_second
        if limit and not self._rates.admits(tenant.id, limit):
            return Refuse(429, "too_many_requests", tenant)
        forwarded = forwarded_lines(visit.client, visit.host, self._port)
        added = b"%bX-Request-Id: %b\r\n" % (forwarded, visit.id.encode())
        if session is not None:
            try:
                added += self._identity(session, tenant, upstreams[0].url, visit, now)
            except Unavailable as fault:
                _log.error("no assertion could be signed", visit=visit.id, code=fault.code)
                return Refuse(503, "storage_unavailable", tenant)
        cookies = visit.cookies.passed_on if visit.cookies is not None else None
        pools = self._choose(tenant, upstreams, visit, session)
        return Route(pools, added, cookies, tenant, forwarding, session)

    def _choose(
        self, tenant: Tenant, upstreams: tuple[Upstream, ...], visit: Visit, session: Session | None
    ) -> Sequence[UpstreamPool]:
        """The pools to try, in order: those that stand well, or all of them when none does."""
        forwarding = tenant.forwarding
        ca = forwarding.upstream_ca
        if len(upstreams) == 1 and not forwarding.health_path:
            return (self._pools.find(upstreams[0].url, ca),)
        pairs = [(upstream, self._pools.find(upstream.url, ca)) for upstream in upstreams]
        now = time.monotonic()
        well = [pair for pair in pairs if pair[1].standing.admits(now)]
        if forwarding.health_path:
            checked_well = [pool for _, pool in pairs if self._is_well(tenant, pool)]
            well = [pair for pair in well if pair[1] in checked_well]
        order = self._turns.order(
            tenant.id,
            forwarding.balance,
            well or pairs,
            name=lambda pair: pair[0].url,
            weight=lambda pair: pair[0].weight,
            busy=lambda pair: pair[1].busy,
            key=session.key if session is not None else visit.client,
        )
        return [pool for _, pool in order]

    def _is_well(self, tenant: Tenant, pool: UpstreamPool) -> bool:
        """What the tenant's check says."""
        host = host_asked_for(tenant, pool, self._port_suffix)
        return self._probes.watch(pool, tenant.forwarding, host)

    def _identity(self, session: Session, tenant: Tenant, audience: str, visit: Visit, now: float) -> bytes:
        """The identity header lines, made once for each assertion, which lasts for many visits.

        The audience is the first of the tenant's upstreams, whichever of them answers: they are one service.
        """
        assertion = self._assertions.find(session, tenant.slug, audience, str(visit.hostname), now)
        lines = self._identities.get(assertion)
        if lines is None:
            if len(self._identities) >= _MAX_IDENTITIES:
                self._identities.clear()
            lines = self._identities[assertion] = identity_lines(
                tenant=tenant.slug,
                user=session.user_id,
                email=session.email,
                customer=session.customer,
                assertion=assertion,
            )
        return lines

    def _own_lines(self, visit: Visit) -> bytes:
        """What only the edge knows, for our own planes."""
        return b"".join(
            b"%b: %b\r\n" % line
            for line in (
                (b"X-Router-Host", visit.host),  # with the port of the door that it came by
                (b"X-Router-Client", visit.client.encode()),
                (b"X-Router-Scheme", b"https"),
                (b"X-Router-Request-Id", visit.id.encode()),
            )
        )
