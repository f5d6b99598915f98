"""Foresight: what is told before is what is decided then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from router.edge.foresight import foresee
from router.hostname import Hostname
from router.tenants.tenant import Branding, Forwarding, Tenant, Upstream

if TYPE_CHECKING:
    from router.observe.foreseen import Foreseen

HOST = Hostname("acme.portal.example")
NOW = 1_800_000_000.0
ACME = Tenant(
    "tnt_1",
    "acme",
    HOST,
    Branding("Acme", "#0b6e4f"),
    (Upstream("http://1.1.1.1:80"),),
    public_paths=("/help",),
)


@dataclass(frozen=True)
class Shown:
    """A certificate, for a tenant's hostname or not."""

    tenant_id: str | None = "tnt_1"
    good: bool = True

    def covers(self, hostname: Hostname) -> bool:
        """Whether it does."""
        return self.good and hostname == HOST


def told(
    path: str, tenant: Tenant | None = ACME, shown: Shown | None = Shown(), *, is_admin: bool = False
) -> list[Foreseen]:
    """What becomes of a path, in order: by plain HTTP, a browser, a program, somebody signed in."""
    return list(foresee(HOST, path, tenant, shown, is_admin=is_admin, now=NOW))


def deeds(found: list[Foreseen]) -> list[str]:
    """What is done, in order."""
    return [each.does for each in found]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/orders?page=2", ["to_https", "to_sign_in", "refused", "forwarded"]),
        ("/help/faq", ["to_https", *["forwarded_without_identity"] * 3]),
        ("/help/..%2fadmin", ["to_https", "to_sign_in", "refused", "forwarded"]),
        ("/-/sign-in", ["to_https", *["portal"] * 3]),
        ("/.well-known/portal-jwks.json", ["to_https", *["portal"] * 3]),
    ],
)
def test_each_visitor_has_a_way(path: str, expected: list[str]) -> None:
    """Public, our own, or for those who signed in; a path that reads in two ways is not public."""
    assert deeds(told(path)) == expected


def test_where_a_browser_is_sent() -> None:
    """To the sign-in page, with the way back; a program gets a 401."""
    _, browser, program, _ = told("/orders?page=2")
    assert (browser.status, browser.location) == (303, "/-/sign-in?return=/orders%3Fpage%3D2")
    assert (program.status, program.code) == (401, "sign_in_needed")


@pytest.mark.parametrize(
    ("tenant", "shown", "status", "code"),
    [
        (None, Shown(), 404, "not_found"),
        (ACME, Shown(good=False), 421, "misdirected"),
        (ACME, Shown(tenant_id="tnt_2"), 421, "misdirected"),
        (replace(ACME, status="suspended"), Shown(), 503, "suspended"),
        (replace(ACME, forwarding=Forwarding(maintenance=True)), Shown(), 503, "maintenance"),
    ],
    ids=["nobody's", "not covered", "another's", "suspended", "maintenance"],
)
def test_what_is_refused_is_told_with_its_code(
    tenant: Tenant | None, shown: Shown, status: int, code: str
) -> None:
    """Whoever comes over TLS."""
    over_tls = told("/orders", tenant, shown)[1:]
    assert {(each.status, each.code) for each in over_tls} == {(status, code)}


def test_without_a_certificate_nobody_comes_over_tls() -> None:
    """So nothing is told of them."""
    assert deeds(told("/orders", shown=None)) == ["to_https"]


def test_the_console_answers_at_its_hostname() -> None:
    """Whoever claims that; plain HTTP is refused there."""
    plain, *others = told("/api/v1", None, Shown("console"), is_admin=True)
    assert (plain.status, plain.code) == (403, "https_needed")
    assert set(deeds(others)) == {"console"}


def test_the_console_is_asked_at_the_port_of_its_own() -> None:
    """Which is where it answers; port 80 knows nothing of it then. Tenants are asked where they are."""
    plain, *others = foresee(
        HOST, "/tenants", None, Shown("console"), is_admin=True, now=NOW, admin_port=9443
    )
    assert (plain.status, plain.code) == (404, "not_found")
    assert {each.does for each in others} == {"console"}
    portal = foresee(HOST, "/orders", ACME, Shown(), is_admin=False, now=NOW, admin_port=9443)
    assert deeds(list(portal)) == ["to_https", "to_sign_in", "refused", "forwarded"]


def test_a_head_that_is_refused_is_told() -> None:
    """What no visit is made of: a target with a fragment."""
    assert {each.does for each in told("/a#b")} == {"refused"}
