"""The demo's operator, its two tenants and their users, made by the use cases that commands call."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from router.console.operator_sessions import OperatorSessions
from router.console.operator_sign_in import OperatorSignIn
from router.console.operators import Operators
from router.errors import Conflict
from router.hostname import Hostname
from router.identity.passwords import Passwords
from router.identity.throttling import Throttle
from router.identity.users import Users
from router.storage.bell import Bell, PollBell, RedisBell
from router.storage.cache import MemoryCache
from router.storage.database import Database
from router.storage.migrate import migrate
from router.tenants.branding import BrandingForm
from router.tenants.claims import ClaimState
from router.tenants.form import TenantForm
from router.tenants.registry import Registry

if TYPE_CHECKING:
    from router.settings import Settings

PLATFORM_DOMAIN: Final = Hostname.parse("portal.localhost")

PASSWORD: Final = "paper-lantern-42"  # noqa: S105 - documented, and good on this machine's loopback alone

OPERATOR: Final = "olga@platform.test"
"""Who operates the demo's platform; the password is the same."""

_ACTOR: Final = "demo"
_REASON: Final = "The demo's own hostname: there is no DNS to prove it by."


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """What the demo makes of a tenant; ``external_domain`` is empty for one on the platform's domain."""

    slug: str
    name: str
    theme_colour: str
    email: str
    customer: str
    external_domain: str = ""
    theme: str = "default"

    @property
    def hostname(self) -> str:
        """Where its portal answers."""
        return self.external_domain or f"{self.slug}.{PLATFORM_DOMAIN}"


TENANTS: Final = (
    DemoTenant("acme", "Acme Tools", "#0b6e4f", "ada@acme.test", "C-1001"),
    DemoTenant("globex", "Globex", "#f2b705", "grace@globex.test", "C-2001", "billing.globex.test", "ledger"),
)


async def seed(settings: Settings, upstream: str) -> None:
    """Migrate the database, and make the operator, the tenants and the users that are not there yet.

    What somebody changed since the last start stays as it is, but for the upstream: the backend may listen
    on another port each time.
    """
    await migrate(settings.database_url)
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url)
        stack.push_async_callback(database.close)
        await database.open()
        bell: Bell = RedisBell(settings.redis_url) if settings.redis_url else PollBell()
        stack.push_async_callback(bell.close)
        passwords = Passwords()
        stack.callback(passwords.close)
        registry = Registry(database, bell, platform_domain=PLATFORM_DOMAIN, allow_private_upstreams=True)
        users = Users(database, bell, passwords)
        for tenant in TENANTS:
            tenant_id = await _seed_tenant(registry, tenant, upstream)
            await _seed_user(users, tenant, tenant_id)
        await _seed_operator(database, bell, passwords)


async def _seed_tenant(registry: Registry, tenant: DemoTenant, upstream: str) -> str:
    form = TenantForm(
        name=tenant.name,
        theme_colour=tenant.theme_colour,
        upstreams=[upstream],
        external_domain=tenant.external_domain or None,
        branding=BrandingForm(theme=tenant.theme),
    )
    try:
        record = await registry.add(tenant.slug, form, actor=_ACTOR)
    except Conflict as fault:
        if fault.code != "slug_taken":
            raise
        record = await registry.change(tenant.slug, TenantForm(upstreams=[upstream]), actor=_ACTOR)
    for claim in record.claims:
        if claim.hostname == tenant.external_domain and claim.state is ClaimState.PENDING:
            await registry.activate_domain(claim.hostname, reason=_REASON, actor=_ACTOR, slug=tenant.slug)
    return record.tenant.id


async def _seed_user(users: Users, tenant: DemoTenant, tenant_id: str) -> None:
    if await users.find_by_email(tenant_id, tenant.email) is None:
        await users.add(tenant_id, tenant.email, tenant.customer, PASSWORD, actor=_ACTOR)


async def _seed_operator(database: Database, bell: Bell, passwords: Passwords) -> None:
    operators, sessions = Operators(database, bell), OperatorSessions(database)
    if await operators.find_by_email(OPERATOR) is not None:
        return
    link, _ = await operators.add(OPERATOR, tenant_id=None, read_only=False, actor=_ACTOR)
    throttle = Throttle(MemoryCache(), sessions.addresses)
    await OperatorSignIn(database, operators, sessions, passwords, throttle).welcome(link, PASSWORD)
