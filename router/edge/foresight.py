"""Foresight: what the edge would decide about a request, for those who ask before anybody sends it.

PURE. The decision is the very one that visits are decided by; only the head is made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, assert_never

from router.edge.decide import (
    ChooseCustomer,
    Decision,
    Forward,
    Refuse,
    SignIn,
    TellHealth,
    ToConsole,
    ToHttps,
    ToPortal,
    decide,
    decide_console,
    own_page,
)
from router.edge.visit import Arrival, Door, Refused, console_door, read_visit
from router.identity.session import Session
from router.observe.foreseen import Foreseen

if TYPE_CHECKING:
    from router.edge.visit import Presented
    from router.hostname import Hostname
    from router.tenants.tenant import Tenant

_PAGE: Final = b"Accept: text/html\r\n"
_CALL: Final = b"Accept: application/json\r\n"


def foresee(
    hostname: Hostname,
    path: str,
    tenant: Tenant | None,
    presented: Presented | None,
    *,
    is_admin: bool,
    now: float,
    admin_port: int | None = None,
) -> tuple[Foreseen, ...]:
    """Decide what becomes of a GET of ``path``, visible ASCII, for each kind of visitor.

    ``presented`` is the certificate that the hostname gets; without one, nobody gets as far as over TLS.
    ``admin_port`` is the port that the console has for itself, if it has one: it is asked there.
    """
    by_tls = console_door(admin_port) if is_admin else Door.HTTPS
    plain = _Asker("anybody, by plain HTTP", Door.HTTP, _PAGE)
    if presented is None:
        return (_foreseen(plain, hostname, path, tenant, None, by_tls if is_admin else None, now),)
    askers = (
        plain,
        _Asker("a browser, signed out", by_tls, _PAGE),
        _Asker("a program, signed out", by_tls, _CALL),
        _Asker("a browser, signed in", by_tls, _PAGE, signed_in=True),
    )
    return tuple(
        _foreseen(asker, hostname, path, tenant, presented, by_tls if is_admin else None, now)
        for asker in askers
        if tenant is not None or not asker.signed_in
    )


@dataclass(frozen=True, slots=True)
class _Asker:
    """Who asks, and how."""

    name: str
    door: Door
    fields: bytes
    signed_in: bool = False


def _foreseen(
    asker: _Asker,
    hostname: Hostname,
    path: str,
    tenant: Tenant | None,
    presented: Presented | None,
    console: Door | None,
    now: float,
) -> Foreseen:
    """Decide for one of them; ``console`` is the console's door, if the hostname is the console's."""
    head = b"GET %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (path.encode("ascii"), hostname.encode(), asker.fields)
    try:
        visit = read_visit(head, Arrival("explain", asker.door, "", presented))
    except Refused as fault:
        return Foreseen(asker.name, "refused", fault.status, fault.code)
    if console is not None:
        return _told(asker.name, decide_console(visit, door=console))
    session = _session_at(tenant, now) if asker.signed_in and tenant is not None else None
    return _told(asker.name, decide(visit, tenant, session, now))


def _session_at(tenant: Tenant, now: float) -> Session:
    began = int(now)
    return Session("", "", tenant.id, "", "", "C-1", began, began, began + 3600, 3600)


def _told(who: str, decision: Decision) -> Foreseen:  # noqa: PLR0911 - one for each decision
    match decision:
        case TellHealth():
            return Foreseen(who, "health", HTTPStatus.OK)
        case ToHttps():
            return Foreseen(who, "to_https", HTTPStatus.PERMANENT_REDIRECT)
        case ToPortal():
            return Foreseen(who, "portal")
        case ToConsole():
            return Foreseen(who, "console")
        case Forward(session=session):
            return Foreseen(who, "forwarded" if session is not None else "forwarded_without_identity")
        case SignIn() | ChooseCustomer():
            return Foreseen(who, "to_sign_in", HTTPStatus.SEE_OTHER, location=own_page(decision))
        case Refuse(status=status, code=code):
            return Foreseen(who, "refused", status, code)
        case _:
            assert_never(decision)
