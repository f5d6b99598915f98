"""What a worker keeps and what its visits are judged by: storage, and the rooms above it.

The lower half of the composition root; serve.py joins the planes to it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from router.certificates.expiry import Expiry
from router.certificates.folder import CertificateFolder
from router.certificates.intermediates import Intermediates
from router.certificates.keyring import Keyring
from router.certificates.vault import Vault
from router.edge.rates import Rates
from router.identity.account import Account
from router.identity.call_out import CallOut
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
from router.observe.traffic import Traffic
from router.outgoing import Outgoing
from router.portal.application import UseCases
from router.storage.bell import Bell, PollBell, RedisBell, SqliteBell
from router.storage.cache import Cache, MemoryCache, RedisCache
from router.storage.changes import ChangeFeed
from router.storage.database import Database
from router.storage.encryption_keys import encryption_keys
from router.storage.leases import Lease
from router.storage.migrate import migrate
from router.storage.notices import Notices
from router.storage.outbox import Outbox
from router.storage.schema import new_id
from router.storage.sealing import Sealer
from router.tenants.checker import LEASE, LEASE_LIFE, Checker
from router.tenants.checks import Checks
from router.tenants.directory import Directory
from router.tenants.domains import Domains
from router.tenants.verify import Verifier
from router.tenants.webhook_address import check_webhook_url
from router.webhooks.delivery import Delivery as WebhookDelivery
from router.webhooks.queue import Queue as WebhookQueue
from router.webhooks.schedule import TIMEOUT
from router.webhooks.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AsyncExitStack

    from router.edge.dial import Forbidden
    from router.identity.errands import Errands
    from router.settings import Settings


@dataclass(frozen=True, slots=True)
class Storage:
    """The database is the truth; Redis, where there is one, a cache and a bell.

    ``traffic`` is what this worker has counted and not written down yet.
    """

    database: Database
    redis: RedisCache | None
    counters: Cache
    bell: Bell
    feed: ChangeFeed
    keys: Sequence[bytes]
    sealer: Sealer
    traffic: Traffic


async def open_storage(settings: Settings, stack: AsyncExitStack) -> Storage:
    """Migrate and open the database, and what stands beside it.

    Raises ``BadSettings`` (the encryption key) and ``Unavailable`` (the database, a migration).
    """
    await migrate(settings.database_url)
    database = Database(settings.database_url)
    stack.push_async_callback(database.close)
    await database.open()
    redis = RedisCache(settings.redis_url) if settings.redis_url else None
    counters = redis or MemoryCache()
    stack.push_async_callback(counters.close)
    bell = _bell(settings)
    stack.push_async_callback(bell.close)
    keys = await encryption_keys(database, settings.sealing_keys, settings.key_file)
    return Storage(database, redis, counters, bell, ChangeFeed(database, bell), keys, Sealer(keys), Traffic())


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a visit is judged by."""

    directory: Directory
    folder: CertificateFolder
    keyring: Keyring
    sessions: Sessions
    links: Links
    invoice_links: InvoiceLinks
    use_cases: UseCases
    passwords: Passwords
    signing_keys: SigningKeys
    rates: Rates


def join_rooms(
    settings: Settings, storage: Storage, errands: Errands, forbidden: Forbidden, stack: AsyncExitStack
) -> Rooms:
    """Join what visits are judged by; it ends with the stack. ``forbidden`` judges what is dialled."""
    database, redis, bell, feed = storage.database, storage.redis, storage.bell, storage.feed
    directory = Directory(database, redis, feed)
    stack.push_async_callback(directory.close)

    vault = Vault(database, bell, storage.sealer)
    folder = CertificateFolder(settings.certs_dir, Intermediates(database))
    keyring = Keyring(
        vault,
        folder,
        feed,
        platform_domain=settings.platform_domain,
        capacity=settings.keyring_capacity,
        profile=settings.tls_profile,
    )
    stack.push_async_callback(keyring.close)

    idle, life = settings.session_idle, settings.session_life
    sessions = Sessions(database, redis, bell, feed, idle=idle, life=life)
    stack.push_async_callback(sessions.close)
    links = Links(database)
    invoice_links = InvoiceLinks(database, links, storage.keys)
    signing_keys = SigningKeys(database, storage.sealer, bell, feed)
    call_out = CallOut(signing_keys, f"https://{settings.platform_domain}", forbidden=forbidden)
    passwords = Passwords()
    stack.callback(passwords.close)
    use_cases = _use_cases(settings, storage, sessions, links, invoice_links, call_out, errands, passwords)
    rates = Rates(redis, workers=settings.workers, clock=time.time)
    return Rooms(
        directory,
        folder,
        keyring,
        sessions,
        links,
        invoice_links,
        use_cases,
        passwords,
        signing_keys,
        rates,
    )


def join_checker(settings: Settings, storage: Storage) -> Checker:
    """Make what looks for the proof of domains: one worker of the fleet does at a time."""
    lease = Lease(storage.database, LEASE, new_id("wrk"), life=LEASE_LIFE)
    return Checker(storage.database, storage.feed, _checks(settings, storage), lease)


def join_domains(settings: Settings, storage: Storage) -> Domains:
    """Make what operators do to claims."""
    checks = _checks(settings, storage)
    return Domains(storage.database, storage.bell, checks, platform_domain=settings.platform_domain)


def _checks(settings: Settings, storage: Storage) -> Checks:
    return Checks(
        storage.database,
        storage.bell,
        Verifier(settings.domain_resolvers or settings.resolvers),
        Notices(Outbox(storage.sealer), settings.operators_email),
        platform_domain=settings.platform_domain,
    )


def join_webhooks(settings: Settings, storage: Storage) -> Webhooks:
    """Make what operators do to webhooks."""
    check_url = partial(check_webhook_url, allow_private=settings.allow_private_upstreams)
    return Webhooks(storage.database, storage.bell, storage.sealer, check_url)


def join_webhook_delivery(storage: Storage, forbidden: Forbidden) -> WebhookDelivery:
    """Make what sends events to webhooks."""
    outgoing = Outgoing(forbidden, timeout=TIMEOUT)
    return WebhookDelivery(WebhookQueue(storage.database), storage.sealer, outgoing, storage.feed)


def join_expiry(settings: Settings, storage: Storage, rooms: Rooms) -> Expiry:
    """Make what tells of certificates that end."""
    notices = Notices(Outbox(storage.sealer), settings.operators_email)
    return Expiry(storage.database, storage.bell, notices, rooms.folder)


def _use_cases(
    settings: Settings,
    storage: Storage,
    sessions: Sessions,
    links: Links,
    invoice_links: InvoiceLinks,
    call_out: CallOut,
    errands: Errands,
    passwords: Passwords,
) -> UseCases:
    """Join what visitors have done for them: signing in, the other ways in, their account."""
    database, bell, outbox = storage.database, storage.bell, Outbox(storage.sealer)
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
        sign_in=SignIn(users, passwords, throttle, sessions, traffic=storage.traffic),
        invitations=Invitations(database, bell, outbox, links, newcomers),
        registrations=registrations,
        recovery=Recovery(database, bell, outbox, links, passwords, throttle, errands),
        account=Account(database, bell, outbox, links, passwords, throttle),
    )


def _bell(settings: Settings) -> Bell:
    if settings.redis_url:
        return RedisBell(settings.redis_url)
    if settings.database_url.startswith("sqlite"):
        return SqliteBell(settings.database_url)
    return PollBell()
