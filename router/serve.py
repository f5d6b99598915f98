"""One worker: the composition root, the only place that names concrete parts.

``assembled`` is the architecture on one screen: each part is made of those above it and ends before them.
Storage and the rooms are joined in rooms.py; worker.py is the process around it all.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from aiohttp import web
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from router.certificates.deployment import Deployment
from router.certificates.standings import Standings
from router.certificates.uploads import Uploads
from router.certificates.vault import Vault
from router.console.api.bearer import Bearer
from router.console.api.idempotency import Idempotency
from router.console.application import build_console
from router.console.budgets import Budgets
from router.console.operator_sessions import OperatorSessions
from router.console.operator_sign_in import OperatorSignIn
from router.console.operators import Operators
from router.console.token_finder import TokenFinder
from router.console.tokens import Tokens
from router.console.use_cases import UseCases
from router.edge.answers import Answers
from router.edge.deadlines import Deadlines
from router.edge.dial import NAME_SHARE
from router.edge.house import House
from router.edge.limits import Limits
from router.edge.listener import Edge
from router.edge.name_servers import NameServers
from router.edge.pool import UpstreamPools
from router.edge.probe import Probes
from router.edge.reception import Reception
from router.edge.resolver import Resolver
from router.edge.routes import Routes
from router.edge.tunnel import Tunnels
from router.identity.assertion import Assertions
from router.identity.errands import Errands
from router.identity.throttling import Throttle
from router.languages.texts import Languages
from router.mail.delivery import Delivery, prune
from router.mail.letters import Letters
from router.mail.queue import Queue
from router.mail.transports import sender_of, transport_of
from router.observe.health import Health
from router.observe.logs import AccessLog
from router.observe.tasks import Tasks
from router.portal.application import build_portal
from router.portal.error_pages import ErrorPages
from router.portal.images import Images
from router.portal.mails import Mails
from router.portal.rendering import Renderer
from router.portal.themes import Themes
from router.rooms import Rooms, Storage, join_checker, join_domains, join_expiry, join_rooms, open_storage
from router.storage.audit_trail import LEASE, LEASE_LIFE, AuditTrail
from router.storage.audit_trail import prune as prune_audit
from router.storage.leases import Lease
from router.storage.schema import new_id
from router.storage.traffic import TrafficClerk, TrafficLog
from router.storage.workers import Workers
from router.tenants.form import Offered
from router.tenants.registry import Registry
from router.tenants.rows import tenant_by_id
from router.tenants.upstream_address import default_upstreams, refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router.settings import Settings

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def assembled(settings: Settings) -> AsyncIterator[tuple[Edge, Health]]:
    """Join the parts of a worker; nothing listens to the world yet.

    Raises ``BadSettings`` (the encryption key, a theme, a catalogue, a default upstream, the mail server) and
    ``Unavailable`` (the database, a migration).
    """
    async with AsyncExitStack() as stack:
        storage = await open_storage(settings, stack)
        errands = await stack.enter_async_context(Errands())
        rooms = join_rooms(settings, storage, errands, stack)
        languages = Languages.load(settings.languages_dir)
        themes = Themes.load(settings.themes_dir, languages)
        renderer = Renderer(themes)
        portal_socket, error_pages = await _portal(storage, rooms, renderer, stack)
        tokens = TokenFinder(storage.database, storage.feed)
        stack.push_async_callback(tokens.close)
        console_socket = await _console(settings, storage, rooms, tokens, languages, _offered(themes), stack)
        health = _health(storage)
        delivery = _delivery(settings, storage, renderer, health)
        planes = (portal_socket, console_socket)
        house = _house(settings, storage, rooms, health, error_pages, planes, stack)
        await rooms.folder.look()
        await rooms.signing_keys.ensure(time.time())

        tasks = await stack.enter_async_context(house.tasks)
        _start_background(tasks, settings, storage, rooms)
        tasks.start(tokens.run(), name="uses of tokens")
        tasks.start(house.deadlines.run(), name="deadlines")
        if delivery is not None:
            tasks.start(delivery.run(), name="mails")

        edge = Edge(
            house,
            rooms.keyring,
            platform_domain=settings.platform_domain,
            admin_hostname=settings.admin_hostname,
            public_port=settings.public_port,
            trusted=settings.trusted_proxies,
            proxy_protocol=settings.proxy_protocol,
        )
        yield edge, health


def _start_background(tasks: Tasks, settings: Settings, storage: Storage, rooms: Rooms) -> None:
    """Start what goes on in storage and in the rooms for as long as the worker lives."""
    deployment = Deployment(Workers(storage.database), rooms.keyring, storage.feed)
    tasks.start(storage.feed.run(), name="change feed")
    tasks.start(rooms.folder.run(), name="certificate folder")
    tasks.start(deployment.run(), name="deployment of certificates")
    tasks.start(join_expiry(settings, storage, rooms).run(), name="certificates that end")
    tasks.start(rooms.sessions.run(), name="uses of sessions")
    tasks.start(TrafficClerk(storage.traffic, TrafficLog(storage.database)).run(), name="traffic")
    tasks.start(rooms.links.run(), name="one-time links")
    tasks.start(rooms.signing_keys.run(), name="signing keys")
    tasks.start(rooms.rates.run(), name="rates of visits")
    tasks.start(prune(Queue(storage.database)), name="old mails")
    lease = Lease(storage.database, LEASE, new_id("wrk"), life=LEASE_LIFE)
    trail = AuditTrail(storage.database)
    tasks.start(prune_audit(trail, lease, settings.audit_days), name="old lines of the audit")
    tasks.start(Idempotency(storage.database).run(), name="old idempotency keys")
    tasks.start(join_checker(settings, storage).run(), name="domain checks")


async def _portal(
    storage: Storage, rooms: Rooms, renderer: Renderer, stack: AsyncExitStack
) -> tuple[str, ErrorPages]:
    """Serve the customers' pages to the edge alone; answer where, and the pages for errors."""
    error_pages = ErrorPages(renderer)
    portal = build_portal(
        directory=rooms.directory,
        use_cases=rooms.use_cases,
        signing_keys=rooms.signing_keys,
        renderer=renderer,
        images=Images(storage.database),
        error_pages=error_pages,
        csrf_key=_derived(storage.keys[0], "portal csrf"),
    )
    return await stack.enter_async_context(_on_private_socket(portal)), error_pages


async def _console(
    settings: Settings,
    storage: Storage,
    rooms: Rooms,
    tokens: TokenFinder,
    languages: Languages,
    offered: Offered,
    stack: AsyncExitStack,
) -> str:
    """Serve the operators' pages and the API to the edge alone; answer where."""
    database, bell = storage.database, storage.bell
    registry = Registry(
        database,
        bell,
        platform_domain=settings.platform_domain,
        allow_private_upstreams=settings.allow_private_upstreams,
        has_default_upstreams=bool(settings.default_upstreams),
        reserved_slugs=frozenset({settings.admin_name}),
        offered=offered,
    )
    vault = Vault(database, bell, storage.sealer)
    counters = 1 if storage.redis else settings.workers
    operators, operator_sessions = Operators(database), OperatorSessions(database)
    throttle = Throttle(storage.counters, operator_sessions.addresses, counters=counters)
    console = build_console(
        use_cases=UseCases(
            registry=registry,
            operators=operators,
            operator_sessions=operator_sessions,
            operator_sign_in=OperatorSignIn(
                database, operators, operator_sessions, rooms.passwords, throttle
            ),
            invitations=rooms.use_cases.invitations,
            invoice_links=rooms.invoice_links,
            users=rooms.use_cases.users,
            sessions=rooms.sessions,
            domains=join_domains(settings, storage),
            vault=vault,
            uploads=Uploads(database, vault),
            standings=Standings(database),
            tokens=Tokens(database, bell),
            audit_trail=AuditTrail(database),
        ),
        bearer=Bearer(tokens, Budgets(storage.counters, counters=counters)),
        idempotency=Idempotency(database),
        languages=languages,
        public_port=settings.public_port,
        csrf_key=_derived(storage.keys[0], "console csrf"),
    )
    return await stack.enter_async_context(_on_private_socket(console))


def _offered(themes: Themes) -> Offered:
    """Say what operators may choose of the looks."""
    spoken = {code for theme in themes for code in theme.languages.codes}
    return Offered(frozenset(theme.name for theme in themes), frozenset(spoken))


def _delivery(settings: Settings, storage: Storage, renderer: Renderer, health: Health) -> Delivery | None:
    """Make what sends the mails; without a mail server they wait in the outbox."""
    if settings.smtp_url is None:
        _log.warning("mails wait, for ROUTER_SMTP_URL is not set")
        return None
    sender = sender_of(settings.sender)
    find = partial(tenant_by_id, storage.database)
    port, domain = settings.public_port, settings.platform_domain
    mails = Mails(renderer, find, public_port=port, platform_domain=domain)
    letters = Letters(storage.sealer, mails.compose, sender)
    transport = transport_of(settings.smtp_url, sender)
    delivery = Delivery(Queue(storage.database), letters, transport, storage.feed)
    # Not critical: a mail that cannot be sent waits.
    health.register("mail", lambda: delivery.healthy, critical=False)
    return delivery


def _health(storage: Storage) -> Health:
    health = Health()
    # Neither is critical: whoever is known goes on being served from memory.
    health.register("database", lambda: storage.database.healthy, critical=False)
    health.register("cache", lambda: storage.counters.healthy, critical=False)
    return health


def _house(
    settings: Settings,
    storage: Storage,
    rooms: Rooms,
    health: Health,
    error_pages: ErrorPages,
    planes: tuple[str, str],
    stack: AsyncExitStack,
) -> House:
    """Join what the edge's connections share; ``planes`` are the sockets of portal and console."""
    limits, deadlines, tasks = _limits(settings), Deadlines(), Tasks()
    tunnels = Tunnels(rooms.sessions, deadlines, tasks)
    storage.feed.subscribe("session", lambda key, _sequence: tunnels.end_session(key))
    storage.feed.subscribe_reset(tunnels.close_all)  # whose session ended is not known: all connect anew
    pools = _pools(settings, limits, deadlines, tasks)
    stack.callback(pools.abort_all)
    routes = Routes(
        pools,
        Probes(tasks),
        rooms.rates,
        Assertions(rooms.signing_keys, f"https://{settings.platform_domain}"),
        portal=pools.own(planes[0]),
        console=pools.own(planes[1]),
        public_port=settings.public_port,
        default_upstreams=default_upstreams(
            settings.default_upstreams, allow_private=settings.allow_private_upstreams
        ),
    )
    answers = Answers(error_pages, public_port=settings.public_port)
    admin = settings.admin_hostname
    reception = Reception(rooms.directory, rooms.sessions, routes, health, answers, admin_hostname=admin)
    access_log = AccessLog(sys.stdout.fileno()) if settings.access_log else None
    if access_log is not None:
        stack.push_async_callback(access_log.close)
    return House(reception, tunnels, deadlines, limits, tasks, access_log, storage.traffic)


def _pools(settings: Settings, limits: Limits, deadlines: Deadlines, tasks: Tasks) -> UpstreamPools:
    """Make the connections to upstreams, which go where the settings let them."""
    patience = settings.connect_timeout * NAME_SHARE
    return UpstreamPools(
        limits,
        deadlines,
        resolver=Resolver(NameServers(settings.resolvers, patience=patience), tasks),
        platform_domain=settings.platform_domain,
        forbidden=partial(refused, allow_private=settings.allow_private_upstreams),
    )


def _derived(key: bytes, purpose: str) -> bytes:
    """Make another 32-octet key from one, the same on every worker of the fleet (RFC 5869)."""
    return HKDF(SHA256(), length=32, salt=None, info=f"tenant-router {purpose}".encode()).derive(key)


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


@asynccontextmanager
async def _on_private_socket(application: web.Application) -> AsyncIterator[str]:
    """Serve a plane where only this user's processes reach it; answer the socket's path."""
    runner = web.AppRunner(
        application,
        handle_signals=False,
        access_log=None,
        shutdown_timeout=1,
        # No form and no call is compressed; and what cannot be unpacked fails after the answer, in the log.
        auto_decompress=False,
    )
    with tempfile.TemporaryDirectory(prefix="tenant-router-") as folder:  # made with mode 0700
        path = str(Path(folder) / "plane.sock")
        try:
            await runner.setup()
            await web.UnixSite(runner, path).start()
            yield path
        finally:
            await runner.cleanup()
