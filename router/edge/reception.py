"""Reception: finds the tenant and the session of a visit, decides, and says what to do about it.

All that a client protocol needs to know of the rest of the house. What is in memory is found at once, without
a task; only a miss awaits.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, assert_never

import structlog

from router.edge.decide import Decision, Forward, Refuse, SignIn, TellHealth, ToHttps, ToPortal, decide
from router.edge.exchange import Route
from router.edge.headers import encode_value, forwarded_lines, identity_lines
from router.errors import Unavailable
from router.storage.lookup import PENDING

if TYPE_CHECKING:
    from router.edge.answers import Answer, Answers
    from router.edge.pool import UpstreamPool, UpstreamPools
    from router.edge.visit import Visit
    from router.identity.assertion import Assertions
    from router.identity.session import Session
    from router.identity.sessions import Sessions
    from router.observe.health import Health
    from router.tenants.directory import Directory
    from router.tenants.tenant import Tenant

_log = structlog.get_logger(__name__)

_MAX_IDENTITIES = 4096


class Reception:
    """Receives visits. ``public_port`` is the HTTPS port as customers see it."""

    def __init__(
        self,
        *,
        directory: Directory,
        sessions: Sessions,
        assertions: Assertions,
        health: Health,
        answers: Answers,
        pools: UpstreamPools,
        portal: UpstreamPool,
        public_port: int,
    ) -> None:
        self._directory = directory
        self._sessions = sessions
        self._assertions = assertions
        self._health = health
        self._answers = answers
        self._pools = pools
        self._portal = portal
        self._port = str(public_port).encode()
        self._port_suffix = b"" if public_port == 443 else b":" + self._port  # noqa: PLR2004 - https (RFC 9110)
        self._identities: dict[str, bytes] = {}

    def receive(self, visit: Visit) -> Route | Answer | None:
        """Say what to do about a visit; none when that takes a look below memory: ``await admit(visit)``."""
        tenant = self._directory.peek(visit.hostname) if visit.hostname is not None else None
        if tenant is PENDING:
            return None
        token = visit.cookies.token if visit.cookies is not None else None
        session = self._sessions.peek(token) if token is not None and tenant is not None else None
        if session is PENDING:
            return None
        now = time.time()
        return self._carry_out(decide(visit, tenant, session, now), visit, now)

    async def admit(self, visit: Visit) -> Route | Answer:
        """The same, for what is not in memory. A database that is away makes it a 503."""
        tenant = session = None
        try:
            if visit.hostname is not None:
                tenant = await self._directory.find(visit.hostname)
            token = visit.cookies.token if visit.cookies is not None else None
            if token is not None and tenant is not None:
                session = await self._sessions.find(token)
        except Unavailable as fault:
            _log.warning("a visit could not be looked up", visit=visit.id, code=fault.code)
            return self._answers.error(Refuse(503, "storage_unavailable", tenant), visit)
        now = time.time()
        return self._carry_out(decide(visit, tenant, session, now), visit, now)

    def error(self, status: int, code: str, visit: Visit, tenant: Tenant | None) -> Answer:
        """An error that came up after the decision."""
        return self._answers.error(Refuse(status, code, tenant), visit)

    def refused(self, status: int, code: str) -> Answer:
        """An answer to what was no visit at all."""
        return self._answers.refused(status, code)

    def _carry_out(self, decision: Decision, visit: Visit, now: float) -> Route | Answer:
        match decision:
            case Forward(tenant, session):
                return self._forward(tenant, session, visit, now)
            case ToPortal(tenant):
                cookies = visit.cookies.line if visit.cookies is not None else None
                return Route(self._portal, self._portal_lines(visit, tenant), cookies, tenant)
            case SignIn():
                return self._answers.sign_in(decision)
            case Refuse():
                return self._answers.error(decision, visit)
            case TellHealth(readiness):
                return self._answers.health(self._health.readiness() if readiness else self._health.live())
            case ToHttps():
                return self._answers.to_https(visit)
            case _:
                assert_never(decision)

    def _forward(self, tenant: Tenant, session: Session | None, visit: Visit, now: float) -> Route | Answer:
        if not tenant.upstreams:
            return self._answers.error(Refuse(502, "upstream_missing", tenant), visit)
        url = tenant.upstreams[0].url
        added = b"%bX-Request-Id: %b\r\n" % (
            forwarded_lines(visit.client, visit.host, self._port),
            visit.id.encode(),
        )
        if session is not None:
            try:
                added += self._identity(session, tenant, url, visit, now)
            except Unavailable as fault:
                _log.error("no assertion could be signed", visit=visit.id, code=fault.code)
                return self._answers.error(Refuse(503, "storage_unavailable", tenant), visit)
            self._sessions.touch(session, now)
        cookies = visit.cookies.passed_on if visit.cookies is not None else None
        return Route(self._pools.find(url), added, cookies, tenant, session)

    def _identity(self, session: Session, tenant: Tenant, audience: str, visit: Visit, now: float) -> bytes:
        """The identity header lines, made once for each assertion, which lasts for many visits."""
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

    def _portal_lines(self, visit: Visit, tenant: Tenant) -> bytes:
        """What only the edge knows, for our own planes."""
        return b"".join(
            b"%b: %b\r\n" % line
            for line in (
                (b"X-Router-Tenant", encode_value(tenant.id)),
                (b"X-Router-Host", str(visit.hostname).encode() + self._port_suffix),
                (b"X-Router-Client", visit.client.encode()),
                (b"X-Router-Scheme", b"https"),
                (b"X-Router-Request-Id", visit.id.encode()),
            )
        )
