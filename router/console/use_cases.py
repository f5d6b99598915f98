"""What operators have done for them, whichever door they come through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.certificates.folder import CertificateFolder
    from router.certificates.standings import Standings
    from router.certificates.uploads import Uploads
    from router.certificates.vault import Vault
    from router.console.attention import Attention
    from router.console.inquiry import Explainer
    from router.console.operator_sessions import OperatorSessions
    from router.console.operator_sign_in import OperatorSignIn
    from router.console.operators import Operators
    from router.console.tokens import Tokens
    from router.identity.invitations import Invitations
    from router.identity.invoice_links import InvoiceLinks
    from router.identity.sessions import Sessions
    from router.identity.users import Users
    from router.observe.upstreams import UpstreamHealth
    from router.storage.audit_trail import AuditTrail
    from router.storage.traffic import TrafficLog
    from router.tenants.domains import Domains
    from router.tenants.registry import Registry
    from router.tenants.tenant import Tenant
    from router.webhooks.webhooks import Webhooks


Look = Callable[["Tenant"], Awaitable["Sequence[UpstreamHealth]"]]
"""Asks a tenant's upstreams how they are; the edge does it."""

Scheme = Literal["light", "dark"]
Preview = Callable[["Tenant", Scheme], Awaitable[tuple[str, str]]]
"""Renders a tenant's sign-in page to be looked at, and gives its policy with it; the portal does it."""


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use cases of the rooms, for pages and API alike."""

    registry: Registry
    operators: Operators
    operator_sessions: OperatorSessions
    operator_sign_in: OperatorSignIn
    invitations: Invitations
    invoice_links: InvoiceLinks
    users: Users
    sessions: Sessions
    domains: Domains
    vault: Vault
    uploads: Uploads
    certificate_folder: CertificateFolder
    standings: Standings
    explainer: Explainer
    attention: Attention
    tokens: Tokens
    audit_trail: AuditTrail
    webhooks: Webhooks
    traffic: TrafficLog
    look_at_upstreams: Look
    preview: Preview
