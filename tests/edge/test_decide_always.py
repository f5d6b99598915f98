"""What holds for every decision, whatever the visit, the tenant and the session."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st

from router.edge.decide import (
    OWN_PATHS,
    ChooseCustomer,
    Forward,
    SignIn,
    TellHealth,
    ToPortal,
    decide,
    own_page,
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
from tests.edge.heads import ACME, ADA, HOST, NOW, Certificate, arrival, visit

if TYPE_CHECKING:
    from router.identity.session import Session
    from router.tenants.tenant import Tenant

ODD_TARGETS = [
    *(
        b"/",
        b"/healthz",
        b"/readyz",
        b"/invoices?page=2",
        b"/.well-known/portal-jwks.json",
        b"//",
        b"/.",
        b"/..",
    ),
    *(
        b"/-/",
        b"/-/sign-in",
        b"/-/../x",
        b"/-/..%2fx",
        b"/-/..;/x",
        b"/-//x",
        b"//-/",
        b"/-/%252e%252e/x",
        b"/-",
    ),
    *(b"/help", b"/help/a", b"/helpdesk", b"/help/../x", b"/help/..%2fx", b"/help/..;/x", b"/help\\..\\x"),
]
TARGETS = st.one_of(
    st.sampled_from(ODD_TARGETS),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#")).map(
        lambda text: b"/" + text.encode()
    ),
)
METHODS = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"DELETE", b"PROPFIND"])
FIELDS = st.lists(
    st.sampled_from(
        [
            *UPGRADE,
            HTML,
            OWN_ORIGIN,
            b"Origin: https://evil.example",
            b"X-Portal-User: root",
            b"X-Forwarded-Proto: https",
            b"User-Agent: ELB-HealthChecker/2.0",
            b"Connection: close",
            b"Cookie: __Host-portal-session=x",
        ]
    ),
    max_size=5,
    unique=True,
)
SESSIONS = st.sampled_from([None, ADA, UNDECIDED, STRANGER, IDLE, OVER])
TENANTS = st.sampled_from(
    [ACME, SUSPENDED, replace(ACME, public_paths=()), replace(ACME, public_paths=("/",))]
)
SHOWN = st.sampled_from(
    [
        Certificate(),
        Certificate(frozenset({HOST}), ACME.id),
        Certificate(frozenset({HOST}), GLOBEX.id),
        Certificate(frozenset()),
    ]
)


@settings(max_examples=500, deadline=None)
@given(
    lines=FIELDS,
    method=METHODS,
    target=TARGETS,
    door=st.sampled_from(Door),
    shown=SHOWN,
    tenant=TENANTS,
    session=SESSIONS,
)
def test_what_holds_for_every_visit(
    *,
    lines: list[bytes],
    method: bytes,
    target: bytes,
    door: Door,
    shown: Certificate,
    tenant: Tenant,
    session: Session | None,
) -> None:
    """No combination lets anything through that it must not."""
    by = arrival(door=door, presented=shown if door in (Door.HTTPS, Door.ADMIN) else None)
    seen = visit(*lines, method=method, target=target, by=by)
    decision = decide(seen, tenant, session, NOW)
    if isinstance(decision, Forward | ToPortal | SignIn | ChooseCustomer):
        assert door is Door.HTTPS
        assert tenant.status == "active"
        assert seen.covered
        assert seen.opened_for in (None, tenant.id)
        assert decision.tenant is tenant
    if isinstance(decision, ToPortal):
        assert seen.path.startswith(b"/-/") or seen.path in OWN_PATHS
    if isinstance(decision, Forward):
        assert not (seen.reads_plainly and seen.path.startswith(b"/-/"))
        if decision.session is None:
            assert seen.reads_plainly
            assert tenant.public_paths
        else:
            assert decision.session is session
            assert decision.session.admits(tenant.id, NOW)
            assert decision.session.customer
    if isinstance(decision, TellHealth):
        assert door in (Door.HEALTH, Door.ADMIN)
    if isinstance(decision, SignIn | ChooseCustomer):
        assert method in (b"GET", b"HEAD")
    if isinstance(decision, ChooseCustomer):
        assert session is UNDECIDED


@given(
    lines=FIELDS,
    method=METHODS,
    target=TARGETS,
    door=st.sampled_from(Door),
    session=SESSIONS,
    host=st.sampled_from([b"unknown.example", b"localhost", b"10.0.0.7", b"[::1]"]),
)
def test_an_unknown_hostname_has_nothing(
    *, lines: list[bytes], method: bytes, target: bytes, door: Door, session: Session | None, host: bytes
) -> None:
    """Whatever is asked of a hostname that is nobody's, with whichever session: the same 404, or health."""
    decision = decided(
        *lines, method=method, target=target, door=door, tenant=None, session=session, host=host
    )
    assert decision == NOT_FOUND or isinstance(decision, TellHealth)


@given(lines=FIELDS, method=METHODS, target=TARGETS, session=st.sampled_from([STRANGER, IDLE, OVER]))
def test_a_session_that_does_not_admit_is_no_session(
    *, lines: list[bytes], method: bytes, target: bytes, session: Session
) -> None:
    """A session of another tenant, an idle or an ended one decides nothing at all (THREATS 44, 46)."""
    with_it = decided(*lines, method=method, target=target, session=session)
    assert with_it == decided(*lines, method=method, target=target, session=None)


@given(TARGETS)
def test_the_way_back_is_kept_whole(target: bytes) -> None:
    """Where a person was going comes back from the page's address octet by octet, and adds nothing to it."""
    for decision, path in ((SignIn, "/-/sign-in"), (ChooseCustomer, "/-/customer")):
        location = own_page(decision(ACME, target.decode()))
        parts = urlsplit(location)
        assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == ("", "", path, "")
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=True)
        assert query == {"return": [target.decode()]}
        assert location.isascii()
        assert location.isprintable()
