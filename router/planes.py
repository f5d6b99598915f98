"""The portal and the console of a worker, joined, and served to its edge alone."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from router.certificates.standings import Standings
from router.certificates.uploads import Uploads
from router.certificates.vault import Vault
from router.console.api.bearer import Bearer
from router.console.api.idempotency import Idempotency
from router.console.application import build_console
from router.console.attention import Attention
from router.console.budgets import Budgets
from router.console.inquiry import Certificates
from router.console.operator_links import link_address
from router.console.operator_sessions import OperatorSessions
from router.console.operator_sign_in import OperatorSignIn
from router.console.operators import Operators
from router.console.tokens import Tokens
from router.console.use_cases import UseCases
from router.edge.inspection import Inspection
from router.edge_parts import join_explainer
from router.hostname import port_suffix
from router.identity.throttling import Throttle
from router.portal.application import build_portal
from router.portal.error_pages import ErrorPages
from router.portal.images import Images
from router.portal.preview import Preview
from router.rooms import Rooms, Storage, join_domains, join_webhooks
from router.storage.audit_trail import AuditTrail
from router.storage.traffic import TrafficLog
from router.tenants.registry import Registry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from router.console.token_finder import TokenFinder
    from router.edge_parts import Outside
    from router.portal.rendering import Renderer
    from router.settings import Settings

MAX_LINE: Final = 64 * 1024
"""Octets of a line of a head, as the planes read it: twice what the edge lets through in all."""


async def open_portal(
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


async def open_console(
    settings: Settings,
    storage: Storage,
    rooms: Rooms,
    tokens: TokenFinder,
    renderer: Renderer,
    outside: Outside,
    stack: AsyncExitStack,
) -> str:
    """Serve the operators' pages and the API to the edge alone; answer where."""
    database, bell = storage.database, storage.bell
    inspection = Inspection(
        outside.pools,
        port_suffix=port_suffix(settings.public_port).encode(),
        default_upstreams=outside.default_upstreams,
    )
    registry = Registry(
        database,
        bell,
        platform_domain=settings.platform_domain,
        allow_private_upstreams=settings.allow_private_upstreams,
        has_default_upstreams=bool(settings.default_upstreams),
        reserved_slugs=frozenset({settings.admin_name}),
        offered=renderer.themes.offered,
    )
    vault, standings = Vault(database, bell, storage.sealer), Standings(database)
    counters = 1 if storage.redis else settings.workers
    operators, operator_sessions = Operators(database, bell), OperatorSessions(database)
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
            certificate_folder=rooms.folder,
            standings=standings,
            explainer=join_explainer(
                settings, outside, registry, Certificates(vault, rooms.keyring, standings), rooms.folder
            ),
            attention=Attention(database, rooms.folder, platform_domain=settings.platform_domain),
            tokens=Tokens(database, bell),
            audit_trail=AuditTrail(database),
            traffic=TrafficLog(database),
            webhooks=join_webhooks(settings, storage),
            look_at_upstreams=inspection.look,
            preview=Preview(renderer, database).page,
        ),
        bearer=Bearer(tokens, Budgets(storage.counters, counters=counters)),
        idempotency=Idempotency(database),
        languages=renderer.themes.stock.languages,
        public_port=settings.public_port,
        csrf_key=_derived(storage.keys[0], "console csrf"),
        link_address=partial(
            link_address, admin_hostname=settings.admin_hostname, port=settings.console_port
        ),
    )
    return await stack.enter_async_context(_on_private_socket(console))


def _derived(key: bytes, purpose: str) -> bytes:
    """Make another 32-octet key from one, the same on every worker of the fleet (RFC 5869)."""
    return HKDF(SHA256(), length=32, salt=None, info=f"tenant-router {purpose}".encode()).derive(key)


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
        # Whatever the edge lets through is ours to answer: it bounds the head, and adds a few lines.
        max_line_size=MAX_LINE,
        max_field_size=MAX_LINE,
    )
    with tempfile.TemporaryDirectory(prefix="tenant-router-") as folder:  # made with mode 0700
        path = str(Path(folder) / "plane.sock")
        try:
            await runner.setup()
            await web.UnixSite(runner, path).start()
            yield path
        finally:
            await runner.cleanup()
