"""An API made of real parts on a database of its own, and a billing system that calls it.

The edge's part, the ``X-Router-*`` fields, is played by :class:`BillingSystem`.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import func, select
from yarl import URL

from router.certificates.folder import CertificateFolder
from router.certificates.keyring import Keyring
from router.certificates.standings import Standings
from router.certificates.uploads import Uploads
from router.certificates.vault import Vault
from router.console.api.bearer import Bearer
from router.console.api.idempotency import Idempotency
from router.console.application import OPERATIONS, build_console
from router.console.attention import Attention
from router.console.budgets import Budgets
from router.console.inquiry import Certificates, Explainer, Inquiry
from router.console.operator_sessions import OperatorSessions
from router.console.operator_sign_in import OperatorSignIn
from router.console.operators import Operators
from router.console.scopes import SCOPES_OF, Role
from router.console.token_finder import TokenFinder
from router.console.tokens import Tokens
from router.console.use_cases import UseCases
from router.edge.deadlines import Deadlines
from router.edge.foresight import foresee
from router.edge.inspection import Inspection
from router.edge.knock import Knocking
from router.edge.limits import Limits
from router.edge.name_servers import NameServers
from router.edge.pool import UpstreamPools
from router.edge.resolver import Resolver
from router.hostname import Hostname
from router.identity.invitations import Invitations
from router.identity.invoice_links import InvoiceLinks
from router.identity.links import Links
from router.identity.newcomers import Newcomers
from router.identity.passwords import Passwords
from router.identity.sessions import Sessions
from router.identity.throttling import Throttle
from router.identity.users import Users
from router.languages.texts import Languages
from router.observe.tasks import Tasks
from router.planes import MAX_LINE
from router.portal.preview import Preview
from router.portal.rendering import Renderer
from router.portal.themes import Themes
from router.storage.audit_trail import AuditTrail
from router.storage.bell import PollBell
from router.storage.cache import MemoryCache
from router.storage.changes import ChangeFeed
from router.storage.notices import Notices
from router.storage.outbox import Outbox
from router.storage.schema import changes
from router.storage.sealing import Sealer
from router.storage.traffic import TrafficLog
from router.tenants.checks import Checks
from router.tenants.domains import Domains
from router.tenants.form import Offered, TenantForm
from router.tenants.registry import Registry
from router.tenants.verify import Verifier
from router.tenants.webhook_address import check_webhook_url
from router.webhooks.webhooks import Webhooks
from tests.edge.name_server import name_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiohttp import web

    from router.console.api.operation import Operation
    from router.storage.database import Database
    from router.tenants.tenant import Tenant
    from tests.edge.name_server import NameServer

_LARGE = 1 << 20
"""Octets from which aiohttp warns of a body that is sent at once."""

KEY = b"k" * 32
LANGUAGES = Languages.load()
THEMES = Themes.load(languages=LANGUAGES)
PLATFORM = Hostname("portal.example")
BOTH = ("invoice-line", "invitations")


@dataclass(slots=True)
class Stand:
    """The parts, the tenants Acme (which lets customers register) and Globex (which does not), and the clock.

    ``token`` is Acme's, with every scope; its name is “Billing”.
    """

    database: Database
    feed: ChangeFeed
    registry: Registry
    budgets: Budgets
    tokens: Tokens
    finder: TokenFinder
    links: InvoiceLinks
    use_cases: UseCases
    idempotency: Idempotency
    operations: tuple[Operation, ...]
    acme: Tenant
    globex: Tenant
    token: str
    url: str
    billing: BillingSystem
    dns: NameServer
    certs: Path
    now: float = 1_800_000_000.0

    def clock(self) -> float:
        """The time in this stand."""
        return self.now

    async def new_token(
        self, tenant: Tenant | None, *scopes: str, days: int = 30, name: str = "Other"
    ) -> str:
        """Make another token, with every scope unless some are named."""
        owner = tenant.id if tenant is not None else None
        secret, _ = await self.tokens.add(name, scopes or BOTH, days=days, tenant_id=owner, actor="test")
        return secret

    async def call_as(self, role: Role, tenant: Tenant | None = None) -> None:
        """Have an operator call from now on: the platform's, or a tenant's own."""
        self.billing.token = await self.new_token(tenant, *SCOPES_OF[role])

    async def settled(self) -> None:
        """Wait until this worker has heard of everything that was written."""
        async with self.database.read() as connection:
            last = await connection.scalar(select(func.max(changes.c.sequence))) or 0
        await self.feed.caught_up(last)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> Any:  # noqa: ANN401 - JSON is anything
        """The document."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem, which is told as one."""
        assert self.headers["Content-Type"] == "application/problem+json"
        assert self.data["status"] == self.status
        return str(self.data["code"])


class BillingSystem:
    """Whoever calls the API: with ``token``, from ``address``."""

    def __init__(self, client: TestClient[web.Request, web.Application]) -> None:
        self._client = client
        self.token = ""
        self.address = "203.0.113.7"

    async def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """Send JSON, or octets as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json"} | dict(headers or {})
        return await self.send("POST", path, sent, raw)

    async def call(
        self, method: str, path: str, body: object = None, *, version: int | str | None = None
    ) -> Answer:
        """Call what is below ``/api/v1/``, with JSON or with octets; ``version`` is the one to be changed."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "" if body is None or body is raw else "application/json"}
        if version is not None:
            sent["If-Match"] = f'"v{version}"' if isinstance(version, int) else version
        return await self._send(method, f"/api/v1/{path}", sent, raw)

    async def send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Send anything below ``/api/v1/tenants/``; a field with an empty value is left out."""
        return await self._send(method, f"/api/v1/tenants/{path}", headers or {}, body)

    async def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        edge = {"X-Router-Client": self.address, "X-Router-Request-Id": "req-1"}
        sent = edge | {"Authorization": f"Bearer {self.token}"} | dict(headers)
        async with self._client.request(
            method,
            URL(path, encoded=True),
            headers={name: value for name, value in sent.items() if value},
            data=BytesIO(body) if len(body) > _LARGE else body,
            allow_redirects=False,
        ) as answer:
            return Answer(answer.status, answer.headers.copy(), await answer.read())


@asynccontextmanager
async def open_stand(database: Database, *, has_default_upstreams: bool = False) -> AsyncIterator[Stand]:
    """Build the API on a fresh database."""
    with TemporaryDirectory() as certs:
        async with (
            name_server() as dns,
            _open_stand(database, dns, Path(certs), has_default_upstreams=has_default_upstreams) as stand,
        ):
            yield stand


@asynccontextmanager
async def _open_stand(
    database: Database, dns: NameServer, certs: Path, *, has_default_upstreams: bool
) -> AsyncIterator[Stand]:
    bell, feed_bell = PollBell(), PollBell()
    feed = ChangeFeed(database, feed_bell, period=0.02)
    registry = Registry(
        database,
        bell,
        platform_domain=PLATFORM,
        allow_private_upstreams=True,
        has_default_upstreams=has_default_upstreams,
        offered=Offered(frozenset({"default"}), frozenset({"en", "de"})),
    )
    stand: Stand

    def clock() -> float:
        return stand.clock()

    vault = Vault(database, bell, Sealer([KEY]), clock=clock)
    tokens, finder = Tokens(database, bell, clock=clock), TokenFinder(database, feed, clock=clock)
    links = Links(database, clock=clock)
    invoice_links = InvoiceLinks(database, links, [KEY], clock=clock)
    passwords = Passwords(threads=1, memory_kib=64, passes=1)
    newcomers = Newcomers(database, bell, links, passwords, clock=clock)
    budgets = Budgets(MemoryCache(), clock=clock)
    idempotency = Idempotency(database, clock=clock)
    sessions = Sessions(database, None, bell, feed, clock=clock)
    operators = Operators(database, bell, clock=clock)
    operator_sessions = OperatorSessions(database, clock=clock)
    throttle = Throttle(MemoryCache(), operator_sessions.addresses)
    outward = Tasks()
    pools = UpstreamPools(
        Limits(connect_timeout=5),
        Deadlines(),
        resolver=Resolver(NameServers(patience=1), outward),
        platform_domain="portal.example",
        forbidden=None,
    )
    folder, standings = CertificateFolder(certs, clock=clock), Standings(database, clock=clock)
    await folder.look()
    keyring = Keyring(vault, folder, feed, platform_domain=PLATFORM, capacity=9, clock=clock)
    inquiry = Inquiry(
        registry,
        Certificates(vault, keyring, standings),
        folder,
        Knocking(Resolver(NameServers(patience=1), outward), None, patience=5).knock,
        folder_path=certs,
        platform_domain=PLATFORM,
        admin_hostname=Hostname("admin.portal.example"),
        clock=clock,
    )
    use_cases = UseCases(
        registry=registry,
        operators=operators,
        operator_sessions=operator_sessions,
        operator_sign_in=OperatorSignIn(
            database, operators, operator_sessions, passwords, throttle, clock=clock
        ),
        invitations=Invitations(database, bell, Outbox(Sealer([KEY])), links, newcomers, clock=clock),
        invoice_links=invoice_links,
        users=Users(database, bell, passwords, clock=clock),
        sessions=sessions,
        domains=_domains(database, bell, dns),
        vault=vault,
        uploads=Uploads(database, vault, clock=clock),
        certificate_folder=folder,
        standings=standings,
        explainer=Explainer(inquiry, foresee, clock=clock),
        attention=Attention(database, folder, platform_domain=PLATFORM, clock=clock),
        tokens=tokens,
        webhooks=Webhooks(
            database, bell, Sealer([KEY]), partial(check_webhook_url, allow_private=True), clock=clock
        ),
        audit_trail=AuditTrail(database),
        traffic=TrafficLog(database),
        look_at_upstreams=Inspection(pools, port_suffix=b":8443").look,
        preview=Preview(Renderer(THEMES), database).page,
    )
    application = build_console(
        use_cases=use_cases,
        bearer=Bearer(finder, budgets),
        idempotency=idempotency,
        languages=LANGUAGES,
        public_port=8443,
        csrf_key=KEY,
        link_address="https://admin.portal.example:8443/welcome?t={}".format,
    )
    acme = await _tenant(registry, "acme", "Acme & Söhne", allow_registration=True)
    globex = await _tenant(registry, "globex", "Globex", allow_registration=False)
    server = TestServer(application)
    await server.start_server(max_line_size=MAX_LINE, max_field_size=MAX_LINE)  # as the planes do
    async with outward, Tasks() as tasks, TestClient(server) as client:
        tasks.start(feed.run(), name="changes")
        billing = BillingSystem(client)
        stand = Stand(
            database=database,
            feed=feed,
            registry=registry,
            budgets=budgets,
            tokens=tokens,
            finder=finder,
            links=invoice_links,
            use_cases=use_cases,
            idempotency=idempotency,
            operations=application[OPERATIONS],
            acme=acme,
            globex=globex,
            token="",
            url=str(client.make_url("")).rstrip("/"),
            billing=billing,
            dns=dns,
            certs=certs,
        )
        stand.token = billing.token = await stand.new_token(acme, name="Billing")
        yield stand
    pools.abort_all()
    passwords.close()
    await finder.close()
    await sessions.close()
    await keyring.close()


def _domains(database: Database, bell: PollBell, dns: NameServer) -> Domains:
    notices = Notices(Outbox(Sealer([KEY])), "operators@portal.example")
    verifier = Verifier([dns.address], patience=60)
    checks = Checks(database, bell, verifier, notices, platform_domain=PLATFORM)
    return Domains(database, bell, checks, platform_domain=PLATFORM)


async def _tenant(registry: Registry, slug: str, name: str, *, allow_registration: bool) -> Tenant:
    form = TenantForm(
        name=name,
        theme_colour="#0B6E4F",
        upstreams=["http://127.0.0.1:9"],
        allow_registration=allow_registration,
    )
    return (await registry.add(slug, form, actor="test")).tenant
