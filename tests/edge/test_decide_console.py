"""The decision at the admin hostname: the console over a connection of its own, and nothing else."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from router.edge.decide import (
    CONSOLE,
    Decision,
    Refuse,
    TellHealth,
    ToConsole,
    ToHttps,
    decide,
    decide_console,
)
from router.edge.visit import Door
from tests.edge.decisions import HTML, NOT_FOUND
from tests.edge.heads import ACME, ADA, HOST, NOW, Certificate, arrival, visit

if TYPE_CHECKING:
    from router.edge.visit import Network

ADMIN = b"admin.portal.example"
NAMES = frozenset({ADMIN.decode(), HOST})
MISDIRECTED = Refuse(421, "misdirected", close=True)


def decided(
    *, target: bytes = b"/api/v1/x", door: Door = Door.HTTPS, shown: Certificate | None = None
) -> Decision:
    """The decision on a POST there, by default over a connection that was opened for it."""
    by = arrival(door=door, presented=shown or Certificate(NAMES, CONSOLE))
    return decide_console(visit(b"Content-Length: 2", method=b"POST", target=target, host=ADMIN, by=by))


@pytest.mark.parametrize("target", [b"/", b"/api/v1/tenants/acme/invoice-line", b"/-/sign-in", b"/healthz"])
def test_everything_goes_to_the_console(target: bytes) -> None:
    """Which paths there are is the console's to say; a tenant's own paths mean nothing here."""
    assert decided(target=target) == ToConsole()
    assert decided(target=target, shown=Certificate(NAMES, None)) == ToConsole()


@pytest.mark.parametrize(
    "shown",
    [
        Certificate(NAMES, ACME.id),
        Certificate(frozenset({HOST}), None),
        Certificate(frozenset({HOST}), CONSOLE),
    ],
    ids=["opened for a tenant", "not covered", "not covered by its own"],
)
def test_a_tenants_connection_is_misdirected(shown: Certificate) -> None:
    """Neither a tenant's connection nor a certificate without the name leads to the console."""
    assert decided(shown=shown) == MISDIRECTED


def test_the_consoles_connection_is_no_tenants() -> None:
    """And the other way round: opened for the console, it serves no portal, though the certificate would."""
    by = arrival(presented=Certificate(NAMES, CONSOLE))
    assert decide(visit(by=by), ACME, None, NOW) == MISDIRECTED


@pytest.mark.parametrize("target", [b"/api/v1/x", b"/", b"/healthz"])
def test_plain_text_is_refused(target: bytes) -> None:
    """No redirect makes a program's mistake, a token sent for all to read, look as if it worked."""
    assert decided(target=target, door=Door.HTTP) == Refuse(403, "https_needed", close=True)


def test_a_person_is_sent_on_to_a_page() -> None:
    """By plain text, who typed the address without https:// gets there; to what programs ask, nobody is."""
    by = arrival(door=Door.HTTP)
    assert decide_console(visit(HTML, target=b"/tenants", host=ADMIN, by=by)) == ToHttps(None)
    for asked in (
        visit(HTML, target=b"/api/v1/tenants", host=ADMIN, by=by),
        visit(target=b"/tenants", host=ADMIN, by=by),
        visit(HTML, b"Content-Length: 2", method=b"POST", target=b"/sign-in", host=ADMIN, by=by),
    ):
        assert decide_console(asked) == Refuse(403, "https_needed", close=True)


INSIDE, OUTSIDE = "10.1.2.3", "203.0.113.7"
LISTED = (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("door", "client", "listed", "expected"),
    [
        (Door.ADMIN, OUTSIDE, (), ToConsole()),
        (Door.ADMIN, INSIDE, LISTED, ToConsole()),
        (Door.ADMIN, OUTSIDE, LISTED, NOT_FOUND),
        (Door.HTTPS, OUTSIDE, (), NOT_FOUND),
        (Door.HTTPS, INSIDE, LISTED, NOT_FOUND),
        (Door.HTTP, OUTSIDE, (), NOT_FOUND),
        (Door.HTTP, OUTSIDE, LISTED, NOT_FOUND),
        (Door.HTTP, INSIDE, LISTED, ToHttps(None)),
        (Door.HEALTH, INSIDE, LISTED, NOT_FOUND),
    ],
)
def test_with_a_port_of_its_own_it_is_there_alone(
    door: Door, client: str, listed: tuple[Network, ...], expected: Decision
) -> None:
    """By the portals' ports it is nobody's hostname; port 80 tells listed networks where it is."""
    by = arrival(door=door, peer=client, presented=Certificate(NAMES, CONSOLE))
    asked = visit(HTML, target=b"/tenants", host=ADMIN, by=by)
    assert decide_console(asked, listed, Door.ADMIN) == expected


def test_without_a_port_of_its_own_that_door_leads_nowhere() -> None:
    """Should it ever be open, nobody comes in by it."""
    assert decided(door=Door.ADMIN) == NOT_FOUND


@pytest.mark.parametrize("target", [b"/", b"/help", b"/-/sign-in", b"/.well-known/portal-jwks.json"])
def test_no_tenant_is_at_the_consoles_port(target: bytes) -> None:
    """Whatever the certificate covers, and whatever is public."""
    by = arrival(door=Door.ADMIN, presented=Certificate(NAMES, ACME.id))
    assert decide(visit(HTML, target=target, by=by), ACME, ADA, NOW) == NOT_FOUND


def test_the_health_port_is_for_health() -> None:
    """By this name too."""
    assert decided(door=Door.HEALTH) == NOT_FOUND
    asked = visit(target=b"/healthz", host=ADMIN, by=arrival(door=Door.HEALTH))
    assert decide_console(asked) == TellHealth(readiness=False)


@pytest.mark.parametrize(
    "target", [b"/api/../x", b"/api/v1/tenants/a%2fb", b"//api", b"/api;/x", b"/api/%2e%2e/x", b"/api\\x"]
)
def test_a_doubtful_path_is_none(target: bytes) -> None:
    """What could be read as another path gets no further."""
    assert decided(target=target) == NOT_FOUND


@pytest.mark.parametrize(
    ("client", "answered"),
    [
        ("10.1.2.3", True),
        ("2001:db8:7::9", True),
        ("203.0.113.7", False),
        ("2001:db8:8::9", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("door", [Door.HTTPS, Door.HTTP])
def test_from_other_networks_it_is_nobodys_hostname(client: str, answered: bool, door: Door) -> None:  # noqa: FBT001 - a parameter of the test
    """The neutral 404 of any unknown name, over plain text too; who is let in sees no change."""
    networks = (ip_network("10.0.0.0/8"), ip_network("2001:db8:7::/48"))
    by = arrival(door=door, peer=client, presented=Certificate(NAMES, CONSOLE))
    asked = visit(host=ADMIN, by=by)
    assert decide_console(asked, networks) == (decide_console(asked) if answered else NOT_FOUND)
