"""One worker: the composition root, the only place that names concrete parts.

``assembled`` is the architecture on one screen: each part is made of those above it and ends before them.
The supervisor starts this module as a process (``python -m router.serve``) and hands it listening sockets.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import signal
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import uvloop
from aiohttp import http_parser, web
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from router.certificates.folder import CertificateFolder
from router.certificates.keyring import Keyring
from router.certificates.vault import Vault
from router.console.access import Access
from router.console.application import build_console
from router.console.budgets import Budgets
from router.console.token_finder import TokenFinder
from router.edge.answers import Answers
from router.edge.deadlines import Deadlines
from router.edge.dial import NAME_SHARE
from router.edge.house import House
from router.edge.limits import Limits
from router.edge.listener import Edge
from router.edge.name_servers import NameServers
from router.edge.pool import UpstreamPools
from router.edge.probe import Probes
from router.edge.rates import Rates
from router.edge.reception import Reception
from router.edge.resolver import Resolver
from router.edge.routes import Routes
from router.edge.tunnel import Tunnels
from router.edge.visit import Door
from router.errors import BadSettings, RouterError
from router.identity.account import Account
from router.identity.assertion import Assertions
from router.identity.call_out import CallOut
from router.identity.errands import Errands
from router.identity.invitations import Invitations
from router.identity.invoice_links import InvoiceLinks
from router.identity.links import Links
from router.identity.newcomers import Newcomers
from router.identity.passwords import Passwords
from router.identity.recovery import Recovery
from router.identity.registrations import Registrations
from router.identity.sessions import Sessions
from router.identity.sign_in import SignIn
from router.identity.signing_keys import SigningKeys
from router.identity.throttling import Throttle
from router.identity.users import Users
from router.languages.texts import Languages
from router.mail.delivery import Delivery, prune
from router.mail.letters import Letters
from router.mail.queue import Queue
from router.mail.transports import sender_of, transport_of
from router.observe import logs
from router.observe.health import Health
from router.observe.logs import AccessLog
from router.observe.tasks import Tasks
from router.portal.application import UseCases, build_portal
from router.portal.error_pages import ErrorPages
from router.portal.images import Images
from router.portal.mails import Mails
from router.portal.rendering import Renderer
from router.portal.themes import Themes
from router.ports import Sockets, from_argument
from router.settings import Settings, load_settings
from router.storage.bell import Bell, PollBell, RedisBell, SqliteBell
from router.storage.cache import Cache, MemoryCache, RedisCache
from router.storage.changes import ChangeFeed
from router.storage.database import Database
from router.storage.migrate import migrate
from router.storage.outbox import Outbox
from router.storage.sealing import Sealer, load_or_create_key
from router.tenants.directory import Directory
from router.tenants.registry import Registry
from router.tenants.rows import tenant_by_id
from router.tenants.upstream_address import default_upstreams, refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_log = structlog.get_logger(__name__)

BAD_SETTINGS: Final = 3
UNAVAILABLE: Final = 6
"""Exit codes of a worker that could not start: those of the command line for the same faults."""


@asynccontextmanager
async def assembled(settings: Settings) -> AsyncIterator[tuple[Edge, Health]]:
    """Join the parts of a worker; nothing listens to the world yet.

    Raises ``BadSettings`` (the encryption key, a theme, a catalogue, a default upstream, the mail server) and
    ``Unavailable`` (the database, a migration).
    """
    async with AsyncExitStack() as stack:
        storage = await _storage(settings, stack)
        errands = await stack.enter_async_context(Errands())
        rooms = _rooms(settings, storage, errands, stack)
        languages = Languages.load(settings.languages_dir)
        renderer = Renderer(Themes.load(settings.themes_dir, languages))
        portal_socket, error_pages = await _portal(storage, rooms, renderer, stack)
        tokens = TokenFinder(storage.database, storage.feed)
        stack.push_async_callback(tokens.close)
        console_socket = await _console(settings, storage, rooms, tokens, languages, stack)
        health = _health(storage)
        delivery = _delivery(settings, storage, renderer, health)
        planes = (portal_socket, console_socket)
        house = _house(settings, storage, rooms, health, error_pages, planes, stack)
        await rooms.folder.look()
        await rooms.signing_keys.ensure(time.time())

        # What goes on in the background, from here to the end: visits first of all.
        tasks = await stack.enter_async_context(house.tasks)
        tasks.start(storage.feed.run(), name="change feed")
        tasks.start(rooms.folder.run(), name="certificate folder")
        tasks.start(rooms.sessions.run(), name="uses of sessions")
        tasks.start(rooms.links.run(), name="one-time links")
        tasks.start(tokens.run(), name="uses of tokens")
        tasks.start(rooms.signing_keys.run(), name="signing keys")
        tasks.start(rooms.rates.run(), name="rates of visits")
        tasks.start(house.deadlines.run(), name="deadlines")
        tasks.start(prune(Queue(storage.database)), name="old mails")
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


@dataclass(frozen=True, slots=True)
class _Storage:
    """The database is the truth; Redis, where there is one, a cache and a bell."""

    database: Database
    redis: RedisCache | None
    counters: Cache
    bell: Bell
    feed: ChangeFeed
    keys: Sequence[bytes]
    sealer: Sealer


async def _storage(settings: Settings, stack: AsyncExitStack) -> _Storage:
    await migrate(settings.database_url)
    database = Database(settings.database_url)
    stack.push_async_callback(database.close)
    await database.open()
    redis = RedisCache(settings.redis_url) if settings.redis_url else None
    counters = redis or MemoryCache()
    stack.push_async_callback(counters.close)
    bell = _bell(settings)
    stack.push_async_callback(bell.close)
    keys = settings.sealing_keys or (load_or_create_key(settings.key_file),)
    return _Storage(database, redis, counters, bell, ChangeFeed(database, bell), keys, Sealer(keys))


@dataclass(frozen=True, slots=True)
class _Rooms:
    """What a visit is judged by."""

    directory: Directory
    folder: CertificateFolder
    keyring: Keyring
    sessions: Sessions
    links: Links
    invoice_links: InvoiceLinks
    use_cases: UseCases
    signing_keys: SigningKeys
    rates: Rates


def _rooms(settings: Settings, storage: _Storage, errands: Errands, stack: AsyncExitStack) -> _Rooms:
    database, redis, bell, feed = storage.database, storage.redis, storage.bell, storage.feed
    directory = Directory(database, redis, feed)
    stack.push_async_callback(directory.close)

    vault = Vault(database, bell, storage.sealer)
    folder = CertificateFolder(settings.certs_dir)
    keyring = Keyring(vault, folder, feed, capacity=settings.keyring_capacity)
    stack.push_async_callback(keyring.close)

    idle, life = settings.session_idle, settings.session_life
    sessions = Sessions(database, redis, bell, feed, idle=idle, life=life)
    stack.push_async_callback(sessions.close)
    links = Links(database)
    invoice_links = InvoiceLinks(database, links, storage.keys)
    signing_keys = SigningKeys(database, storage.sealer, bell, feed)
    call_out = CallOut(
        signing_keys,
        f"https://{settings.platform_domain}",
        forbidden=partial(refused, allow_private=settings.allow_private_upstreams),
    )
    use_cases = _use_cases(settings, storage, sessions, links, invoice_links, call_out, errands, stack)
    rates = Rates(redis, workers=settings.workers, clock=time.time)
    return _Rooms(directory, folder, keyring, sessions, links, invoice_links, use_cases, signing_keys, rates)


def _use_cases(
    settings: Settings,
    storage: _Storage,
    sessions: Sessions,
    links: Links,
    invoice_links: InvoiceLinks,
    call_out: CallOut,
    errands: Errands,
    stack: AsyncExitStack,
) -> UseCases:
    """Join what visitors have done for them: signing in, the other ways in, their account."""
    database, bell, outbox = storage.database, storage.bell, Outbox(storage.sealer)
    passwords = Passwords()
    stack.callback(passwords.close)
    users = Users(database, bell, passwords)
    counters = 1 if storage.redis else settings.workers
    throttle = Throttle(storage.counters, sessions.addresses, counters=counters)
    newcomers = Newcomers(database, bell, links, passwords)
    registrations = Registrations(
        database, bell, outbox, links, invoice_links, newcomers, throttle, errands, confirm=call_out.confirm
    )
    return UseCases(
        users=users,
        sessions=sessions,
        sign_in=SignIn(users, passwords, throttle, sessions),
        invitations=Invitations(database, bell, outbox, links, newcomers),
        registrations=registrations,
        recovery=Recovery(database, bell, outbox, links, passwords, throttle, errands),
        account=Account(database, bell, outbox, links, passwords, throttle),
    )


async def _portal(
    storage: _Storage, rooms: _Rooms, renderer: Renderer, stack: AsyncExitStack
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
    storage: _Storage,
    rooms: _Rooms,
    tokens: TokenFinder,
    languages: Languages,
    stack: AsyncExitStack,
) -> str:
    """Serve the API to the edge alone; answer where."""
    database, bell = storage.database, storage.bell
    registry = Registry(
        database,
        bell,
        platform_domain=settings.platform_domain,
        allow_private_upstreams=settings.allow_private_upstreams,
        has_default_upstreams=bool(settings.default_upstreams),
        reserved_slugs=frozenset({settings.admin_name}),
    )
    counters = 1 if storage.redis else settings.workers
    console = build_console(
        access=Access(tokens, registry, Budgets(storage.counters, counters=counters)),
        invoice_links=rooms.invoice_links,
        invitations=rooms.use_cases.invitations,
        languages=languages,
        public_port=settings.public_port,
    )
    return await stack.enter_async_context(_on_private_socket(console))


def _delivery(settings: Settings, storage: _Storage, renderer: Renderer, health: Health) -> Delivery | None:
    """Make what sends the mails; without a mail server they wait in the outbox."""
    if settings.smtp_url is None:
        _log.warning("mails wait, for ROUTER_SMTP_URL is not set")
        return None
    sender = sender_of(settings.sender)
    find = partial(tenant_by_id, storage.database)
    mails = Mails(renderer, find, public_port=settings.public_port)
    letters = Letters(storage.sealer, mails.compose, sender)
    transport = transport_of(settings.smtp_url, sender)
    delivery = Delivery(Queue(storage.database), letters, transport, storage.feed)
    # Not critical: a mail that cannot be sent waits.
    health.register("mail", lambda: delivery.healthy, critical=False)
    return delivery


def _health(storage: _Storage) -> Health:
    health = Health()
    # Neither is critical: whoever is known goes on being served from memory.
    health.register("database", lambda: storage.database.healthy, critical=False)
    health.register("cache", lambda: storage.counters.healthy, critical=False)
    return health


def _house(
    settings: Settings,
    storage: _Storage,
    rooms: _Rooms,
    health: Health,
    error_pages: ErrorPages,
    planes: tuple[str, str],
    stack: AsyncExitStack,
) -> House:
    """Join what the edge's connections share; ``planes`` are the sockets of portal and console."""
    limits, deadlines, tunnels, tasks = _limits(settings), Deadlines(), Tunnels(), Tasks()
    storage.feed.subscribe("session", lambda key, _sequence: tunnels.end_session(key))
    storage.feed.subscribe_reset(tunnels.close_all)  # whose session ended is not known: all connect anew
    private = settings.allow_private_upstreams
    name_servers = NameServers(settings.resolvers, patience=settings.connect_timeout * NAME_SHARE)
    pools = UpstreamPools(
        limits,
        deadlines,
        resolver=Resolver(name_servers, tasks),
        platform_domain=settings.platform_domain,
        forbidden=partial(refused, allow_private=private),
    )
    stack.callback(pools.abort_all)
    routes = Routes(
        pools,
        Probes(tasks),
        rooms.rates,
        Assertions(rooms.signing_keys, f"https://{settings.platform_domain}"),
        portal=pools.own(planes[0]),
        console=pools.own(planes[1]),
        public_port=settings.public_port,
        default_upstreams=default_upstreams(settings.default_upstreams, allow_private=private),
    )
    answers = Answers(error_pages, public_port=settings.public_port)
    admin = settings.admin_hostname
    reception = Reception(rooms.directory, rooms.sessions, routes, health, answers, admin_hostname=admin)
    access_log = AccessLog(sys.stdout.fileno()) if settings.access_log else None
    if access_log is not None:
        stack.push_async_callback(access_log.close)
    return House(reception, tunnels, deadlines, limits, tasks, access_log)


def _bell(settings: Settings) -> Bell:
    if settings.redis_url:
        return RedisBell(settings.redis_url)
    if settings.database_url.startswith("sqlite"):
        return SqliteBell(settings.database_url)
    return PollBell()


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
    runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=1)
    with tempfile.TemporaryDirectory(prefix="tenant-router-") as folder:  # made with mode 0700
        path = str(Path(folder) / "plane.sock")
        try:
            await runner.setup()
            await web.UnixSite(runner, path).start()
            yield path
        finally:
            await runner.cleanup()


async def serve(settings: Settings, sockets: Sockets, orders: Orders, ready: int) -> None:
    """Serve on these sockets until an order comes, then finish what is under way.

    ``ready`` is the descriptor that tells the supervisor. Readiness fails first, while connections are still
    accepted for ``drain_grace`` seconds, so that load balancers notice before anything is closed. A worker
    that was replaced stays ready to the last: its successor accepts already, and the node goes nowhere.
    """
    async with assembled(settings) as (edge, health):
        edge.serve({Door(name): sock for name, sock in sockets.items()})
        health.ready()
        gc.freeze()  # what is alive now lives to the end: the collector need not look at it again
        os.write(ready, b"+")
        os.close(ready)
        replaced = await orders.wait()
        _log.info("draining", replaced=replaced, pid=os.getpid())
        if not replaced:
            health.drain()
            await asyncio.sleep(settings.drain_grace)
        edge.stop_accepting()
        await edge.drain(settings.drain_timeout)


class Orders:
    """What the supervisor tells a worker: to go (SIGTERM, or its own end); that it was replaced (SIGHUP)."""

    def __init__(self, lifeline: int) -> None:
        loop = asyncio.get_running_loop()
        self._order: asyncio.Future[bool] = loop.create_future()
        self._lifeline = lifeline
        loop.add_signal_handler(signal.SIGTERM, self._give, False)  # noqa: FBT003 - a callback's argument
        loop.add_signal_handler(signal.SIGHUP, self._give, True)  # noqa: FBT003
        loop.add_reader(lifeline, self._give, False)  # noqa: FBT003

    async def wait(self) -> bool:
        """Wait for an order, and say whether a successor serves already."""
        return await self._order

    def _give(self, replaced: bool) -> None:  # noqa: FBT001
        asyncio.get_running_loop().remove_reader(self._lifeline)
        if not self._order.done():
            self._order.set_result(replaced)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker for the supervisor; answer its exit code."""
    parser = argparse.ArgumentParser(prog="router.serve", description="A worker; the supervisor starts it.")
    parser.add_argument("--listen", required=True, type=from_argument)
    parser.add_argument("--lifeline", required=True, type=int)
    parser.add_argument("--ready", required=True, type=int)
    parser.add_argument("--slot", type=int)
    told = parser.parse_args(arguments)
    try:
        settings = load_settings()
        logs.configure(settings.log_level, json=not sys.stderr.isatty(), slot=told.slot)
        _check_build()
        _allow_many_files()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(settings, told.listen, told.lifeline, told.ready))
    except RouterError as fault:
        sys.stderr.write(f"Error: {fault.sentence}\n")
        return BAD_SETTINGS if isinstance(fault, BadSettings) else UNAVAILABLE
    return 0


async def _work(settings: Settings, sockets: Sockets, lifeline: int, ready: int) -> None:
    # Signals do what they always do until the loop runs: a worker that has not begun may just end.
    await serve(settings, sockets, Orders(lifeline), ready)


def _check_build() -> None:
    # aiohttp's parser in Python answers 500 to a target that is not ASCII, and is slow.
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise BadSettings("aiohttp_without_c", "aiohttp was built without its C parser: reinstall its wheel.")


def _allow_many_files() -> None:
    """Raise the soft limit of open files to the hard one: each connection is one, or two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
