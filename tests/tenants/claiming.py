"""A platform with tenants that claim hostnames: a real name server, a real outbox, a clock set by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from sqlalchemy import select

from router.hostname import Hostname
from router.storage.bell import PollBell
from router.storage.notices import Notices
from router.storage.outbox import Outbox
from router.storage.schema import audit, claims
from router.storage.sealing import Sealer
from router.tenants.branding import BrandingForm
from router.tenants.checks import Checks
from router.tenants.domains import Domains
from router.tenants.form import TenantForm
from router.tenants.registry import Registry
from router.tenants.rows import find_claims
from router.tenants.verify import Verifier
from tests.storage.posted import posted

if TYPE_CHECKING:
    from router.storage.database import Database
    from router.storage.outbox import Mail
    from router.tenants.claims import Claim
    from tests.edge.name_server import NameServer

PLATFORM = Hostname.parse("portal.test")
HOST = Hostname.parse("billing.acme.example")
OPERATORS = "operators@portal.test"
START = 1_795_372_560
DAY = 86_400


@dataclass
class Platform:
    """All that claims go through, by one clock; ``luck`` is even, ``patience`` is a look's, in seconds."""

    database: Database
    dns: NameServer
    now: float = START
    operators: str | None = OPERATORS
    patience: float = 60.0
    sealer: Sealer = field(default_factory=lambda: Sealer([bytes(32)]))

    def __post_init__(self) -> None:
        """Join the parts."""
        bell = PollBell()
        self.registry = Registry(
            self.database, bell, platform_domain=PLATFORM, allow_private_upstreams=True, clock=self.clock
        )
        notices = Notices(Outbox(self.sealer), self.operators)
        self.checks = Checks(
            self.database,
            bell,
            Verifier([self.dns.address], patience=self.patience),
            notices,
            platform_domain=PLATFORM,
            clock=self.clock,
            luck=lambda: 0.5,
        )
        self.domains = Domains(self.database, bell, self.checks, platform_domain=PLATFORM, clock=self.clock)

    def clock(self) -> float:
        """Tell unix seconds."""
        return self.now

    async def add(self, slug: str, host: str = HOST) -> Claim:
        """Make a tenant that claims a hostname; answer the claim."""
        branding = BrandingForm(support_email=f"help@{slug}.test", language="de")
        form = TenantForm(
            slug.title(), "#0B6E4F", ["http://1.1.1.1:80"], external_domain=host, branding=branding
        )
        await self.registry.add(slug, form, actor="test")
        return await self.claim(slug, host)

    async def add_proved(self, slug: str, *, by: Literal["cname", "txt"]) -> None:
        """Make a tenant whose claim to the hostname its record proves."""
        await self.add(slug)
        await (self.publish_cname(slug) if by == "cname" else self.publish_txt(slug))
        await self.check(slug)

    async def claim(self, slug: str, host: str = HOST) -> Claim:
        """Read a tenant's claim as it is."""
        async with self.database.read() as connection:
            found = await find_claims(connection, claims.c.hostname == host)
        (claim,) = [each for each in found if each.slug == slug]
        return claim

    async def target(self, slug: str) -> str:
        """Name a tenant's own target."""
        return (await self.registry.get(slug)).cname_target

    async def publish_cname(self, slug: str, host: str = HOST) -> None:
        """Have the hostname's owner create the CNAME for a tenant; that replaces any other."""
        self.dns.records[f"{host}."] = [f"CNAME {await self.target(slug)}. 60"]

    async def publish_txt(self, slug: str, host: str = HOST) -> None:
        """Have the hostname's owner create a tenant's TXT record, beside those there are."""
        claim = await self.claim(slug, host)
        self.dns.records.setdefault(f"{claim.txt_name}.", []).append(f"TXT {claim.txt_token} 60")

    async def check(self, slug: str, host: str = HOST) -> Claim:
        """Check a tenant's claim now."""
        await self.checks.check((await self.claim(slug, host)).id)
        return await self.claim(slug, host)

    async def mails(self) -> list[Mail]:
        """Open every mail in the outbox, the oldest first."""
        opened = await posted(self.database, self.sealer)
        return sorted(opened, key=lambda mail: (mail.facts["at"], mail.kind, mail.recipient))

    async def news(self) -> list[tuple[str, str]]:
        """Kind and recipient of every mail."""
        return [(mail.kind, mail.recipient) for mail in await self.mails()]

    async def audited(self) -> list[str]:
        """The actions of the audit about domains, in order."""
        async with self.database.read() as connection:
            rows = await connection.scalars(select(audit.c.action).order_by(audit.c.sequence))
            return [action for action in rows if action.startswith("domain.")]
