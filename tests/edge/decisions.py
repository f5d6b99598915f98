"""Who is decided about: two tenants, the sessions of one, and the decision on a visit of theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from router.edge.decide import Decision, Refuse, decide
from router.edge.visit import Door
from router.hostname import Hostname
from router.tenants.tenant import Branding, Tenant, Upstream
from tests.edge.heads import ACME, ADA, HOST, NOW, Certificate, arrival, visit

if TYPE_CHECKING:
    from router.identity.session import Session

HTML = b"Accept: text/html"
UPGRADE = [b"Connection: Upgrade", b"Upgrade: websocket"]
OWN_ORIGIN = b"Origin: https://acme.portal.example"

GLOBEX = Tenant(
    "tnt_globex",
    "globex",
    Hostname("globex.portal.example"),
    Branding("Globex", "#112233"),
    (Upstream("http://other.example"),),
)
SUSPENDED = replace(ACME, status="suspended")
STRANGER = replace(ADA, tenant_id=GLOBEX.id)
IDLE = replace(ADA, seen_at=int(NOW) - ADA.idle_life)
UNDECIDED = replace(ADA, customer="")
OVER = replace(ADA, expires_at=int(NOW))

NOT_FOUND = Refuse(404, "not_found")


def decided(
    *lines: bytes,
    method: bytes = b"GET",
    target: bytes = b"/",
    host: bytes = HOST.encode(),
    door: Door = Door.HTTPS,
    shown: Certificate | None = None,
    tenant: Tenant | None = ACME,
    session: Session | None = None,
    port: bytes = b"",
) -> Decision:
    """The decision on a visit."""
    by = arrival(door=door, presented=shown, port=port)
    return decide(visit(*lines, method=method, target=target, host=host, by=by), tenant, session, NOW)
