"""A platform with tenants that claim hostnames: a real name server, a real outbox, a clock set by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select

from router.hostname import Hostname
from router.storage.bell import PollBell
from router.storage.notices import Notices
from router.storage.outbox import Outbox, identity_of
from router.storage.schema import audit, claims, outbox
from router.storage.sealing import Sealer
from router.tenants.branding import BrandingForm
from router.tenants.checks import Checks
from router.tenants.domains import Domains
from router.tenants.form import TenantForm
from router.tenants.registry import Registry
from router.tenants.rows import find_claims
from router.tenants.verify import Verifier

if TYPE_CHECKING:
    from router.storage.database import Database
    from router.tenants.claims import Claim
    from tests.edge.name_server import NameServer

PLATFORM = Hostname.parse("portal.test")
HOST = Hostname.parse("billing.acme.example")
OPERATORS = "operators@portal.test"
START = 1_795_372_560
DAY = 86_400


@dataclass
class Posted:
    """A mail in the outbox, opened."""

    recipient: str
    kind: str
    language: str
    facts: dict[str, str | int]


@dataclass
class Platform:
    """All that claims go through, by one clock; ``luck`` is even."""

    database: Database
    dns: NameServer
    now: float = START
    operators: str | None = OPERATORS
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
            Verifier([self.dns.address], patience=2.0),
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

    async def mails(self) -> list[Posted]:
        """Open every mail in the outbox, the oldest first."""
        async with self.database.read() as connection:
            rows = (await connection.execute(select(outbox).order_by(outbox.c.created_at))).mappings().all()
        opened = [
            Posted(
                row["recipient"],
                row["kind"],
                row["language"],
                json.loads(self.sealer.open(row["sealed_facts"], identity=identity_of(row["id"]))),
            )
            for row in rows
        ]
        return sorted(opened, key=lambda mail: (mail.facts["at"], mail.kind, mail.recipient))

    async def news(self) -> list[tuple[str, str]]:
        """Kind and recipient of every mail."""
        return [(mail.kind, mail.recipient) for mail in await self.mails()]

    async def audited(self) -> list[str]:
        """The actions of the audit about domains, in order."""
        async with self.database.read() as connection:
            rows = await connection.scalars(select(audit.c.action).order_by(audit.c.sequence))
            return [action for action in rows if action.startswith("domain.")]
