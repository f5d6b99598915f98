"""A platform with one tenant, and as many workers on its database as a test asks for."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select, update

from router.identity.account import Account
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
from router.identity.throttling import Throttle
from router.identity.users import Users
from router.observe.tasks import Tasks
from router.storage.cache import MemoryCache
from router.storage.changes import ChangeFeed, PollBell
from router.storage.outbox import Outbox
from router.storage.schema import audit, changes, tenants
from router.storage.sealing import Sealer
from tests.clock import Clock
from tests.storage.posted import posted
from tests.storage.tenant_row import add_tenants, tenant_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from router.identity.session import Session
    from router.identity.tenant_facts import TenantFacts
    from router.storage.cache import Cache
    from router.storage.database import Database

START = 1_795_300_000.0
GOOD = "violet-anvil-93-cantata"
ADDRESS = "192.0.2.7"


class CountingPasswords(Passwords):
    """Real Argon2, small, that says how often it was asked to verify."""

    def __init__(self) -> None:
        super().__init__(memory_kib=1024, passes=1)
        self.verified: list[str | None] = []

    async def verify(self, stored: str | None, text: str) -> bool:
        """Verify, and remember against what."""
        self.verified.append(stored)
        return await super().verify(stored, text)


class Backend:
    """A tenant's backend that is asked who belongs to which customer, and remembers what it was asked."""

    def __init__(self) -> None:
        self.belongs: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str, str]] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def confirm(self, tenant: TenantFacts, customer: str, email: str) -> bool:
        """Answer as router/identity/call_out.py does."""
        self.asked.append((tenant.slug, customer, email))
        await self.answers.wait()
        return (customer, email) in self.belongs


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail in the outbox, opened."""

    kind: str
    recipient: str
    language: str
    facts: Mapping[str, str | int]

    @property
    def token(self) -> str:
        """The token of its link."""
        return str(self.facts["token"])


_SEALER = Sealer([bytes(32)])


@dataclass(frozen=True, slots=True)
class Worker:
    """What one worker has of identity, on the database that it shares with the others."""

    database: Database
    feed: ChangeFeed
    passwords: CountingPasswords
    users: Users
    sessions: Sessions
    throttle: Throttle
    sign_in: SignIn
    links: Links
    invitations: Invitations
    invoice_links: InvoiceLinks
    registrations: Registrations
    recovery: Recovery
    account: Account
    errands: Errands
    backend: Backend
    clock: Clock

    async def attempt(self, email: str, password: str = GOOD, *, address: str = ADDRESS) -> object:
        """Try to sign in at the tenant's portal."""
        return await self.sign_in.attempt("tnt_1", email, password, address, "a browser")

    async def signed_in(self, email: str = "mary@acme.test") -> str:
        """Sign in and answer the token."""
        token = await self.attempt(email)
        assert isinstance(token, str)
        return token

    async def session(self, email: str = "mary@acme.test") -> Session:
        """Sign in and answer the session."""
        found = await self.sessions.find(await self.signed_in(email))
        assert found is not None
        return found

    async def mails(self) -> list[Letter]:
        """Open every mail in the outbox, the oldest first, once all errands are done."""
        await self.errands.settled()
        mails = await posted(self.database, _SEALER)
        return [Letter(mail.kind, mail.recipient, mail.language, mail.facts) for mail in mails]

    async def mail(self, kind: str) -> Letter:
        """Open the latest mail of a kind, written down since the clock was moved last."""
        return [mail for mail in await self.mails() if mail.kind == kind][-1]

    async def audited(self) -> list[str]:
        """Tell which actions the audit has, the oldest first."""
        async with self.database.read() as connection:
            return list(await connection.scalars(select(audit.c.action).order_by(audit.c.sequence)))

    def signing_in_with(self, passwords: Passwords) -> SignIn:
        """Sign in as this worker does, but with other passwords' Argon2."""
        return SignIn(self.users, passwords, self.throttle, self.sessions, clock=self.clock)

    async def allow_registration(self, tenant_id: str = "tnt_1") -> None:
        """Let customers of a tenant register themselves."""
        this = tenants.c.id == tenant_id
        async with self.database.write() as connection:
            await connection.execute(update(tenants).where(this).values(allow_registration=True))

    async def caught_up(self) -> None:
        """Wait until this worker knows every change that has been committed."""
        async with self.database.read() as connection:
            last = await connection.scalar(select(func.max(changes.c.sequence)))
        async with asyncio.timeout(20):
            await self.feed.caught_up(last or 0)


@pytest.fixture
def clock() -> Clock:
    """A clock that the test moves."""
    return Clock(START)


@pytest.fixture
async def add_tenant(database: Database) -> Callable[[str], Awaitable[None]]:
    """Something that adds a tenant of a given id."""

    async def add(tenant_id: str) -> None:
        await add_tenants(database, tenant_row(tenant_id, tenant_id.replace("_", "-"), "Blue Fjord"))

    return add


@pytest.fixture
async def new_worker(
    database: Database, clock: Clock, add_tenant: Callable[[str], Awaitable[None]]
) -> AsyncIterator[Callable[..., Worker]]:
    """Something that starts a worker, its change feed running; the tenant tnt_1 is there."""
    await add_tenant("tnt_1")
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(Tasks())

        def start(cache: Cache | None = None, **lives: int) -> Worker:
            bell = PollBell()
            feed = ChangeFeed(database, bell, period=0.05)
            passwords = CountingPasswords()
            stack.callback(passwords.close)
            users = Users(database, bell, passwords, clock=clock)
            sessions = Sessions(database, cache, bell, feed, clock=clock, **lives)
            stack.push_async_callback(sessions.close)
            throttle = Throttle(cache or MemoryCache(clock=clock), sessions.addresses)
            sign_in = SignIn(users, passwords, throttle, sessions, clock=clock)
            tasks.start(feed.run(), name="feed")
            links, post, backend = Links(database, clock=clock), Outbox(_SEALER), Backend()
            newcomers = Newcomers(database, bell, links, passwords, clock=clock)
            invoice_links = InvoiceLinks(database, links, [bytes(32)], clock=clock)
            errands = Errands()
            stack.push_async_exit(errands)
            return Worker(
                database,
                feed,
                passwords,
                users,
                sessions,
                throttle,
                sign_in,
                links,
                Invitations(database, bell, post, links, newcomers, clock=clock),
                invoice_links,
                Registrations(
                    database,
                    bell,
                    post,
                    links,
                    invoice_links,
                    newcomers,
                    throttle,
                    errands,
                    confirm=backend.confirm,
                    clock=clock,
                ),
                Recovery(database, bell, post, links, passwords, throttle, errands, clock=clock),
                Account(database, bell, post, links, passwords, throttle, clock=clock),
                errands,
                backend,
                clock,
            )

        yield start


@pytest.fixture
async def worker(new_worker: Callable[..., Worker]) -> Worker:
    """One worker, and mary@acme.test, who signs in for C-1001."""
    only = new_worker()
    await only.users.add("tnt_1", "mary@acme.test", "C-1001", GOOD, actor="test")
    return only
