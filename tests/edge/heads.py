"""Heads, arrivals and the people of these tests: what the rules of the edge are fed with."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

from router.edge.visit import Arrival, Door, Refused, Visit, read_visit
from router.hostname import Hostname
from router.identity.session import Session
from router.tenants.tenant import Branding, Tenant, Upstream

if TYPE_CHECKING:
    from router.edge.visit import Network

HOST = "acme.portal.example"
NOW = 1_000_000.0


@dataclass(frozen=True)
class Certificate:
    """A certificate, as far as a visit asks: the hostnames it names, and whose connection it was shown on."""

    names: frozenset[str] = frozenset({HOST})
    tenant_id: str | None = None

    def covers(self, hostname: Hostname) -> bool:
        """Whether ``hostname`` is one of the names."""
        return hostname in self.names


ACME = Tenant(
    "tnt_acme",
    "acme",
    Hostname(HOST),
    Branding("Acme", "#0b6e4f"),
    (Upstream("http://backend.example:8000"),),
    public_paths=("/help", "/files/public/"),
)

ADA = Session(
    key="k" * 64,
    id="ses_ada",
    tenant_id=ACME.id,
    user_id="usr_ada",
    email="ada@example.com",
    customer="C-1001",
    signed_in_at=int(NOW) - 100,
    seen_at=int(NOW) - 10,
    expires_at=int(NOW) + 1000,
    idle_life=600,
)


def networks(*texts: str) -> tuple[Network, ...]:
    """Trusted networks."""
    return tuple(ip_network(text) for text in texts)


def arrival(
    *,
    door: Door = Door.HTTPS,
    peer: str = "203.0.113.9",
    trusted: tuple[Network, ...] = (),
    presented: Certificate | None = None,
    port: bytes = b"",
) -> Arrival:
    """A connection; by the HTTPS door it was shown Acme's certificate, if no other is given."""
    if presented is None and door is Door.HTTPS:
        presented = Certificate()
    return Arrival("c0ffee", door, peer, presented, trusted, port)


def head(
    *lines: bytes,
    method: bytes = b"GET",
    target: bytes = b"/",
    host: bytes | None = HOST.encode(),
    version: bytes = b"1.1",
) -> bytes:
    """A request head of these field lines, with a Host line before them unless ``host`` is none."""
    first = b"%b %b HTTP/%b" % (method, target, version)
    host_line = [b"Host: " + host] if host is not None else []
    return b"\r\n".join([first, *host_line, *lines, b"", b""])


def visit(
    *lines: bytes,
    method: bytes = b"GET",
    target: bytes = b"/",
    host: bytes = HOST.encode(),
    version: bytes = b"1.1",
    by: Arrival | None = None,
) -> Visit:
    """The visit that such a head makes."""
    request = head(*lines, method=method, target=target, host=host, version=version)
    return read_visit(request, by if by is not None else arrival())


def refusal(request: bytes, by: Arrival | None = None) -> tuple[int, str] | None:
    """Status and code with which a head is refused; none when it is a visit."""
    try:
        read_visit(request, by if by is not None else arrival())
    except Refused as refused:
        return refused.status, refused.code
    return None
