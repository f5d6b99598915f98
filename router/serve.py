"""One worker: the composition root, the only place that names concrete parts.

``assembled`` is the architecture on one screen: each part is made of those above it and ends before them.
Storage and the rooms are joined in rooms.py, the portal and the console in planes.py, what the edge's
connections share in edge_parts.py; worker.py is the process around it all.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import structlog

from router.certificates.deployment import Deployment
from router.console.api.idempotency import Idempotency
from router.console.token_finder import TokenFinder
from router.edge.listener import Edge
from router.edge_parts import Outside, join_house, join_outside
from router.identity.errands import Errands
from router.languages.texts import Languages
from router.mail.delivery import Delivery, prune
from router.mail.letters import Letters
from router.mail.queue import Queue
from router.mail.transports import sender_of, transport_of
from router.observe.health import Health
from router.planes import open_console, open_portal
from router.portal.mails import Mails
from router.portal.rendering import Renderer
from router.portal.themes import Themes
from router.rooms import (
    Rooms,
    Storage,
    join_checker,
    join_expiry,
    join_rooms,
    join_webhook_delivery,
    open_storage,
)
from router.storage.audit_trail import LEASE, LEASE_LIFE, AuditTrail
from router.storage.audit_trail import prune as prune_audit
from router.storage.leases import Lease
from router.storage.schema import new_id
from router.storage.traffic import TrafficClerk, TrafficLog
from router.storage.workers import Workers
from router.tenants.rows import tenant_by_id
from router.webhooks.delivery import prune as prune_deliveries
from router.webhooks.queue import Queue as WebhookQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router.observe.tasks import Tasks
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
        outside = join_outside(settings)
        rooms = join_rooms(settings, storage, errands, outside.forbidden, stack)
        languages = Languages.load(settings.languages_dir)
        renderer = Renderer(Themes.load(settings.themes_dir, languages))
        portal_socket, error_pages = await open_portal(storage, rooms, renderer, stack)
        tokens = TokenFinder(storage.database, storage.feed)
        stack.push_async_callback(tokens.close)
        console_socket = await open_console(settings, storage, rooms, tokens, renderer, outside, stack)
        health = _health(storage)
        delivery = _delivery(settings, storage, renderer, health)
        planes = (portal_socket, console_socket)
        house = join_house(settings, storage, rooms, outside, health, error_pages, planes, stack)
        await rooms.folder.look()
        await rooms.signing_keys.ensure(time.time())

        tasks = await stack.enter_async_context(house.tasks)
        _start_background(tasks, settings, storage, rooms, outside)
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
            admin_port=settings.admin_port,
            trusted=settings.trusted_proxies,
            proxy_protocol=settings.proxy_protocol,
        )
        yield edge, health


def _start_background(
    tasks: Tasks, settings: Settings, storage: Storage, rooms: Rooms, outside: Outside
) -> None:
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
    tasks.start(join_webhook_delivery(storage, outside.forbidden).run(), name="webhooks")
    tasks.start(prune_deliveries(WebhookQueue(storage.database)), name="old deliveries of webhooks")


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
