"""The parts of a worker's edge, joined: ways outside, what explains, what client connections share."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from router.console.inquiry import Explainer, Inquiry
from router.edge.answers import Answers
from router.edge.deadlines import NEAREST, Deadlines
from router.edge.dial import NAME_SHARE
from router.edge.foresight import foresee
from router.edge.house import House
from router.edge.knock import Knocking
from router.edge.limits import Limits
from router.edge.name_servers import NameServers
from router.edge.pool import UpstreamPools
from router.edge.probe import Probes
from router.edge.reception import Reception
from router.edge.resolver import Resolver
from router.edge.routes import Routes
from router.edge.tunnel import Tunnels
from router.identity.assertion import Assertions
from router.observe.logs import AccessLog
from router.observe.tasks import Tasks
from router.tenants.upstream_address import default_upstreams, refused

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from router.certificates.folder import CertificateFolder
    from router.console.diagnosis import Fault
    from router.console.inquiry import Certificates
    from router.edge.dial import Forbidden
    from router.observe.health import Health
    from router.portal.error_pages import ErrorPages
    from router.rooms import Rooms, Storage
    from router.settings import Settings
    from router.tenants.registry import Registry
    from router.tenants.tenant import Upstream


@dataclass(frozen=True, slots=True)
class Outside:
    """The ways to upstreams; ``default_upstreams`` are the platform's.

    ``forbidden`` says of every address, whoever dials it, whether the settings let nobody go there.
    """

    limits: Limits
    deadlines: Deadlines
    tasks: Tasks
    resolver: Resolver
    forbidden: Forbidden
    pools: UpstreamPools
    default_upstreams: tuple[Upstream, ...]


def join_outside(settings: Settings) -> Outside:
    """Make the ways to upstreams. Raises ``BadSettings`` (a default upstream)."""
    limits, tasks = _limits(settings), Tasks()
    deadlines = Deadlines(nearest=min(limits.shortest_wait, NEAREST))
    names = NameServers(settings.resolvers, patience=settings.connect_timeout * NAME_SHARE)
    resolver = Resolver(names, tasks)
    forbidden = partial(refused, allow_private=settings.allow_private_upstreams)
    pools = UpstreamPools(
        limits,
        deadlines,
        resolver=resolver,
        platform_domain=settings.platform_domain,
        forbidden=forbidden,
    )
    defaults = default_upstreams(settings.default_upstreams, allow_private=settings.allow_private_upstreams)
    return Outside(limits, deadlines, tasks, resolver, forbidden, pools, defaults)


def join_explainer(
    settings: Settings,
    outside: Outside,
    registry: Registry,
    kept: Certificates | Fault,
    folder: CertificateFolder,
) -> Explainer:
    """Make what explains: it asks as handshakes and visits do, by the same ways."""
    knocking = Knocking(
        outside.resolver,
        outside.forbidden,
        patience=settings.connect_timeout,
        default_upstreams=outside.default_upstreams,
    )
    inquiry = Inquiry(
        registry,
        kept,
        folder,
        knocking.knock,
        folder_path=settings.certs_dir,
        platform_domain=settings.platform_domain,
        admin_hostname=settings.admin_hostname,
    )
    return Explainer(inquiry, partial(foresee, admin_port=settings.admin_port))


def join_house(
    settings: Settings,
    storage: Storage,
    rooms: Rooms,
    outside: Outside,
    health: Health,
    error_pages: ErrorPages,
    planes: tuple[str, str],
    stack: AsyncExitStack,
) -> House:
    """Join what the edge's connections share; ``planes`` are the sockets of portal and console."""
    pools, deadlines, tasks = outside.pools, outside.deadlines, outside.tasks
    tunnels = Tunnels(rooms.sessions, deadlines, tasks)
    storage.feed.subscribe("session", lambda key, _sequence: tunnels.end_session(key))
    storage.feed.subscribe_reset(tunnels.close_all)  # whose session ended is not known: all connect anew
    stack.callback(pools.abort_all)
    routes = Routes(
        pools,
        Probes(tasks),
        rooms.rates,
        Assertions(rooms.signing_keys, f"https://{settings.platform_domain}"),
        portal=pools.own(planes[0]),
        console=pools.own(planes[1]),
        public_port=settings.public_port,
        default_upstreams=outside.default_upstreams,
    )
    answers = Answers(error_pages, public_port=settings.public_port, console_port=settings.console_port)
    admin = settings.admin_hostname
    reception = Reception(
        rooms.directory,
        rooms.sessions,
        routes,
        health,
        answers,
        admin_hostname=admin,
        admin_networks=settings.admin_networks,
        admin_port=settings.admin_port,
    )
    access_log = AccessLog(sys.stdout.fileno()) if settings.access_log else None
    if access_log is not None:
        stack.push_async_callback(access_log.close)
    return House(reception, tunnels, deadlines, outside.limits, tasks, access_log, storage.traffic)


def _limits(settings: Settings) -> Limits:
    return Limits(
        head_timeout=settings.head_timeout,
        idle_timeout=settings.idle_timeout,
        connect_timeout=settings.connect_timeout,
        answer_timeout=settings.answer_timeout,
        min_body_rate=settings.min_body_rate,
        stall_timeout=settings.stall_timeout,
        max_connections=settings.max_connections,
        max_connections_per_address=settings.max_connections_per_address,
        max_handshakes=settings.max_handshakes,
        max_requests_per_connection=settings.max_requests_per_connection,
        max_upstream_connections=settings.max_upstream_connections,
        upstream_queue=settings.upstream_queue,
    )
