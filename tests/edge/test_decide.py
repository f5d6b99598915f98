"""The decision: the whole table, row by row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from router.edge.decide import (
    ChooseCustomer,
    Decision,
    Forward,
    Refuse,
    SignIn,
    TellHealth,
    ToHttps,
    ToPortal,
)
from router.edge.visit import Door
from tests.edge.decisions import (
    GLOBEX,
    HTML,
    IDLE,
    NOT_FOUND,
    OVER,
    OWN_ORIGIN,
    STRANGER,
    SUSPENDED,
    UNDECIDED,
    UPGRADE,
    decided,
)
from tests.edge.heads import ACME, ADA, HOST, Certificate

if TYPE_CHECKING:
    from router.identity.session import Session
    from router.tenants.tenant import Tenant

MISDIRECTED = Refuse(421, "misdirected", close=True)
UNAUTHORISED = Refuse(401, "sign_in_needed", ACME)
FOREIGN = Refuse(403, "foreign_origin", ACME)
UNCHOSEN = Refuse(403, "choose_customer", ACME)


# -- nobody's hostname, and the health port ---------------------------------------------------------------


@pytest.mark.parametrize("door", Door)
@pytest.mark.parametrize(
    ("method", "target", "decision"),
    [
        (b"GET", b"/healthz", TellHealth(readiness=False)),
        (b"HEAD", b"/healthz", TellHealth(readiness=False)),
        (b"GET", b"/readyz", TellHealth(readiness=True)),
        (b"HEAD", b"/readyz", TellHealth(readiness=True)),
        (b"GET", b"/readyz?verbose", TellHealth(readiness=True)),
        (b"POST", b"/healthz", NOT_FOUND),
        (b"OPTIONS", b"/readyz", NOT_FOUND),
        (b"GET", b"/healthz/", NOT_FOUND),
        (b"GET", b"//healthz", NOT_FOUND),
        (b"GET", b"/%68ealthz", NOT_FOUND),
        (b"GET", b"/", NOT_FOUND),
        (b"GET", b"/-/sign-in", NOT_FOUND),
        (b"GET", b"/.well-known/portal-jwks.json", NOT_FOUND),
        (b"GET", b"/help", NOT_FOUND),
    ],
)
@pytest.mark.parametrize(
    "host", [b"unknown.example", b"localhost", b"10.0.0.7:8081", b"169.254.169.254", b"[::1]"]
)
def test_nobodys_hostname(door: Door, host: bytes, method: bytes, target: bytes, decision: Decision) -> None:
    """By whichever door: the health paths answer, and nothing else is there (THREATS 22)."""
    assert decided(method=method, target=target, host=host, door=door, tenant=None) == decision


@pytest.mark.parametrize("session", [None, ADA])
@pytest.mark.parametrize(
    ("target", "decision"),
    [
        (b"/readyz", TellHealth(readiness=True)),
        (b"/", NOT_FOUND),
        (b"/help", NOT_FOUND),
        (b"/-/sign-in", NOT_FOUND),
    ],
)
def test_the_health_port_serves_no_tenant(target: bytes, decision: Decision, session: Session | None) -> None:
    """Even a tenant's hostname and session get nothing but health from the health port."""
    assert decided(target=target, door=Door.HEALTH, session=session) == decision


# -- a tenant's hostname ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tenant", [ACME, SUSPENDED])
@pytest.mark.parametrize("session", [None, ADA])
@pytest.mark.parametrize("target", [b"/", b"/help", b"/-/sign-in", b"/healthz", b"/..%2f"])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_the_plain_port_redirects(
    tenant: Tenant, session: Session | None, target: bytes, method: bytes
) -> None:
    """Whatever is asked of a known hostname in plain text goes to HTTPS, and nothing goes anywhere else."""
    decision = decided(method=method, target=target, door=Door.HTTP, tenant=tenant, session=session)
    assert decision == ToHttps(tenant)


@pytest.mark.parametrize("tenant", [ACME, SUSPENDED])
@pytest.mark.parametrize("session", [None, ADA])
@pytest.mark.parametrize("target", [b"/", b"/help", b"/-/sign-in", b"/healthz", b"/readyz"])
@pytest.mark.parametrize(
    "shown",
    [
        Certificate(frozenset({"globex.portal.example"})),
        Certificate(frozenset({"globex.portal.example"}), GLOBEX.id),
        Certificate(frozenset({HOST}), GLOBEX.id),
    ],
    ids=["not covered", "another's certificate", "one certificate for both"],
)
def test_another_tenants_connection_is_misdirected(
    tenant: Tenant, session: Session | None, target: bytes, shown: Certificate
) -> None:
    """A connection opened for one hostname serves no other's tenant: 421 and close (THREATS 23)."""
    assert decided(target=target, tenant=tenant, session=session, shown=shown) == MISDIRECTED


def test_a_connection_for_the_tenant_itself_serves_it() -> None:
    """Opened for the tenant's own hostname, or for nobody's in particular, it does serve."""
    for whose in (ACME.id, None):
        shown = Certificate(frozenset({HOST}), whose)
        assert decided(shown=shown, session=ADA) == Forward(ACME, ADA)


@pytest.mark.parametrize("session", [None, ADA])
@pytest.mark.parametrize("target", [b"/", b"/help", b"/-/sign-in", b"/healthz"])
def test_a_suspended_tenant_is_closed(session: Session | None, target: bytes) -> None:
    """Its portal says 503 in its own look, to everybody, on every path."""
    decision = decided(target=target, tenant=SUSPENDED, session=session)
    assert decision == Refuse(503, "suspended", SUSPENDED)


ROWS: list[tuple[bytes, bytes, list[bytes], Session | None, Decision]] = [
    # our own paths: the portal answers, signed in or not
    (b"GET", b"/-/", [], None, ToPortal(ACME)),
    (b"GET", b"/-/sign-in?return=/a", [HTML], None, ToPortal(ACME)),
    (b"POST", b"/-/sign-in", [], None, ToPortal(ACME)),
    (b"POST", b"/-/sign-out", [], ADA, ToPortal(ACME)),
    (b"GET", b"/-/static/x.css", [], STRANGER, ToPortal(ACME)),
    (b"GET", b"/.well-known/portal-jwks.json", [], None, ToPortal(ACME)),
    (b"GET", b"/-/", UPGRADE, None, ToPortal(ACME)),
    # what is near them is not
    (b"GET", b"/-", [], ADA, Forward(ACME, ADA)),
    (b"GET", b"/-x/sign-in", [], ADA, Forward(ACME, ADA)),
    (b"GET", b"/a/-/sign-in", [], ADA, Forward(ACME, ADA)),
    (b"GET", b"/.well-known/other", [], None, UNAUTHORISED),
    (b"GET", b"/.well-known/portal-jwks.json/", [], None, UNAUTHORISED),
    (b"GET", b"/%2D/sign-in", [], None, UNAUTHORISED),
    # what only looks like them is for the signed-in, byte for byte
    (b"GET", b"/-/..%2fadmin", [], None, UNAUTHORISED),
    (b"GET", b"/-/..;/admin", [], None, UNAUTHORISED),
    (b"GET", b"/-/%252e%252e/admin", [], None, UNAUTHORISED),
    (b"GET", b"/-/\\..\\admin", [], None, UNAUTHORISED),
    (b"GET", b"/-//admin", [HTML], None, SignIn(ACME, "/-//admin")),
    (b"GET", b"//-/sign-in", [], None, UNAUTHORISED),
    (b"GET", b"/x/../-/sign-in", [], None, UNAUTHORISED),
    (b"GET", b"/-/../admin", [], ADA, Forward(ACME, ADA)),
    # public paths: forwarded, without identity
    (b"GET", b"/help", [], None, Forward(ACME, None)),
    (b"POST", b"/help", [], None, Forward(ACME, None)),
    (b"GET", b"/help/", [], None, Forward(ACME, None)),
    (b"GET", b"/help/a/b?c", [HTML], None, Forward(ACME, None)),
    (b"GET", b"/help", [], ADA, Forward(ACME, None)),
    (b"GET", b"/help", [], STRANGER, Forward(ACME, None)),
    (b"GET", b"/files/public/", [], None, Forward(ACME, None)),
    (b"GET", b"/files/public/x", [], None, Forward(ACME, None)),
    (b"GET", b"/help/socket", [*UPGRADE, b"Origin: https://acme.portal.example"], None, Forward(ACME, None)),
    (b"GET", b"/help/socket", [*UPGRADE, b"Origin: https://evil.example"], None, FOREIGN),
    (b"GET", b"/help/socket", UPGRADE, None, FOREIGN),
    # what begins alike, or reads differently, is not public
    (b"GET", b"/helpdesk", [], None, UNAUTHORISED),
    (b"GET", b"/help-me", [], None, UNAUTHORISED),
    (b"GET", b"/help;x", [], None, UNAUTHORISED),
    (b"GET", b"/help%3fx", [], None, UNAUTHORISED),
    (b"GET", b"/HELP", [], None, UNAUTHORISED),
    (b"GET", b"/files/public", [], None, UNAUTHORISED),
    (b"GET", b"/files", [], None, UNAUTHORISED),
    (b"GET", b"/help/../admin", [], None, UNAUTHORISED),
    (b"GET", b"/help/..%2fadmin", [], None, UNAUTHORISED),
    (b"GET", b"/help/..;/admin", [], None, UNAUTHORISED),
    (b"GET", b"/help/%2e%2e/admin", [], None, UNAUTHORISED),
    (b"GET", b"/help/%252e%252e/admin", [], None, UNAUTHORISED),
    (b"GET", b"/help/%e0%80%ae%e0%80%ae/admin", [], None, UNAUTHORISED),
    (b"GET", b"/help\\..\\admin", [], None, UNAUTHORISED),
    (b"GET", b"/help//admin", [], None, UNAUTHORISED),
    (b"GET", b"//help", [], None, UNAUTHORISED),
    (b"GET", b"/help/../admin", [], ADA, Forward(ACME, ADA)),
    # everything else: the signed-in
    (b"GET", b"/", [], ADA, Forward(ACME, ADA)),
    (b"GET", b"/invoices?page=2", [HTML], ADA, Forward(ACME, ADA)),
    (b"POST", b"/", [], ADA, Forward(ACME, ADA)),
    (b"PROPFIND", b"/", [], ADA, Forward(ACME, ADA)),
    (b"OPTIONS", b"/", [], ADA, Forward(ACME, ADA)),
    (b"GET", b"/healthz", [], ADA, Forward(ACME, ADA)),
    # whose session is another tenant's, idle or over is a stranger
    (b"GET", b"/", [], STRANGER, UNAUTHORISED),
    (b"GET", b"/", [], IDLE, UNAUTHORISED),
    (b"GET", b"/", [], OVER, UNAUTHORISED),
    (b"GET", b"/", [HTML], STRANGER, SignIn(ACME, "/")),
    # strangers: a person is sent to sign in, a program is told
    (b"GET", b"/", [HTML], None, SignIn(ACME, "/")),
    (b"HEAD", b"/a", [HTML], None, SignIn(ACME, "/a")),
    (b"GET", b"/a?b=c&d=/e", [HTML], None, SignIn(ACME, "/a?b=c&d=/e")),
    (b"GET", b"/healthz", [HTML], None, SignIn(ACME, "/healthz")),
    (b"GET", b"/", [], None, UNAUTHORISED),
    (b"GET", b"/", [HTML, b"X-Requested-With: XMLHttpRequest"], None, UNAUTHORISED),
    (b"GET", b"/", [HTML, b"Sec-Fetch-Mode: cors"], None, UNAUTHORISED),
    (b"GET", b"/healthz", [b"User-Agent: kube-probe/1.30"], None, UNAUTHORISED),
    (b"GET", b"/", [b"User-Agent: ELB-HealthChecker/2.0"], None, UNAUTHORISED),
    *[
        (method, b"/", [HTML], None, UNAUTHORISED)
        for method in (b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND")
    ],
    # who signs in for several customers has to choose before the backend is asked
    (b"GET", b"/", [HTML], UNDECIDED, ChooseCustomer(ACME, "/")),
    (b"HEAD", b"/a?b=c", [HTML], UNDECIDED, ChooseCustomer(ACME, "/a?b=c")),
    (b"GET", b"/", [], UNDECIDED, UNCHOSEN),
    (b"GET", b"/", [HTML, b"Sec-Fetch-Mode: cors"], UNDECIDED, UNCHOSEN),
    (b"POST", b"/", [HTML], UNDECIDED, UNCHOSEN),
    (b"GET", b"/live", [*UPGRADE, OWN_ORIGIN, HTML], UNDECIDED, UNCHOSEN),
    (b"GET", b"/-/customer", [HTML], UNDECIDED, ToPortal(ACME)),
    (b"GET", b"/help", [], UNDECIDED, Forward(ACME, None)),
    # WebSockets: the signed-in, from our own pages
    (b"GET", b"/live", [*UPGRADE, OWN_ORIGIN], ADA, Forward(ACME, ADA)),
    (b"GET", b"/live", [*UPGRADE, OWN_ORIGIN.upper()], ADA, Forward(ACME, ADA)),
    (b"GET", b"/live", [*UPGRADE, OWN_ORIGIN], None, UNAUTHORISED),
    (b"GET", b"/live", [*UPGRADE, OWN_ORIGIN, HTML], None, UNAUTHORISED),
    (b"GET", b"/live", [*UPGRADE, OWN_ORIGIN], STRANGER, UNAUTHORISED),
    (b"GET", b"/live", UPGRADE, ADA, FOREIGN),
    (b"GET", b"/live", [*UPGRADE, b"Origin: null"], ADA, FOREIGN),
    (b"GET", b"/live", [*UPGRADE, b"Origin: https://evil.example"], ADA, FOREIGN),
    (b"GET", b"/live", [*UPGRADE, b"Origin: http://acme.portal.example"], ADA, FOREIGN),
    (b"GET", b"/live", [*UPGRADE, b"Origin: https://acme.portal.example:8443"], ADA, FOREIGN),
    (b"GET", b"/live", [*UPGRADE, b"Origin: https://acme.portal.example.evil.example"], ADA, FOREIGN),
    (b"GET", b"/live", [*UPGRADE, b"Origin: https://evil.example/acme.portal.example"], ADA, FOREIGN),
    (b"GET", b"/live", [*UPGRADE, b"Origin: https://acme.portal.example@evil.example"], ADA, FOREIGN),
    (b"GET", b"/live", [*UPGRADE, b"Origin: https://x@acme.portal.example"], ADA, FOREIGN),
    (b"GET", b"/live", [*UPGRADE, b"Origin: https://[acme"], ADA, FOREIGN),
    (b"GET", b"/live", [b"Connection: Origin, Upgrade", *UPGRADE[1:], OWN_ORIGIN], ADA, FOREIGN),
    # and a request that is none needs no Origin
    (b"POST", b"/live", [b"Origin: https://evil.example"], ADA, Forward(ACME, ADA)),
]


@pytest.mark.parametrize(("method", "target", "lines", "session", "decision"), ROWS)
def test_the_table(
    method: bytes, target: bytes, lines: list[bytes], session: Session | None, decision: Decision
) -> None:
    """An active tenant's hostname, over a connection that was opened for it."""
    assert decided(*lines, method=method, target=target, session=session) == decision


def test_a_websocket_of_a_browser_on_another_port() -> None:
    """A portal on a port of its own has that port in its Origin, whatever the Host says."""
    origin = b"Origin: https://acme.portal.example:8443"
    for host in (b"ACME.portal.example:8443", b"acme.portal.example"):
        assert decided(*UPGRADE, origin, host=host, session=ADA, port=b":8443") == Forward(ACME, ADA)
        assert decided(*UPGRADE, origin, host=host, session=ADA) == FOREIGN


@pytest.mark.parametrize("target", [b"/", b"/anything", b"/a/b", b"/helpdesk"])
def test_a_tenant_may_be_public_as_a_whole(target: bytes) -> None:
    """The public path / opens all but our own paths."""
    tenant = replace(ACME, public_paths=("/",))
    assert decided(target=target, tenant=tenant, session=ADA) == Forward(tenant, None)
    assert decided(target=b"/-/sign-in", tenant=tenant) == ToPortal(tenant)
    assert decided(target=b"/x/../y", tenant=tenant) == Refuse(401, "sign_in_needed", tenant)


def test_a_tenant_without_public_paths_has_none() -> None:
    """Nothing is public that was not said to be."""
    assert decided(target=b"/help", tenant=replace(ACME, public_paths=())) == replace(
        UNAUTHORISED, tenant=replace(ACME, public_paths=())
    )
