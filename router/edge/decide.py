"""The decision: what happens to a visit. One function, one table, read from the top.

PURE. Nothing here awaits, and no step chooses the next: whoever calls does what the Decision says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from router.edge.visit import Door, Visit, is_trusted

if TYPE_CHECKING:
    from router.edge.visit import Network
    from router.identity.session import Session
    from router.tenants.tenant import Tenant

HEALTH_PATHS = {b"/healthz": False, b"/readyz": True}
CONSOLE = "console"
"""What a connection to the admin hostname was opened for, in the place of a tenant's id."""
CONSOLE_API = b"/api/"
"""What programs ask of the console; the rest of it are pages."""
TENANTLESS = (Door.HEALTH, Door.ADMIN)
"""The doors by which no tenant is reached, whatever the name."""
OWN_PREFIX = b"/-/"
OWN_PATHS = frozenset({b"/.well-known/portal-jwks.json"})
"""For machines, whatever people are told: a backend that is being worked on verifies assertions too."""
SIGN_IN = "/-/sign-in"
CUSTOMER = "/-/customer"


@dataclass(frozen=True, slots=True)
class TellHealth:
    """Answer a load balancer: whether the worker is ready, or merely whether it is alive."""

    readiness: bool


@dataclass(frozen=True, slots=True)
class ToHttps:
    """Send a plain-text visitor to the same place over TLS; ``tenant`` is none at the admin hostname."""

    tenant: Tenant | None


@dataclass(frozen=True, slots=True)
class ToPortal:
    """One of our own paths: the portal answers."""

    tenant: Tenant


@dataclass(frozen=True, slots=True)
class ToConsole:
    """The admin hostname: the console's plane answers."""


@dataclass(frozen=True, slots=True)
class Forward:
    """The tenant's upstream answers; ``session`` is none on a public path."""

    tenant: Tenant
    session: Session | None


@dataclass(frozen=True, slots=True)
class SignIn:
    """Send a person to the sign-in page; ``return_to`` is where they were going."""

    tenant: Tenant
    return_to: str


@dataclass(frozen=True, slots=True)
class ChooseCustomer:
    """Send a person who signs in for several customers to choose one; ``return_to`` as above."""

    tenant: Tenant
    return_to: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with an error, in the tenant's look where one is known; ``close`` ends the connection."""

    status: int
    code: str
    tenant: Tenant | None = None
    close: bool = False


Decision = TellHealth | ToHttps | ToPortal | ToConsole | Forward | SignIn | ChooseCustomer | Refuse


def decide(visit: Visit, tenant: Tenant | None, session: Session | None, now: float) -> Decision:
    """Say what happens. ``tenant`` holds the visit's hostname; ``session`` is what its token opened."""
    if tenant is None or visit.door in TENANTLESS:
        return _without_tenant(visit)
    if visit.door is Door.HTTP:
        return ToHttps(tenant)
    if not visit.covered or visit.opened_for not in (None, tenant.id):
        return Refuse(421, "misdirected", close=True)
    if tenant.status != "active":
        return Refuse(503, "suspended", tenant)
    if tenant.forwarding.maintenance and visit.path not in OWN_PATHS:
        return Refuse(503, "maintenance", tenant)
    if (visit.path.startswith(OWN_PREFIX) or visit.path in OWN_PATHS) and visit.reads_plainly:
        return ToPortal(tenant)
    if tenant.public_paths and _is_public(visit.path, tenant.public_paths) and visit.reads_plainly:
        return _forward(visit, tenant, None)
    if session is None or not session.admits(tenant.id, now):
        return _stranger(visit, tenant)
    if not session.customer:
        return _undecided(visit, tenant)
    return _forward(visit, tenant, session)


def decide_console(visit: Visit, networks: tuple[Network, ...] = (), door: Door = Door.HTTPS) -> Decision:
    """Say what happens at the admin hostname, which is no tenant's and knows no session of a portal.

    ``networks`` are where it may be reached from, if not from everywhere, and ``door`` is the console's: for
    others, and by other doors, it is nobody's hostname.

    A person who comes by plain text is sent on to a page; a program is not: whoever listens has seen its
    token already, and it had better hear of that (ASVS 5.0, 4.1.2).
    """
    if not _is_known(visit, networks, door):
        return _without_tenant(visit)
    if visit.door is Door.HTTP:
        person = visit.wants_page and not visit.path.startswith(CONSOLE_API)
        return ToHttps(None) if person else Refuse(403, "https_needed", close=True)
    if not visit.covered or visit.opened_for not in (None, CONSOLE):
        return Refuse(421, "misdirected", close=True)
    return ToConsole() if visit.reads_plainly else Refuse(404, "not_found")


def _is_known(visit: Visit, networks: tuple[Network, ...], door: Door) -> bool:
    """Whether the admin hostname means anything to this visitor, by this door.

    Plain text tells where the console is. Where it keeps away from the ports of all portals, that is for
    networks that are listed.
    """
    if networks and not is_trusted(visit.client, networks):
        return False
    return visit.door is door or (visit.door is Door.HTTP and (door is Door.HTTPS or bool(networks)))


def _forward(visit: Visit, tenant: Tenant, session: Session | None) -> Decision:
    """On a public path too, a WebSocket is opened by our own pages only: it carries the backend's cookies."""
    if visit.websocket and not _may_connect(visit, tenant.forwarding.websocket_origins):
        return Refuse(403, "foreign_origin", tenant)
    return Forward(tenant, session)


def _without_tenant(visit: Visit) -> Decision:
    """Nobody's hostname, an IP literal, or a port without tenants: only the health paths answer."""
    readiness = HEALTH_PATHS.get(visit.path)
    if readiness is None or visit.method not in (b"GET", b"HEAD"):
        return Refuse(404, "not_found")
    return TellHealth(readiness)


def _stranger(visit: Visit, tenant: Tenant) -> Decision:
    if visit.wants_page:
        return SignIn(tenant, visit.target.decode("latin-1"))
    return Refuse(401, "sign_in_needed", tenant)


def _undecided(visit: Visit, tenant: Tenant) -> Decision:
    """Who has not said for which customer is nobody the backend could know."""
    if visit.wants_page:
        return ChooseCustomer(tenant, visit.target.decode("latin-1"))
    return Refuse(403, "choose_customer", tenant)


def _is_public(path: bytes, public_paths: tuple[str, ...]) -> bool:
    """A public path opens itself and what is below it, never a longer name that begins alike."""
    text = path.decode("latin-1")
    return text in public_paths or text.startswith(_below(public_paths))


@lru_cache(maxsize=4096)
def _below(public_paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(public.rstrip("/") + "/" for public in public_paths)


def _may_connect(visit: Visit, allowed: tuple[str, ...]) -> bool:
    """Whether a WebSocket's Origin is our own or allowed: browsers let any page open one (RFC 6455 10.2)."""
    origins = [value for name, value in visit.kept if name.lower() == b"origin"]
    if len(origins) != 1:  # of two, the backend might believe the other
        return False
    origin = origins[0].decode("latin-1")
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    own = parts.scheme == "https" and parts.netloc.lower() == visit.host.decode("latin-1").lower()
    return own or origin in allowed


def own_page(decision: SignIn | ChooseCustomer) -> str:
    """Where on our own pages a person is sent, with the way back."""
    page = SIGN_IN if isinstance(decision, SignIn) else CUSTOMER
    return f"{page}?return={quote(decision.return_to, safe='/')}"
