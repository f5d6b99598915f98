"""Reception: finds the tenant and the session of a visit, decides, and says what to do about it.

All that a client protocol needs to know of the rest of the house. What is in memory is found at once, without
a task; only a miss awaits.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, assert_never

import structlog

from router.edge.decide import (
    TENANTLESS,
    ChooseCustomer,
    Decision,
    Forward,
    Refuse,
    SignIn,
    TellHealth,
    ToConsole,
    ToHttps,
    ToPortal,
    decide,
    decide_console,
)
from router.edge.visit import Door, console_door
from router.errors import Unavailable
from router.identity.throttle import network_of
from router.storage.lookup import PENDING
from router.storage.waiting_room import BUSY

if TYPE_CHECKING:
    from router.edge.answers import Answer, Answers
    from router.edge.exchange import Route
    from router.edge.routes import Routes
    from router.edge.visit import Network, Visit
    from router.hostname import Hostname
    from router.identity.session import Session
    from router.identity.sessions import Sessions
    from router.observe.health import Health
    from router.tenants.directory import Directory
    from router.tenants.tenant import Tenant

_log = structlog.get_logger(__name__)


class Reception:
    """Receives visits. ``admin_hostname`` is the console's, whatever the directory may say of it.

    ``admin_networks`` are where that may be reached from, if not from everywhere; ``admin_port`` is the port
    that it has for itself, if it has one.
    """

    def __init__(
        self,
        directory: Directory,
        sessions: Sessions,
        routes: Routes,
        health: Health,
        answers: Answers,
        *,
        admin_hostname: Hostname,
        admin_networks: tuple[Network, ...] = (),
        admin_port: int | None = None,
    ) -> None:
        self._directory = directory
        self._sessions = sessions
        self._routes = routes
        self._health = health
        self._answers = answers
        self._admin_hostname = admin_hostname
        self._admin_networks = admin_networks
        self._console_door = console_door(admin_port)

    def receive(self, visit: Visit) -> Route | Answer | None:
        """Say what to do about a visit; none when that takes a look below memory: ``await admit(visit)``."""
        if visit.hostname == self._admin_hostname:
            decision = decide_console(visit, self._admin_networks, self._console_door)
            return self._carry_out(decision, visit, time.time())
        # Whoever asks there asks of no tenant, by whatever name: the database is left out of it.
        hostname = visit.hostname if visit.door not in TENANTLESS else None
        tenant = self._directory.peek(hostname) if hostname is not None else None
        if tenant is PENDING:
            return None
        token = visit.cookies.token if visit.cookies is not None else None
        session = self._sessions.peek(token) if token is not None and tenant is not None else None
        if session is PENDING:
            return None
        now = time.time()
        return self._carry_out(decide(visit, tenant, session, now), visit, now)

    async def admit(self, visit: Visit) -> Route | Answer:
        """The same, for what is not in memory.

        A database that is away makes it a 503, and so do too many strangers who are looked for already.
        """
        asker = network_of(visit.client)
        tenant = session = None
        try:
            if visit.hostname is not None:
                tenant = await self._directory.find(visit.hostname, asker)
            token = visit.cookies.token if visit.cookies is not None else None
            if token is not None and tenant is not None:
                session = await self._sessions.find(token, asker)
        except Unavailable as fault:
            if fault.code != BUSY:
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

    def used(self, session: Session) -> None:
        """Note that a session is in use, by something other than a visit."""
        self._sessions.touch(session, time.time())

    def _carry_out(self, decision: Decision, visit: Visit, now: float) -> Route | Answer:
        match decision:
            case Forward(tenant, session):
                return self._forward(tenant, session, visit, now)
            case ToPortal() | ToConsole():
                return self._to_plane(decision, visit)
            case SignIn() | ChooseCustomer():
                return self._answers.to_own_page(decision, visit)
            case Refuse():
                return self._answers.error(decision, visit)
            case TellHealth(readiness):
                details = visit.door is Door.HEALTH  # on the others, anybody may be asking
                health = self._health.readiness(details=details) if readiness else self._health.live()
                return self._answers.health(health)
            case ToHttps():
                return self._answers.to_https(decision, visit)
            case _:
                assert_never(decision)

    def _to_plane(self, decision: ToPortal | ToConsole, visit: Visit) -> Route | Answer:
        if isinstance(decision, ToPortal):
            return self._routes.to_portal(decision.tenant, visit)
        route = self._routes.to_console(visit)
        return self._answers.error(route, visit) if isinstance(route, Refuse) else route

    def _forward(self, tenant: Tenant, session: Session | None, visit: Visit, now: float) -> Route | Answer:
        route = self._routes.to_upstream(tenant, session, visit, now)
        if isinstance(route, Refuse):
            return self._answers.error(route, visit)
        if session is not None:
            self._sessions.touch(session, now)
        return route
